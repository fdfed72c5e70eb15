// SPDX-License-Identifier: Apache-2.0
// Gradients of learned numbers against differences of what is declared: the quantized value as a
// function of the numbers, where what rounding adds (to the units that it rounds) is held.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "policy_laws.hpp"

using namespace bitdial;

namespace {

/// What is declared of one value: without rounding, and what rounding by one unit adds.
struct Straight {
  double value;  ///< of the real-valued map
  double unit;   ///< what one unit of rounding is worth
};

/// LSQ and its kin: s clip((x - beta) / s) + beta, a unit of rounding is worth s.
Straight line(double x, double s, double beta, double low, double high) {
  return {std::clamp((x - beta) / s, low, high) * s + beta, s};
}

double width(double number) {
  return std::fabs(number);
}

Straight straight(const LsqWeights&, const LsqState& n, double x, int bits) {
  const IntegerGrid grid = lsq_grid(GridSigns::signed_values, bits);
  const double s = width(static_cast<double>(n.step));
  return line(x, s, 0.0, grid.low, grid.high);
}
Straight straight(const LsqActivations& policy, const LsqState& n, double x, int bits) {
  const IntegerGrid grid = lsq_grid(policy.signs, bits);
  return line(x, width(static_cast<double>(n.step)), 0.0, grid.low, grid.high);
}
Straight straight(const LsqPlusActivations& policy, const LsqPlusActivations::State& n, double x,
                  int bits) {
  const IntegerGrid grid = lsq_grid(policy.signs, bits);
  return line(x, width(static_cast<double>(n.step)), static_cast<double>(n.beta), grid.low,
              grid.high);
}
Straight straight(const DoubleRoundingWeights&, const LsqState& n, double x, int bits) {
  const IntegerGrid grid = lsq_grid(GridSigns::signed_values, bits);
  return line(x, std::ldexp(width(static_cast<double>(n.step)), 8 - bits), 0.0, grid.low,
              grid.high);
}
/// PACT learns from clipping alone: rounding is worth nothing.
Straight straight(const PactActivations& policy, const PactState& n, double x, int) {
  const double alpha = width(static_cast<double>(n.alpha));
  return {std::clamp(x, policy.sides == ClipSides::one ? 0.0 : -alpha, alpha), 0.0};
}
Straight straight(const CgPactActivations& policy, const PactState& n, double x, int) {
  const double alpha = width(static_cast<double>(n.alpha));
  return {std::clamp(x, policy.sides == ClipSides::one ? 0.0 : -alpha, alpha), alpha};
}
Straight straight(const QilWeights&, const QilWeights::State& n, double w, int) {
  const double u = (std::fabs(w) - static_cast<double>(n.centre)) /
                       (2.0 * width(static_cast<double>(n.distance))) +
                   0.5;
  const double t = u <= 0.0 ? 0.0 : u >= 1.0 ? 1.0 : std::pow(u, static_cast<double>(n.gamma));
  return {std::copysign(t, w), 1.0};
}
Straight straight(const QilActivations&, const QilActivations::State& n, double x, int bits) {
  if (x <= 0.0) return {0.0, 1.0};
  return straight(QilWeights{}, {n.centre, n.distance, 1.0F}, x, bits);
}
/// Trained ternary values are the numbers themselves.
Straight straight(const TrainedTernaryWeights&, const TrainedTernaryWeights::State& n, double w,
                  int) {
  const auto threshold = static_cast<double>(n.threshold);
  return {w > threshold    ? static_cast<double>(n.positive)
          : w < -threshold ? -static_cast<double>(n.negative)
                           : 0.0,
          0.0};
}

/// d (sum dy y) / d number by central differences, `name` the number.
template <class P>
double difference(const P& policy, typename P::State state, std::string_view name, std::size_t at,
                  const std::vector<float>& x, const std::vector<float>& dy, int bits) {
  const Quantizer<P> quantizer{policy};
  std::vector<float> y(x.size());
  quantizer.fake_quantize(x, state, bits, y);
  std::vector<double> rounding(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const Straight now = straight(policy, state, static_cast<double>(x[i]), bits);
    rounding[i] = now.unit == 0.0 ? 0.0 : (static_cast<double>(y[i]) - now.value) / now.unit;
  }
  float& number = quantizer.parameter(state, name)[at];
  const float middle = number;
  const auto loss = [&](float value) {
    number = value;
    double sum = 0.0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const Straight now = straight(policy, state, static_cast<double>(x[i]), bits);
      sum += static_cast<double>(dy[i]) * (now.value + rounding[i] * now.unit);
    }
    return sum;
  };
  const float h = std::fabs(middle) * 0x1p-14F;
  const float above = middle + h;
  const float below = middle - h;
  const double rise = loss(above) - loss(below);
  return rise / (static_cast<double>(above) - static_cast<double>(below));
}

