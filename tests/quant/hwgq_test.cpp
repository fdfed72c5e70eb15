// SPDX-License-Identifier: Apache-2.0
// HWGQ activations (both rules) and Gaussian weights against published vectors.
#include <bitdial/quant/policies/hwgq.hpp>

#include <cmath>

#include "vectors.hpp"

using namespace bitdial;

namespace {

const std::vector<float> x{-0.3F, 0.0F, 0.1F, 0.26F, 0.28F, 0.7F, 0.81F, 1.0F, 1.4F, 1.7F, 3.0F};

}  // namespace

TEST_CASE("activations, nearest value") {
  const HwgqActivations policy;
  vectors::check_forward(policy, x, 1, {0, 0, 0, 0, 0, 0.799, 0.799, 0.799, 0.799, 0.799, 0.799});
  vectors::check_forward(policy, x, 2,
                         {0, 0, 0, 0, 0.538, 0.538, 1.076, 1.076, 1.614, 1.614, 1.614});
  vectors::check_forward(policy, x, 3,
                         {0, 0, 0, 0.3217, 0.3217, 0.6434, 0.9651, 0.9651, 1.2868, 1.6085, 2.2519});
  vectors::check_forward(policy, x, 4,
                         {0, 0, 0.185, 0.185, 0.37, 0.74, 0.74, 0.925, 1.48, 1.665, 2.775});
  vectors::check_backward(policy, x, std::vector<float>(x.size(), 1.0F), 2,
                          {0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0});
}

TEST_CASE("activations, every positive value gets a step") {
  const HwgqActivations policy{.rule = HwgqRule::positive_step};
  vectors::check_forward(policy, x, 2,
                         {0, 0, 0.538, 0.538, 0.538, 0.538, 1.076, 1.076, 1.614, 1.614, 1.614});
  vectors::check_backward(policy, x, std::vector<float>(x.size(), 1.0F), 2,
                          {0, 0, 1, 1, 1, 1, 1, 1, 1, 0, 0});
  vectors::check_forward(policy, {-1.0F, 0.0F, 2.5F}, 32, {0, 0, 2.5});
}

TEST_CASE("Gaussian weights: values and codes") {
  const GaussianWeights policy;
  const auto& w = vectors::weights;
  CHECK(static_cast<double>(policy.fit(w).deviation) == doctest::Approx(0.687325735));
  const double g1 = 0.5484859;
  vectors::check_forward(policy, w, 1, {-g1, -g1, -g1, g1, g1, g1});
  vectors::check_forward(policy, w, 2,
                         {-1.0268646, -0.3422882, -0.3422882, 0.3422882, 0.3422882, 1.0268646});
  vectors::check_forward(policy, w, 3,
                         {-1.0069322, -0.6041593, -0.2013864, 0.2013864, 0.2013864, 0.6041593});
  vectors::check_forward(policy, w, 4,
                         {-1.270178, -0.5773536, -0.1154707, 0.1154707, 0.3464122, 0.8082951});
  vectors::check_codes(policy, w, 1, {0, 0, 0, 1, 1, 1});
  vectors::check_codes(policy, w, 2, {0, 1, 1, 2, 2, 3});
  vectors::check_codes(policy, w, 3, {1, 2, 3, 4, 4, 5});
  vectors::check_codes(policy, w, 4, {2, 5, 7, 8, 9, 11});
  vectors::check_backward(policy, w, vectors::gradients, 2, {0.1, -0.2, 0.3, -0.4, 0.5, -0.6});
}

TEST_CASE("the steps are those of the least square error for normal values, at every width") {
  // The error of the step f s at a value is f^2 times that of s at the value / f.
  const auto error = [](const auto& policy, const auto& state, int bits, double f) {
    double sum = 0.0;
    for (int i = -24000; i <= 24000; ++i) {
      const double value = static_cast<double>(i) / 4000.0;
      const auto part = static_cast<float>(value / f);
      float y = 0.0F;
      Quantizer{policy}.fake_quantize({&part, 1}, state, bits, {&y, 1});
      const bool counts = policy.role == TensorRole::weights || value > 0.0;
      const double distance = counts ? value - f * static_cast<double>(y) : 0.0;
      sum += std::exp(-value * value / 2.0) * distance * distance;
    }
    return sum;
  };
  const HwgqActivations activations{.rule = HwgqRule::positive_step};
  const GaussianWeights weights;
  for (int bits = 1; bits <= 8; ++bits) {
    CAPTURE(bits);
    for (const double f : {0.97, 1.03}) {
      CHECK(error(activations, HwgqActivations::State{}, bits, 1.0) <
            error(activations, HwgqActivations::State{}, bits, f));
      CHECK(error(weights, GaussianWeights::State{}, bits, 1.0) <
            error(weights, GaussianWeights::State{}, bits, f));
    }
  }
}
