// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cmath>
#include <span>
#include <vector>

#include <bitdial/quant/policies/dorefa.hpp>

#include "vectors.hpp"

using namespace bitdial;
using vectors::check_backward;
using vectors::check_codes;
using vectors::check_forward;

namespace {

constexpr double third = 1.0 / 3.0;
constexpr double mean_abs = 0.491666667;

}  // namespace

TEST_CASE("DoReFaWeights: forward vectors") {
  const auto& w = vectors::weights;
  const DoReFaWeights policy;
  check_forward(policy, w, 1, {-mean_abs, -mean_abs, -mean_abs, mean_abs, mean_abs, mean_abs});
  check_forward(policy, w, 2, {-1, -third, -third, third, third, 1});
  check_forward(policy, w, 3, {-1, -.4285714, -.1428571, .1428571, .4285714, .7142857});
  check_forward(policy, w, 4, {-1, -.6, -.0666667, .0666667, .3333333, .7333333});
  check_forward(policy, w, 8, {-1, -.5529412, -.1215686, .0588235, .3490196, .7960784});
  check_forward(policy, w, 32, {-1.2, -.5, -.1, .05, .3, .8});
}

TEST_CASE("DoReFaWeights: codes of the packed evaluation") {
  check_codes(DoReFaWeights{}, vectors::weights, 1, {0, 0, 0, 1, 1, 1});
  check_codes(DoReFaWeights{}, vectors::weights, 2, {0, 1, 1, 2, 2, 3});
  check_codes(DoReFaWeights{}, vectors::weights, 4, {0, 3, 7, 8, 10, 13});
}

TEST_CASE("DoReFaWeights: the gradient goes through the maximum") {
  const auto& w = vectors::weights;
  const auto& g = vectors::gradients;
  for (const int bits : {2, 3, 4, 8}) {
    check_backward(DoReFaWeights{}, w, g, bits,
                   {-.0922662, -.1886747, .3562865, -.4786175, .5488706, -.4023646});
  }
  for (const int bits : {1, 32})
    check_backward(DoReFaWeights{}, w, g, bits, {.1, -.2, .3, -.4, .5, -.6});
}

TEST_CASE("DoReFaWeights: a state without index is a constant") {
  const Quantizer<DoReFaWeights> quantizer;
  auto state = quantizer.fit(vectors::weights);
  CHECK(state.range.max == doctest::Approx(.833654607).epsilon(1e-6));
  CHECK(state.range.index == 0);
  CHECK(static_cast<double>(state.mean_abs) == doctest::Approx(mean_abs).epsilon(1e-7));
  state.range.index = -1;
  std::vector<float> dx(6);
  quantizer.backward(vectors::weights, vectors::gradients, state, 2, dx);
  vectors::check_near(dx, {.0365883, -.1886747, .3562865, -.4786175, .5488706, -.4023646});
}

TEST_CASE("DoReFaWeights: a frozen maximum clamps what lies beyond it") {
  const Quantizer<DoReFaWeights> quantizer;
  const DoReFaWeights::State state{{.max = std::tanh(0.5F), .index = -1}, 0.5F};
  const std::vector<float> w{-2.0F, -0.5F, 0.1F, 0.6F};
  std::vector<float> y(4);
  std::vector<float> dw(4);
  quantizer.fake_quantize(w, state, 2, y);
  vectors::check_near(y, {-1, -1, third, 1});
  quantizer.backward(w, std::vector<float>(4, 1.0F), state, 2, dw);
  const double slope = 1.0 / std::tanh(0.5);
  const auto derivative = [&](double x) { return (1 - std::pow(std::tanh(x), 2)) * slope; };
  vectors::check_near(dw, {0, derivative(0.5), derivative(0.1), 0});
}

TEST_CASE("DoReFaWeights: one bit is mean|w| and sign(0) = +1") {
  check_forward(DoReFaWeights{}, {0.0F, -0.0F, -3.0F, 1.0F}, 1, {1, 1, -1, 1});
}

TEST_CASE("DoReFaActivations: forward vectors, ties to even") {
  const auto& x = vectors::activations;
  const DoReFaActivations policy;
  check_forward(policy, x, 1, {0, 0, 0, 0, 1, 1, 1});
  check_forward(policy, x, 2, {0, 0, third, 2 * third, 2 * third, 1, 1});
  check_forward(policy, x, 3, {0, .1428571, .2857143, .5714286, .7142857, .8571429, 1});
  check_forward(policy, x, 4, {0, .1333333, .2666667, .5333333, .7333333, .9333333, 1});
  check_forward(policy, x, 32, {-.4, .1, .26, .5, .74, .9, 1.3});
  check_codes(policy, {.1F, .26F, .5F, .74F, .9F, 1.3F}, 2, {0, 1, 2, 2, 3, 3});
  check_codes(policy, {.1F, .26F, .5F, .74F, .9F, 1.3F}, 4, {2, 4, 8, 11, 14, 15});
}

