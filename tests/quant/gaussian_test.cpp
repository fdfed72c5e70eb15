// SPDX-License-Identifier: Apache-2.0
// Gaussian weights against published vectors.
#include <bitdial/quant/policies/gaussian.hpp>

#include "normal_error.hpp"
#include "vectors.hpp"

using namespace bitdial;

TEST_CASE("values and codes") {
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
  const GaussianWeights policy;
  for (int bits = 1; bits <= 8; ++bits) {
    CAPTURE(bits);
    for (const double f : {0.97, 1.03}) {
      CHECK(vectors::normal_error(policy, bits, 1.0) < vectors::normal_error(policy, bits, f));
    }
  }
}
