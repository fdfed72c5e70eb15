// SPDX-License-Identifier: Apache-2.0
// PACT against published vectors; parameters by name.
#include <bitdial/quant/policies/pact.hpp>

#include "learned_vectors.hpp"

using namespace bitdial;

TEST_CASE("values and the gradient of x are those of the vectors") {
  const PactState state{0.8F};
  vectors::check_forward_at(PactActivations{}, state, vectors::activations, 2,
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
}

TEST_CASE("alpha is set by name, starts where the policy says, and counts by magnitude") {
  const Quantizer<PactActivations> quantizer;
  CHECK(quantizer.fit(vectors::activations, 1).alpha == 1.0F);
  CHECK(quantizer.fit(vectors::activations, 8).alpha == 4.0F);
  CHECK(quantizer.fit(vectors::activations, 32).alpha == 8.0F);
  const Quantizer wide{PactActivations{{.initial_alpha = 10.0F}}};
  CHECK(wide.fit(vectors::activations, 2).alpha == 10.0F);
  PactState state = quantizer.fit(vectors::activations, 2);
  CHECK(state.alpha == 1.8F);
  quantizer.parameter(state, "alpha")[0] = -0.8F;
  CHECK(state.alpha == -0.8F);
  CHECK(quantizer.levels(state, 2).scale == 0.8F / 3.0F);
  vectors::check_slopes(PactActivations{}, state, vectors::activations, 2, "alpha",
                        {0, 0, 0, 0, 0, -1, -1});
  CHECK_THROWS_WITH_AS(static_cast<void>(quantizer.parameter(state, "step")),
                       "Quantizer<PactActivations>::parameter: no parameter 'step', there is alpha",
                       ConfigError);
}

TEST_CASE("two sides: clamp to [-alpha, alpha], quantize the map to [0, 1], map back") {
  PactActivations pact;
  pact.sides = ClipSides::two;
  const PactState state{0.8F};
  // x / 1.6 + 1/2, clamped: 0 0 .3125 .5625 .9375 1; times 3, rounded: 0 0 1 2 3 3.
  const std::vector<float> x{-1.0F, -0.8F, -0.3F, 0.1F, 0.7F, 0.9F};
  const double third = 0.8 / 3;
  vectors::check_forward_at(pact, state, x, 2, {-0.8, -0.8, -third, third, 0.8, 0.8});
  vectors::check_forward_at(pact, state, x, 32, {-0.8, -0.8, -0.3, 0.1, 0.7, 0.8});
  vectors::check_backward_at(pact, state, x, 2, {0, 0, 1, 1, 1, 0});
  vectors::check_slopes(pact, state, x, 2, "alpha", {-1, -1, 0, 0, 0, 1});
  CHECK(Quantizer{pact}.levels(state, 2) ==
        IntegerLevels{.scale = 0.8F / 3.0F, .multiplier = 2, .offset = -3});
}
