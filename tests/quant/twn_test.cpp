// SPDX-License-Identifier: Apache-2.0
// Ternary weights whose size is measured, against published vectors.
#include <bitdial/quant/policies/twn.hpp>

#include "vectors.hpp"

using namespace bitdial;

TEST_CASE("TWN: threshold, alpha, values") {
  const TernaryWeights policy;
  const auto state = policy.fit(vectors::weights);
  CHECK(static_cast<double>(state.threshold) == doctest::Approx(0.344166667));
  CHECK(static_cast<double>(state.alpha) == doctest::Approx(0.833333333));
  vectors::check_forward(policy, vectors::weights, 2, {-0.8333333, -0.8333333, 0, 0, 0, 0.8333333});
  vectors::check_backward(policy, vectors::weights, vectors::gradients, 2,
                          {0.1, -0.2, 0.3, -0.4, 0.5, -0.6});
}
