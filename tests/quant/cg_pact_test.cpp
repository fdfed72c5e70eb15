// SPDX-License-Identifier: Apache-2.0
// CG-PACT against published vectors: values of PACT, another gradient of alpha.
#include <bitdial/quant/policies/cg_pact.hpp>

#include "learned_vectors.hpp"

using namespace bitdial;

TEST_CASE("values are those of PACT, rounding errors move alpha too") {
  const PactState state{0.8F};
  vectors::check_forward_at(CgPactActivations{}, state, vectors::activations, 2,
                            {0, 0, 0.2666667, 0.5333333, 0.8, 0.8, 0.8});
  vectors::check_slopes(CgPactActivations{}, state, vectors::activations, 2, "alpha",
                        {0, -0.125, 0.0083333, 0.0416667, 0.075, 1, 1});
  vectors::check_slopes(CgPactActivations{}, state, vectors::activations, 32, "alpha",
                        {0, 0, 0, 0, 0, 1, 1});
  const Quantizer adabits{CgPactActivations{{.initial_alpha = 10.0F}}};
  CHECK(adabits.fit(vectors::activations, 2).alpha == 10.0F);
}

TEST_CASE("two sides") {
  CgPactActivations calibrated;
  calibrated.sides = ClipSides::two;
  const PactState state{0.8F};
  const std::vector<float> x{-1.0F, -0.8F, -0.3F, 0.1F, 0.7F, 0.9F};
  const double third = 0.8 / 3;
  vectors::check_forward_at(calibrated, state, x, 2, {-0.8, -0.8, -third, third, 0.8, 0.8});
  vectors::check_slopes(calibrated, state, x, 2, "alpha",
                        {-1, -1, (-third + 0.3) / 0.8, (third - 0.1) / 0.8, 0.1 / 0.8, 1});
}
