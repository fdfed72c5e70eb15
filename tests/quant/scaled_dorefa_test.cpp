// SPDX-License-Identifier: Apache-2.0
// Scaled DoReFa weights against published vectors.
#include <bitdial/quant/policies/dorefa.hpp>
#include <bitdial/quant/policies/scaled_dorefa.hpp>

#include "vectors.hpp"

using namespace bitdial;

TEST_CASE("scaled DoReFa at every published width") {
  const ScaledDoReFaWeights policy;
  const auto& w = vectors::weights;
  const double e = 0.4916667;
  vectors::check_forward(policy, w, 1, {-e, -e, -e, e, e, e});
  vectors::check_forward(policy, w, 2,
                         {-0.4916667, -0.1638889, -0.1638889, 0.1638889, 0.1638889, 0.4916667});
  vectors::check_forward(policy, w, 4,
                         {-0.4916667, -0.295, -0.0327778, 0.0327778, 0.1638889, 0.3605556});
  vectors::check_forward(policy, w, 8,
                         {-0.4916667, -0.2718627, -0.0597712, 0.0289216, 0.1716013, 0.3914052});
  vectors::check_forward(policy, w, 32,
                         {-0.4916667, -0.272544, -0.0587815, 0.0294641, 0.1718082, 0.3916307});
}

TEST_CASE("scaled DoReFa: the sums of the packed evaluation") {
  const std::vector<float> x{.1F, .26F, .5F, .74F, .9F, 1.3F};
  struct Case {
    int w, a;
    double dot;
  };
  for (const Case& c : {Case{1, 2, .819444444}, Case{2, 2, .600925926}, Case{4, 2, .426111111},
                        Case{4, 4, .375851852}, Case{1, 1, 1.475}}) {
    std::vector<float> w(6);
    std::vector<float> a(6);
    Quantizer<ScaledDoReFaWeights>{}.fake_quantize(vectors::weights, c.w, w);
    Quantizer<DoReFaActivations>{}.fake_quantize(x, c.a, a);
    double dot = 0.0;
    for (std::size_t i = 0; i < 6; ++i) {
      dot += static_cast<double>(w[i]) * static_cast<double>(a[i]);
    }
    CHECK(dot == doctest::Approx(c.dot).epsilon(1e-6));
  }
}
