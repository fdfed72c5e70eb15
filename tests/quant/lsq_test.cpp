// SPDX-License-Identifier: Apache-2.0
// LSQ against published vectors.
#include <bitdial/quant/policies/lsq.hpp>

#include "learned_vectors.hpp"

using namespace bitdial;

TEST_CASE("weights: step, codes and the gradient of the step") {
  const Quantizer<LsqWeights> quantizer;
  const LsqState two = quantizer.fit(vectors::weights, 2);
  CHECK(two.step == doctest::Approx(0.983333333).epsilon(1e-6));
  vectors::check_forward_at(LsqWeights{}, two, vectors::weights, 2,
                            {-0.983333333, -0.983333333, 0, 0, 0, 0.983333333});
  const LsqWeights plain{.step_gradient = StepGradient::plain};
  vectors::check_slopes(plain, two, vectors::weights, 2, "step",
                        {0.220339, -0.4915254, 0.1016949, -0.0508475, -0.3050847, 0.1864407});
  CHECK(static_cast<double>(
            Quantizer{plain}.gradients(vectors::weights, vectors::gradients, two, 2).step) ==
        doctest::Approx(-0.093220339).epsilon(1e-5));
  CHECK(
      static_cast<double>(quantizer.gradients(vectors::weights, vectors::gradients, two, 2).step) ==
      doctest::Approx(-0.038057044).epsilon(1e-5));

  const LsqState four = quantizer.fit(vectors::weights, 4);
  CHECK(four.step == doctest::Approx(0.371665065).epsilon(1e-6));
  const float s = four.step;
  vectors::check_forward_at(LsqWeights{}, four, vectors::weights, 4,
                            {-3.0 * s, -1.0 * s, 0, 0, 1.0 * s, 2.0 * s});
  vectors::check_slopes(plain, four, vectors::weights, 4, "step",
                        {0.2287135, 0.3452973, 0.2690595, -0.1345297, 0.1928216, -0.1524756});
  CHECK(static_cast<double>(
            quantizer.gradients(vectors::weights, vectors::gradients, four, 4).step) ==
        doctest::Approx(0.042624421).epsilon(1e-5));
}

TEST_CASE("activations: values, both gradients") {
  const std::vector<float> x{-0.4F, 0.1F, 0.26F, 0.5F, 0.74F, 0.88F, 1.3F};
  const std::vector<float> dy{0.2F, -0.1F, 0.4F, 0.3F, -0.5F, 0.6F, -0.7F};
  const LsqState state{0.3F};
  const Quantizer<LsqActivations> quantizer;
  vectors::check_forward_at(LsqActivations{}, state, x, 2, {0, 0, 0.3, 0.6, 0.6, 0.9, 0.9});
  std::vector<float> dx(x.size());
  quantizer.backward(x, dy, state, 2, dx);
  vectors::check_near(dx, {0, -0.1, 0.4, 0.3, -0.5, 0.6, 0});
  vectors::check_slopes(LsqActivations{.step_gradient = StepGradient::plain}, state, x, 2, "step",
                        {0, -0.3333333, 0.1333333, 0.3333333, -0.4666667, 0.0666667, 3});
  CHECK(static_cast<double>(quantizer.gradients(x, dy, state, 2).step) ==
        doctest::Approx(-0.35787734).epsilon(1e-5));
}

TEST_CASE("signed activations have the grid of weights; one bit of weights is refused") {
  const LsqActivations both{.signs = GridSigns::signed_values};
  vectors::check_forward_at(both, LsqState{0.5F}, {-2.0F, -0.5F, 0.2F, 0.3F, 4.0F}, 2,
                            {-1.0, -0.5, 0.0, 0.5, 0.5});
  const Quantizer<LsqWeights> weights;
  std::vector<float> y(6);
  CHECK_THROWS_WITH_AS(weights.fake_quantize(vectors::weights, 1, y),
                       "Quantizer<LsqWeights>::fake_quantize: bits must be 2..8 or 32, got 1",
                       PrecisionError);
}
