// SPDX-License-Identifier: Apache-2.0
// Scale-adjusted weights against published vectors.
#include <bitdial/quant/policies/scale_adjusted.hpp>

#include <doctest/doctest.h>
#include <bitdial/core/random.hpp>
#include <bitdial/quant/policies/dorefa.hpp>

#include "vectors.hpp"

using namespace bitdial;

TEST_CASE("four bits of the modified grid, two outputs, 1 x 1") {
  const ScaleAdjusted<> policy = ScaleAdjusted<>{}.for_shape({.out_channels = 2, .taps = 1});
  const auto state = policy.fit(vectors::weights, 4);
  CHECK(static_cast<double>(state.factor) == doctest::Approx(1.135923668).epsilon(1e-7));
  vectors::check_forward(policy, vectors::weights, 4,
                         {-1.1359237, -0.7099523, -0.1419905, 0, 0.2839809, 0.8519428});
  vectors::check_codes(policy, vectors::weights, 4, {0, 3, 7, 8, 10, 14});
}

TEST_CASE("the variance of the quantized weights is 1 / n at every width, 32 bits included") {
  std::vector<float> w(500);
  Random random(6, 6);
  for (float& value : w) value = 0.3F * random.normal();
  const auto check = [&](const auto& policy, int bits) {
    CAPTURE(bits);
    std::vector<float> y(w.size());
    Quantizer{policy}.fake_quantize(w, bits, y);
    CHECK(moments(y).deviation() == doctest::Approx(1.0 / std::sqrt(36.0)).epsilon(1e-5));
  };
  for (const int bits : {1, 2, 4, 8, 32}) {
    check(ScaleAdjusted<>{}.for_shape({.out_channels = 4, .taps = 9, .in_channels = 7}), bits);
    check(ScaleAdjusted<DoReFaWeights>{.fan_out = 36}, bits);
  }
}

TEST_CASE("the gradient is the factor times that of the wrapped policy") {
  const ScaleAdjusted<> policy{.fan_out = 2};
  const double f = 1.135923668;
  vectors::check_backward(
      policy, vectors::weights, vectors::gradients, 4,
      {f * -.0922662, f * -.1886747, f * .3562865, f * -.4786175, f * .5488706, f * -.4023646});
}

TEST_CASE("what evaluation of a classifier drops") {
  const ScaleAdjusted<>::State state{{}, 2.5F};
  CHECK(ScaleAdjusted<>{}.evaluation_divisor(state) == 1.0F);
  CHECK(ScaleAdjusted<>{.use = ScaleUse::training}.evaluation_divisor(state) == 2.5F);
}

TEST_CASE("weights without spread are not scaled") {
  CHECK(ScaleAdjusted<>{.fan_out = 9}.fit(std::vector<float>(4), 4).factor == 1.0F);
  CHECK(ScaleAdjusted<>{.fan_out = 9}.fit(std::vector<float>{}, 4).factor == 1.0F);
}
