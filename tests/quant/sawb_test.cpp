// SPDX-License-Identifier: Apache-2.0
// SAWB weights against published vectors.
#include <bitdial/quant/policies/sawb.hpp>

#include "vectors.hpp"

using namespace bitdial;

TEST_CASE("SAWB at 2 bits") {
  CHECK(static_cast<double>(SawbWeights{}.fit(vectors::weights, 2).clip) ==
        doctest::Approx(0.971776955));
  vectors::check_backward(SawbWeights{}, vectors::weights, vectors::gradients, 2,
                          {0.1, -0.2, 0.3, -0.4, 0.5, -0.6});
  vectors::check_forward(SawbWeights{}, vectors::weights, 2,
                         {-0.971777, -0.3239257, -0.3239257, 0.3239257, 0.3239257, 0.971777});
}

TEST_CASE("SAWB: every width has factors of its own") {
  const SawbWeights policy;
  const auto& w = vectors::weights;  // rms 0.6367234, mean of magnitudes 0.4916667
  const struct {
    int bits;
    double clip;
  } cases[] = {{1, 0.4916667}, {2, 0.9717770}, {3, 1.3925892}, {4, 1.7803192},
               {5, 2.1308062}, {6, 2.0871793}, {7, 2.2992081}, {8, 2.4972291}};
  for (const auto& c : cases) {
    CAPTURE(c.bits);
    CHECK(static_cast<double>(policy.fit(w, c.bits).clip) == doctest::Approx(c.clip).epsilon(1e-6));
  }
  vectors::check_forward(policy, w, 3,
                         {-1.3925892, -0.596824, -0.1989413, 0.1989413, 0.1989413, 0.9947066});
  vectors::check_forward(policy, w, 4,
                         {-1.3055674, -0.5934397, -0.1186879, 0.1186879, 0.3560638, 0.8308156});
  vectors::check_forward(policy, w, 8,
                         {-1.2045458, -0.4994458, -0.1077236, 0.0489653, 0.3035847, 0.7932375});
  vectors::check_forward(policy, w, 32, {-1.2, -0.5, -0.1, 0.05, 0.3, 0.8});
  SawbWeights older;
  older.factors[1] = {.rms = 3.212F, .mean_abs = -2.178F};  // another published pair for 2 bits
  CHECK(static_cast<double>(older.fit(w, 2).clip) == doctest::Approx(0.9743055).epsilon(1e-6));
}