template <class P>
void check_differences(const P& policy, const typename P::State& state, int bits) {
  CAPTURE(P::name);
  CAPTURE(bits);
  const std::vector<float> x = laws::sample(97);
  std::vector<float> dy(x.size());
  Random random(8, 0);
  for (float& gradient : dy) gradient = random.normal();
  const Quantizer<P> quantizer{policy};
  auto found = quantizer.gradients(x, dy, state, bits);
  for (const auto& parameter : P::parameters) {
    CAPTURE(parameter.name);
    const std::span<const float> numbers = parameter.numbers(found);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const double expected = difference(policy, state, parameter.name, i, x, dy, bits);
      CHECK(std::fabs(expected) > 1e-3);
      CHECK(static_cast<double>(numbers[i]) == doctest::Approx(expected).epsilon(2e-3));
    }
  }
}

constexpr StepGradient plain = StepGradient::plain;

}  // namespace

TEST_CASE("steps") {
  for (const int bits : {2, 3, 4, 8}) {
    const float step = 1.1137F / static_cast<float>(1 << (bits - 1));
    for (const float sign : {1.0F, -1.0F}) {
      const LsqState state{sign * step};
      check_differences(LsqWeights{.step_gradient = plain}, state, bits);
      check_differences(LsqActivations{.step_gradient = plain}, state, bits);
      check_differences(LsqActivations{.signs = GridSigns::signed_values, .step_gradient = plain},
                        state, bits);
      check_differences(LsqPlusActivations{.step_gradient = plain}, {sign * step, -0.307F}, bits);
      check_differences(DoubleRoundingWeights{.step_gradient = plain}, {sign * 0.0087F}, bits);
    }
  }
}

TEST_CASE("clipping levels") {
  for (const int bits : {1, 2, 4, 8}) {
    for (const float alpha : {0.8137F, -0.8137F}) {
      for (const ClipSides sides : {ClipSides::one, ClipSides::two}) {
        PactActivations pact;
        CgPactActivations calibrated;
        pact.sides = calibrated.sides = sides;
        check_differences(pact, {alpha}, bits);
        check_differences(calibrated, {alpha}, bits);
      }
    }
  }
}

TEST_CASE("intervals") {
  for (const int bits : {2, 4, 8}) {
    for (const float gamma : {1.0F, 0.5F, 1.7F}) {
      check_differences(QilWeights{}, {0.613F, 0.497F, gamma}, bits);
      check_differences(QilWeights{}, {0.613F, -0.497F, gamma}, bits);
    }
    check_differences(QilActivations{}, {0.613F, 0.497F}, bits);
  }
}

TEST_CASE("ternary values") {
  check_differences(TrainedTernaryWeights{}, {0.1F, 0.9F, 0.7F}, 2);
}

TEST_CASE("the gradient of a step is scaled by 1 / sqrt(N Qp)") {
  const std::vector<float> x = laws::sample(97);
  const LsqState state{0.3F};
  const auto ratio = [&](auto scaled, auto unscaled, int bits) {
    return static_cast<double>(Quantizer{scaled}.gradients(x, x, state, bits).step) /
           static_cast<double>(Quantizer{unscaled}.gradients(x, x, state, bits).step);
  };
  for (const int bits : {2, 4, 8}) {
    const double top = (1 << (bits - 1)) - 1;
    CHECK(ratio(LsqWeights{}, LsqWeights{.step_gradient = plain}, bits) ==
          doctest::Approx(1.0 / std::sqrt(97.0 * top)));
    CHECK(ratio(LsqActivations{}, LsqActivations{.step_gradient = plain}, bits) ==
          doctest::Approx(1.0 / std::sqrt(97.0 * (2.0 * top + 1.0))));
  }
}
