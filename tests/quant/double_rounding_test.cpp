// SPDX-License-Identifier: Apache-2.0
// Weights of double rounding against published vectors.
#include <bitdial/quant/policies/double_rounding.hpp>

#include "learned_vectors.hpp"

using namespace bitdial;

TEST_CASE("double rounding: all widths from the codes of 8 bits") {
  const DoubleRoundingWeights policy;
  const auto& w = vectors::weights;
  vectors::check_codes(policy, w, 8, {1, 75, 117, 133, 160, 213});
  vectors::check_forward(policy, w, 4,
                         {-1.2094488, -0.4535433, -0.1511811, 0, 0.3023622, 0.7559055});
  vectors::check_forward(policy, w, 2, {-1.2094488, -0.6047244, 0, 0, 0, 0.6047244});
  const Quantizer<DoubleRoundingWeights> quantizer;
  auto state = quantizer.fit(w);
  CHECK(quantizer.parameter(state, "step")[0] == 1.2F / 127.0F);
}

TEST_CASE("double rounding: the gradient of the step is a difference of the step") {
  // Codes do not change for a small change of s, so y moves by l 2^d; inside, LSQ takes v off.
  const DoubleRoundingWeights plain{.step_gradient = StepGradient::plain};
  const LsqState state{0x1p-7F};
  const std::vector<float> w{-2.0F, -33.0F / 128.0F, 21.0F / 128.0F, 3.0F};
  vectors::check_slopes(plain, state, w, 4, "step", {-128, -32.0 + 33.0, 16.0 - 21.0, 112});
}
