// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include <bitdial/quant/policies/tanh.hpp>

#include "vectors.hpp"

using namespace bitdial;
using vectors::check_backward;
using vectors::check_forward;

TEST_CASE("TanhActivations: forward vectors") {
  const auto& x = vectors::relu_activations;
  const TanhActivations policy;
  check_forward(policy, x, 1, {-1, -1, 1, 1, 1, 1, 1, 1, 1});
  check_forward(policy, x, 2,
                {-.3333333, .3333333, .3333333, .3333333, .3333333, .3333333, 1, 1, 1});
  check_forward(policy, x, 4,
                {-.4666667, .0666667, .0666667, .0666667, .3333333, .6, .7333333, .8666667, 1});
}

TEST_CASE("TanhActivations: 32 bits keep the normalisation") {
  std::vector<double> expected;
  for (const float x : vectors::relu_activations) {
    expected.push_back(std::tanh(static_cast<double>(x)) / std::tanh(1.3));
  }
  check_forward(TanhActivations{}, vectors::relu_activations, 32, expected);
}

TEST_CASE("TanhActivations: the gradient is that of DoReFa weights, masked sign at one bit") {
  for (const int bits : {2, 4, 8, 32}) {
    check_backward(TanhActivations{}, vectors::weights, vectors::gradients, bits,
                   {-.0922662, -.1886747, .3562865, -.4786175, .5488706, -.4023646});
  }
  check_backward(TanhActivations{}, {-1.1F, -1, 0, 1, 1.1F}, {1, 2, 3, 4, 5}, 1, {0, 2, 3, 4, 0});
}

TEST_CASE("TanhActivations: a frozen state") {
  const TanhActivations policy;
  const Quantizer<TanhActivations> quantizer{policy};
  const TanhRange small = quantizer.fit(std::vector<float>{0.25F, -0.5F});
  const TanhRange large = quantizer.fit(std::vector<float>{1.0F, -0.5F});
  CHECK(small == TanhRange{std::tanh(0.5F), 1});
  const TanhRange running = policy.blend(small, large, 0.25F);
  CHECK(static_cast<double>(running.max) ==
        doctest::Approx(0.75 * std::tanh(0.5) + 0.25 * std::tanh(1.0)));
  CHECK(running.index == -1);
  CHECK(policy.encode(5.0F, running, 3) == 7);
  CHECK(policy.encode(-5.0F, running, 3) == 0);
  // The same element gets another code under another state.
  CHECK(policy.encode(0.4F, small, 4) > policy.encode(0.4F, large, 4));
}

TEST_CASE("a state whose maximum is an element beyond x is refused") {
  const Quantizer<TanhActivations> quantizer;
  const std::vector<float> x{0.5F, -1.0F};
  std::vector<float> dx(2);
  const auto other = quantizer.fit(std::vector<float>{0.1F, 0.2F, 0.3F});
  CHECK_THROWS_WITH_AS(
      quantizer.backward(x, x, other, 4, dx),
      "TanhRange::backward: the maximum of the state is element 2, x has 2 elements", ShapeError);
  quantizer.backward(x, x, TanhRange{.max = 1.0F, .index = 1}, 4, dx);
  CHECK_THROWS_AS(quantizer.backward({}, {}, TanhRange{.max = 1.0F, .index = 0}, 4, {}),
                  ShapeError);
}

TEST_CASE("a NaN takes no part in the gradient") {
  const Quantizer<TanhActivations> quantizer;
  std::vector<float> with(3);
  std::vector<float> without(2);
  quantizer.backward(std::vector<float>{0.5F, NAN, -1.0F}, std::vector<float>{1, 2, 3}, 4, with);
  quantizer.backward(std::vector<float>{0.5F, -1.0F}, std::vector<float>{1, 3}, 4, without);
  CHECK(with == std::vector<float>{without[0], 0.0F, without[1]});
  CHECK(without[1] != 0.0F);
}

TEST_CASE("activations of subnormal numbers are scaled like zeros") {
  CHECK(TanhRange::from(abs_statistics(std::vector<float>{1e-40F, 0.0F})) == TanhRange{});
  constexpr float smallest = std::numeric_limits<float>::min();
  CHECK(TanhRange::from(abs_statistics(std::vector<float>{smallest})) == TanhRange{smallest, 0});
}
