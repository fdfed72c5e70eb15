// SPDX-License-Identifier: Apache-2.0
// Weights that are powers of two against published vectors.
#include <bitdial/quant/policies/power_of_two.hpp>

#include "vectors.hpp"

using namespace bitdial;

TEST_CASE("powers of two: three bits of exponent, thresholds at geometric means") {
  const PowerOfTwoWeights policy;
  vectors::check_forward(policy, vectors::weights, 3, {-1, -0.5, -0.125, 0.0625, 0.25, 1});
  vectors::check_forward(policy, {1.41F, 1.42F, 0.0F, -0.0F, 0.707F, 0.708F}, 3,
                         {1, 1, 0, 0, 0.5, 1});
  vectors::check_forward(PowerOfTwoWeights{.full_scale = 1}, {1.41F, 1.42F, -9.0F, 1e-9F}, 1,
                         {1, 2, -2, 0.5});
}

TEST_CASE("powers of two: in the paper's range the lowest exponent stands for zero") {
  const PaperPowerOfTwoWeights policy;
  vectors::check_forward(policy, vectors::weights, 3, {-0.5, -0.5, -0.125, 0.0625, 0.25, 0.5});
  vectors::check_forward(policy, vectors::weights, 2, {-0.5, -0.5, -0.125, 0, 0.25, 0.5});
  vectors::check_forward(PaperPowerOfTwoWeights{.full_scale = 1}, vectors::weights, 2,
                         {-1, -0.5, 0, 0, 0.25, 1});
}