TEST_CASE("DoReFaActivations: the gradient is 1 on [0, 1], ends included") {
  const std::vector<float> x{-0.1F, -0.0F, 0.0F, 0.5F, 1.0F, 1.0001F, NAN};
  const std::vector<float> dy{1, 2, 3, 4, 5, 6, 7};
  for (const int bits : {1, 2, 8}) {
    check_backward(DoReFaActivations{}, x, dy, bits, {0, 2, 3, 4, 5, 0, 0});
  }
  check_backward(DoReFaActivations{}, x, dy, 32, {1, 2, 3, 4, 5, 6, 7});
}

TEST_CASE("DoReFaActivations: codes are the rounded product, for every float near a threshold") {
  // The reference rounds x * n once, to float, and then to even: what any kernel computes.
  for (int bits = 1; bits <= 8; ++bits) {
    const auto n = static_cast<float>((1 << bits) - 1);
    for (int code = 0; code < (1 << bits) - 1; ++code) {
      float x = (static_cast<float>(code) + 0.5F) / n;
      for (int i = 0; i < 4; ++i) x = std::nextafter(x, 0.0F);
      for (int i = 0; i < 9; ++i, x = std::nextafter(x, 2.0F)) {
        volatile float product = x * n;  // no fused multiply-add
        CHECK(DoReFaActivations{}.encode(x, {}, bits) == static_cast<int>(std::nearbyint(product)));
      }
    }
  }
}

TEST_CASE("packed evaluation: the exact sums of the notes") {
  // dot = scale_w scale_a sum level_w level_a over the first six activations
  const Quantizer<DoReFaWeights> weights;
  const Quantizer<DoReFaActivations> activations;
  const std::vector<float> x{.1F, .26F, .5F, .74F, .9F, 1.3F};
  struct Case {
    int w, a, sum;
    double dot;
  };
  for (const Case& c :
       {Case{1, 2, 5, .819444444}, Case{2, 2, 11, 1.222222222}, Case{4, 2, 39, .866666667},
        Case{4, 4, 172, .764444444}, Case{1, 1, 3, 1.475}}) {
    std::vector<std::uint8_t> q(6);
    std::vector<std::uint8_t> u(6);
    weights.encode(vectors::weights, c.w, q);
    activations.encode(x, c.a, u);
    const IntegerLevels w_line = weights.levels(vectors::weights, c.w);
    const IntegerLevels a_line = activations.levels(x, c.a);
    int sum = 0;
    for (std::size_t i = 0; i < 6; ++i) sum += w_line.level(q[i]) * a_line.level(u[i]);
    CHECK(sum == c.sum);
    const double scale = static_cast<double>(w_line.scale) * static_cast<double>(a_line.scale);
    CHECK(scale * sum == doctest::Approx(c.dot).epsilon(1e-6));
  }
}

TEST_CASE("DoReFaWeights: a tensor of subnormal numbers has finite gradients, those of zeros") {
  const Quantizer<DoReFaWeights> quantizer;
  const std::vector<float> dw_expected{1.0F, -2.0F, 3.0F};
  for (const float tiny : {1e-40F, 1e-45F}) {
    const std::vector<float> w{tiny, -tiny, 0.0F};
    std::vector<float> dw(3);
    quantizer.backward(w, dw_expected, 4, dw);
    CHECK(dw == dw_expected);
    // The surrogate says the same: tanh w itself, M = 1.
    std::vector<double> y(3);
    const std::vector<double> x(w.begin(), w.end());
    DoReFaWeights{}.surrogate(std::span<const double>(x), 4, std::span<double>(y));
    CHECK(y[0] == std::tanh(x[0]));
  }
}

TEST_CASE("DoReFaActivations: one bit of SP-Nets is a sign, other widths are not") {
  const DoReFaActivations policy{.one_bit = OneBitActivations::sign};
  const auto& x = vectors::relu_activations;
  check_forward(policy, x, 1, {-1, -1, 1, 1, 1, 1, 1, 1, 1});
  check_backward(policy, x, std::vector<float>(9, 1.0F), 1, {1, 1, 1, 1, 1, 1, 1, 1, 0});
  check_forward(policy, {-1.0F, 0.4F, 0.9F}, 2, {0, third, 1});
  check_forward(policy, {-1.0F, 0.4F, 1.9F}, 32, {-1, 0.4, 1.9});
  CHECK(policy.levels({}, 1) == IntegerLevels{.scale = 1.0F, .multiplier = 2, .offset = -1});
}

TEST_CASE("DoReFa weights of one bit without a scale: SP-Nets") {
  const DoReFaWeights unit{.one_bit = OneBitWeights::unit};
  vectors::check_forward(unit, vectors::weights, 1, {-1, -1, -1, 1, 1, 1});
  vectors::check_forward(unit, {0.0F, -0.0F}, 1, {1, 1});
  vectors::check_backward(unit, vectors::weights, vectors::gradients, 1,
                          {0.1, -0.2, 0.3, -0.4, 0.5, -0.6});
  vectors::check_forward(unit, vectors::weights, 2, {-1, -third, -third, third, third, 1});
}
