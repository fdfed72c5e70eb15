// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cmath>

#include <bitdial/quant/policies/logarithmic.hpp>

#include "vectors.hpp"

using namespace bitdial;
using vectors::check_backward;
using vectors::check_codes;
using vectors::check_forward;

TEST_CASE("LogActivations, one-sided: vectors") {
  const auto& x = vectors::relu_activations;
  const LogActivations policy;
  check_forward(policy, x, 1, {-1, -1, 1, 1, 1, 1, 1, 1, 1});
  check_forward(policy, x, 2, {.03, .03, .03, .0965489, .3107233, .3107233, 1, 1, 1});
  check_forward(policy, x, 4, {.03, .03, .03, .0965489, .2459509, .4959344, .7915434, 1, 1});
  check_codes(policy, x, 2, {0, 0, 0, 1, 2, 2, 3, 3, 3});
}

TEST_CASE("LogActivations, two-sided: vectors") {
  const auto& x = vectors::relu_activations;
  const LogActivations policy{.one_sided = false};
  check_forward(policy, x, 1, {-1, -1, 1, 1, 1, 1, 1, 1, 1});
  check_forward(policy, x, 2, {-.33, .33, .33, .33, .33, .33, 1, 1, 1});
  check_forward(policy, x, 4, {-.3671908, .03, .03, .0817014, .2225039, .6059627, .6059627, 1, 1});
  check_codes(policy, x, 2, {1, 2, 2, 2, 2, 2, 3, 3, 3});
}

TEST_CASE("LogWeights: vectors") {
  const auto& w = vectors::weights;
  check_forward(LogWeights{}, w, 1, {-1, -1, -1, 1, 1, 1});
  check_forward(LogWeights{}, w, 2, {-1, -.33, -.33, .33, .33, 1});
  check_forward(LogWeights{}, w, 3, {-1, -.5313293, -.15, .15, .2823108, 1});
  check_forward(LogWeights{}, w, 4, {-1, -.4248906, -.1176773, .05, .2769591, .6518363});
  check_forward(LogWeights{}, w, 32, {-1.2, -.5, -.1, .05, .3, .8});
  check_codes(LogWeights{}, w, 2, {0, 1, 1, 2, 2, 3});
}

TEST_CASE("LogWeights: weights are divided by their largest magnitude") {
  check_forward(LogWeights{}, {0.25F, -0.5F}, 2, {.5, -1});
  check_forward(LogWeights{}, {0.0F, -0.0F}, 1, {1, 1});
  check_forward(LogWeights{}, {0.0F, 0.5F}, 2, {.33, 1});  // zero is positive
}

TEST_CASE("logarithmic gradients") {
  const std::vector<float> x{-1.5F, -1, -0.5F, 0, 0.5F, 1, 1.5F};
  const std::vector<float> dy{1, 2, 3, 4, 5, 6, 7};
  for (const int bits : {1, 2, 4, 32}) {
    check_backward(LogWeights{}, x, dy, bits, {1, 2, 3, 4, 5, 6, 7});
  }
  for (const int bits : {2, 4, 32}) {
    check_backward(LogActivations{}, x, dy, bits, {1, 2, 3, 4, 5, 6, 7});
  }
  const LogActivations one{.gradient = LogGradient::clipped};
  const LogActivations two{.one_sided = false, .gradient = LogGradient::clipped};
  check_backward(one, x, dy, 4, {0, 0, 0, 4, 5, 6, 0});
  check_backward(two, x, dy, 4, {0, 2, 3, 4, 5, 6, 0});
  check_backward(one, x, dy, 32, {1, 2, 3, 4, 5, 6, 7});
  for (const auto& policy : {LogActivations{}, one, two}) {
    check_backward(policy, x, dy, 1, {0, 2, 3, 4, 5, 6, 0});
  }
}

TEST_CASE("equal magnitudes: every code has that magnitude") {
  for (const int bits : {2, 4, 8}) {
    check_forward(LogActivations{}, {0.5F, 0.5F}, bits, {.5, .5});
    check_forward(LogActivations{.one_sided = false}, {0.5F, -0.5F}, bits, {.5, -.5});
    check_forward(LogWeights{}, {0.2F, -0.2F}, bits, {1, -1});
    check_forward(LogActivations{}, {0.0F, 0.0F}, bits, {.03, .03});
  }
  check_forward(LogWeights{}, {0.0F, 0.0F}, 2, {.33, .33});
}

TEST_CASE("a frozen range clamps, and blends in the log domain") {
  const LogActivations policy;
  const Quantizer<LogActivations> quantizer{policy};
  const LogRange a = quantizer.fit(std::vector<float>{0.125F, 0.5F});
  const LogRange b = quantizer.fit(std::vector<float>{0.25F, 1.0F});
  CHECK(a == LogRange{-3.0, -1.0});
  CHECK(policy.blend(a, b, 0.5F) == LogRange{-2.5, -0.5});
  CHECK(policy.encode(1.0F, a, 3) == 7);
  CHECK(policy.encode(0.01F, a, 3) == 0);
}

TEST_CASE("the floors of the range are log2 of 0.33, 0.15 and 0.03") {
  CHECK(LogRange::floor_at(2, LogSides::two) == doctest::Approx(std::log2(0.33)).epsilon(1e-14));
  CHECK(LogRange::floor_at(3, LogSides::two) == doctest::Approx(std::log2(0.15)).epsilon(1e-14));
  CHECK(LogRange::floor_at(4, LogSides::two) == doctest::Approx(std::log2(0.03)).epsilon(1e-14));
  CHECK(LogRange::floor_at(2, LogSides::one) == doctest::Approx(std::log2(0.03)).epsilon(1e-14));
}
