// SPDX-License-Identifier: Apache-2.0
// PACT and CG-PACT against published vectors; parameters by name.
#include <bitdial/quant/policies/pact.hpp>

#include "learned_vectors.hpp"

using namespace bitdial;

TEST_CASE("values and the gradient of x are those of the vectors") {
  const PactState state{0.8F};
  vectors::check_forward_at(PactActivations{}, state, vectors::activations, 2,
                            {0, 0, 0.2666667, 0.5333333, 0.8, 0.8, 0.8});
  vectors::check_forward_at(CgPactActivations{}, state, vectors::activations, 2,
                            {0, 0, 0.2666667, 0.5333333, 0.8, 0.8, 0.8});
  vectors::check_backward_at(PactActivations{}, state, vectors::activations, 2,
                             {0, 1, 1, 1, 1, 0, 0});
  const PactState wide{1.2F};
  vectors::check_forward_at(PactActivations{}, wide, vectors::activations, 2,
                            {0, 0, 0.4, 0.4, 0.8, 0.8, 1.2});
  vectors::check_forward_at(PactActivations{}, wide, vectors::activations, 4,
                            {0, 0.08, 0.24, 0.48, 0.72, 0.88, 1.2});
}

TEST_CASE("d y / d alpha, element by element") {
  const PactState state{0.8F};
  vectors::check_slopes(PactActivations{}, state, vectors::activations, 2, "alpha",
                        {0, 0, 0, 0, 0, 1, 1});
  vectors::check_slopes(CgPactActivations{}, state, vectors::activations, 2, "alpha",
                        {0, -0.125, 0.0083333, 0.0416667, 0.075, 1, 1});
  vectors::check_slopes(CgPactActivations{}, state, vectors::activations, 32, "alpha",
                        {0, 0, 0, 0, 0, 1, 1});
}

TEST_CASE("alpha is set by name, starts where the policy says, and counts by magnitude") {
  const Quantizer<PactActivations> quantizer;
  PactState state = quantizer.fit(vectors::activations);
  CHECK(state.alpha == 8.0F);
  quantizer.parameter(state, "alpha")[0] = -0.8F;
  CHECK(state.alpha == -0.8F);
  CHECK(quantizer.levels(state, 2).scale == 0.8F / 3.0F);
  vectors::check_slopes(PactActivations{}, state, vectors::activations, 2, "alpha",
                        {0, 0, 0, 0, 0, -1, -1});
  CHECK_THROWS_WITH_AS(static_cast<void>(quantizer.parameter(state, "step")),
                       "Quantizer<PactActivations>::parameter: no parameter 'step', there is alpha",
                       ConfigError);
}
