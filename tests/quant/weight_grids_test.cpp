// SPDX-License-Identifier: Apache-2.0
// SAWB, scaled DoReFa, powers of two and double rounding against published vectors.
#include <bitdial/quant/policies/dorefa.hpp>
#include <bitdial/quant/policies/double_rounding.hpp>
#include <bitdial/quant/policies/power_of_two.hpp>
#include <bitdial/quant/policies/sawb.hpp>
#include <bitdial/quant/policies/scaled_dorefa.hpp>

#include "learned_vectors.hpp"

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
