// SPDX-License-Identifier: Apache-2.0
// Trained ternary weights against published vectors.
#include <bitdial/quant/policies/ttq.hpp>

#include "learned_vectors.hpp"

using namespace bitdial;

TEST_CASE("TTQ: values, latent gradient, gradients of Wp and Wn") {
  const Quantizer<TrainedTernaryWeights> quantizer;
  auto state = quantizer.fit(vectors::weights);
  CHECK(static_cast<double>(state.threshold) == doctest::Approx(0.06));
  CHECK(state.positive == 1.0F);
  quantizer.parameter(state, "positive")[0] = 0.9F;
  quantizer.parameter(state, "negative")[0] = 0.7F;
  vectors::check_forward_at(TrainedTernaryWeights{}, state, vectors::weights, 2,
                            {-0.7, -0.7, -0.7, 0, 0.9, 0.9});
  std::vector<float> dw(6);
  quantizer.backward(vectors::weights, vectors::gradients, state, 2, dw);
  vectors::check_near(dw, {0.07, -0.14, 0.21, -0.4, 0.45, -0.54});
  const auto gradient = quantizer.gradients(vectors::weights, vectors::gradients, state, 2);
  vectors::check_near({gradient.positive, gradient.negative}, {-0.1, -0.2});
  CHECK(gradient.threshold == 0.0F);
}
