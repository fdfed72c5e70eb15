// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <bitdial/quant/policies/sign.hpp>

#include "vectors.hpp"

using namespace bitdial;
using vectors::check_backward;
using vectors::check_codes;
using vectors::check_forward;

TEST_CASE("SignWeights: +-1 without a scale, 0 is +1, gradient identity") {
  check_forward(SignWeights{}, vectors::weights, 1, {-1, -1, -1, 1, 1, 1});
  check_forward(SignWeights{}, {0.0F, -0.0F}, 1, {1, 1});
  check_forward(SignWeights{}, vectors::weights, 32, {-1.2, -.5, -.1, .05, .3, .8});
  check_codes(SignWeights{}, vectors::weights, 1, {0, 0, 0, 1, 1, 1});
  for (const int bits : {1, 32}) {
    check_backward(SignWeights{}, vectors::weights, vectors::gradients, bits,
                   {.1, -.2, .3, -.4, .5, -.6});
  }
}

TEST_CASE("SignActivations: 0 is -1, gradient 1 for |x| <= 1") {
  check_forward(SignActivations{}, vectors::relu_activations, 1, {-1, -1, 1, 1, 1, 1, 1, 1, 1});
  check_backward(SignActivations{}, vectors::relu_activations, std::vector<float>(9, 1.0F), 1,
                 {1, 1, 1, 1, 1, 1, 1, 1, 0});
  const std::vector<float> x{-1.5F, -1, -.6F, -.2F, 0, .2F, .6F, 1, 1.5F};
  check_forward(SignActivations{}, x, 1, {-1, -1, -1, -1, -1, 1, 1, 1, 1});
  const SignActivations bnn{.zero = SignOfZero::plus};
  check_forward(bnn, x, 1, {-1, -1, -1, -1, 1, 1, 1, 1, 1});
  check_backward(bnn, x, std::vector<float>(9, 1.0F), 1, {0, 1, 1, 1, 1, 1, 1, 1, 0});
  check_backward(SignActivations{}, x, std::vector<float>(9, 1.0F), 1, {0, 1, 1, 1, 1, 1, 1, 1, 0});
  check_backward(SignActivations{}, x, std::vector<float>(9, 1.0F), 32,
                 {1, 1, 1, 1, 1, 1, 1, 1, 1});
}

TEST_CASE("sign policies have 1 and 32 bits only") {
  std::vector<float> y(6);
  std::vector<std::uint8_t> codes(6);
  const Quantizer<SignWeights> quantizer;
  CHECK_THROWS_WITH_AS(quantizer.fake_quantize(vectors::weights, 2, y),
                       "Quantizer<SignWeights>::fake_quantize: bits must be 1 or 32, got 2",
                       PrecisionError);
  CHECK_THROWS_WITH_AS(quantizer.encode(vectors::weights, 32, codes),
                       "Quantizer<SignWeights>::encode: bits must be 1, got 32", PrecisionError);
  CHECK_THROWS_AS(Quantizer<SignActivations>{}.backward(y, y, 8, y), PrecisionError);
}

TEST_CASE("BinaryConnect: a magnitude, and noise that draws +1 with the published probability") {
  check_forward(SignWeights{.magnitude = 0.5F}, vectors::weights, 1, {-.5, -.5, -.5, .5, .5, .5});
  CHECK(SignWeights{}.noise() == 0.0F);
  const SignWeights stochastic{.rounding = SignRounding::stochastic};
  REQUIRE(stochastic.noise() == 1.0F);
  // The share of a fine lattice of noise at which w + noise is +1: p of the vector.
  const std::vector<double> p{0, .25, .45, .525, .65, .9};
  for (std::size_t i = 0; i < p.size(); ++i) {
    int ups = 0;
    constexpr int count = 2000;
    for (int k = 0; k < count; ++k) {
      const float noise = (static_cast<float>(2 * k + 1) / count - 1.0F) * stochastic.noise();
      ups += stochastic.encode(vectors::weights[i] + noise, {}, 1);
    }
    CHECK(static_cast<double>(ups) / count == doctest::Approx(p[i]).epsilon(0.003));
  }
}
