// SPDX-License-Identifier: Apache-2.0
// LSQ+ against published vectors; where its numbers start.
#include <bitdial/quant/policies/lsq_plus.hpp>

#include <bitdial/core/random.hpp>

#include "learned_vectors.hpp"

using namespace bitdial;

TEST_CASE("weights start from mean and deviation, and are LSQ from there") {
  const Quantizer<LsqPlusWeights> quantizer;
  const LsqState four = quantizer.fit(vectors::weights, 4);
  CHECK(static_cast<double>(four.step) == doctest::Approx(0.271288817).epsilon(1e-7));
  CHECK(quantizer.fit(vectors::weights, 2).step == 4.0F * four.step);
  const LsqState state{0.983333333F};
  vectors::check_forward_at(LsqPlusWeights{}, state, vectors::weights, 2,
                            {-0.983333333, -0.983333333, 0, 0, 0, 0.983333333});
  CHECK(quantizer.gradients(vectors::weights, vectors::gradients, state, 2) ==
        Quantizer<LsqWeights>{}.gradients(vectors::weights, vectors::gradients, state, 2));
}

TEST_CASE("activations: values, slopes of step and offset") {
  const LsqPlusActivations plain{.step_gradient = StepGradient::plain};
  const LsqPlusActivations::State state{0.4F, -0.25F};
  const auto& x = vectors::activations;
  vectors::check_forward_at(plain, state, x, 2, {-0.25, 0.15, 0.15, 0.55, 0.55, 0.95, 0.95});
  vectors::check_slopes(plain, state, x, 2, "step", {0, 0.125, -0.275, 0.125, -0.475, 0.125, 3});
  vectors::check_slopes(plain, state, x, 2, "beta", {1, 0, 0, 0, 0, 0, 1});
  vectors::check_backward_at(plain, state, x, 2, {0, 1, 1, 1, 1, 1, 0});
  const std::vector<float> dy{0.2F, -0.1F, 0.4F, 0.3F, -0.5F, 0.6F, -0.7F};
  const auto raw = Quantizer{plain}.gradients(x, dy, state, 2);
  vectors::check_near({raw.step, raw.beta}, {-1.8725, -0.5});
  const auto scaled = Quantizer<LsqPlusActivations>{}.gradients(x, dy, state, 2);
  vectors::check_near({scaled.step, scaled.beta}, {-1.8725 / std::sqrt(7.0 * 3.0), -0.5});
}

TEST_CASE("a negative step counts by its magnitude") {
  const LsqPlusActivations plain{.step_gradient = StepGradient::plain};
  vectors::check_forward_at(plain, {-0.4F, -0.25F}, {0.1F, 1.3F}, 2, {0.15, 0.95});
  vectors::check_slopes(plain, {-0.4F, -0.25F}, {0.1F, 1.3F}, 2, "step", {-0.125, -3});
}

TEST_CASE("activations start on the line of least error") {
  const Quantizer<LsqPlusActivations> quantizer;
  // Values on a line are found exactly, with outliers or without.
  const auto found = quantizer.fit(std::vector<float>{0.5F, 1.0F, -0.5F, 0.0F, 1.0F, 0.0F}, 2);
  CHECK(found.step == doctest::Approx(0.5F));
  CHECK(found.beta == doctest::Approx(-0.5F));
  const Quantizer<LsqPlusActivations> both{{.signs = GridSigns::signed_values}};
  CHECK(both.fit(std::vector<float>{0.5F, 1.0F, -0.5F, 0.0F}, 2).beta == doctest::Approx(0.5F));

  std::vector<float> x(5000);
  Random random(3, 1);
  for (float& value : x) value = 1.0F + 0.5F * random.normal();
  x[7] = 30.0F;
  const auto error = [&](LsqPlusActivations::State state, int bits) {
    std::vector<float> y(x.size());
    quantizer.fake_quantize(x, state, bits, y);
    double sum = 0.0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      sum += std::pow(static_cast<double>(x[i]) - static_cast<double>(y[i]), 2);
    }
    return sum;
  };
  for (const int bits : {1, 2, 3}) {
    CAPTURE(bits);
    const auto start = quantizer.fit(x, bits);
    const double least = error(start, bits);
    for (const float factor : {0.7F, 0.85F, 1.15F, 1.3F}) {
      CHECK(least < error({start.step * factor, start.beta}, bits));
    }
    for (const float shift : {-0.2F, 0.2F}) {
      CHECK(least < error({start.step, start.beta + shift}, bits));
    }
  }
}

TEST_CASE("a batch without spread") {
  const Quantizer<LsqPlusActivations> quantizer;
  CHECK(quantizer.fit(std::vector<float>{}, 2) == LsqPlusActivations::State{});
  CHECK(quantizer.fit(std::vector<float>{0.25F, 0.25F}, 2) ==
        LsqPlusActivations::State{1.0F, 0.25F});
}
