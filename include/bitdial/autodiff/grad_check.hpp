// SPDX-License-Identifier: Apache-2.0
// Gradients against central differences, in double.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <bitdial/autodiff/tape.hpp>
#include <bitdial/core/tensor.hpp>
#include <bitdial/core/text.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// The element on which analytic and numeric gradient differ most.
///
/// error = |analytic - numeric| / max(1, |analytic|, |numeric|); -1 when nothing was compared.
struct GradCheck {
  double error = -1.0;
  std::int64_t input = 0;  ///< which tensor, in the order given
  std::int64_t index = 0;  ///< which element of it
  double analytic = 0.0;
  double numeric = 0.0;

  [[nodiscard]] std::string text() const {
    return concat("input ", input, " element ", index, ": analytic ", analytic, ", numeric ",
                  numeric, ", error ", error);
  }
};

/// Compares `analytic` with (loss(x + step e_i) - loss(x - step e_i)) / (2 step) for every element
/// of x. `loss` is called without arguments and reads x, which is restored afterwards.
template <std::invocable Loss>
[[nodiscard]] GradCheck check_gradient(TensorView<double> x, TensorView<const double> analytic,
                                       Loss loss, double step = 1e-5) {
  if (x.shape() != analytic.shape()) {
    throw ShapeError(
        concat("check_gradient: x is ", x.shape(), ", its gradient ", analytic.shape()));
  }
  GradCheck worst;
  for (std::int64_t i = 0; i < x.size(); ++i) {
    double& element = x.data()[i];
    const double saved = element;
    element = saved + step;
    const double above = loss();
    element = saved - step;
    const double below = loss();
    element = saved;
    const double numeric = (above - below) / (2.0 * step);
    const double exact = analytic.data()[i];
    const double error =
        std::abs(exact - numeric) / std::max({1.0, std::abs(exact), std::abs(numeric)});
    // Written so that NaN counts as the worst.
    if (!(error <= worst.error)) {
      worst = {.index = i, .analytic = exact, .numeric = numeric};
      worst.error = std::isnan(error) ? HUGE_VAL : error;
    }
  }
  return worst;
}

/// The same for a function on a tape: `build(tape, vars)` records it from one leaf per input and
/// returns a loss of one element.
template <class Build>
[[nodiscard]] GradCheck check_gradients(std::vector<Tensor<double>> inputs, Build build,
                                        double step = 1e-5) {
  const auto record = [&](BasicTape<double>& tape, std::vector<BasicVar<double>>& leaves) {
    for (const Tensor<double>& input : inputs) leaves.push_back(tape.leaf(input));
    return build(tape, std::span<const BasicVar<double>>(leaves));
  };
  BasicTape<double> tape;
  std::vector<BasicVar<double>> leaves;
  tape.backward(record(tape, leaves));
  const auto loss = [&] {
    BasicTape<double> trial;
    std::vector<BasicVar<double>> trial_leaves;
    return record(trial, trial_leaves).value()[0];
  };
  GradCheck worst;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    GradCheck one = check_gradient(inputs[i].view(), leaves[i].grad().view(), loss, step);
    one.input = static_cast<std::int64_t>(i);
    if (one.error > worst.error) worst = one;
  }
  return worst;
}

}  // namespace bitdial::inline BITDIAL_ABI
