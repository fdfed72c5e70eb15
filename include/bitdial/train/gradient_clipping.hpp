// SPDX-License-Identifier: Apache-2.0
// Adaptive gradient clipping: what a switch says is never large in relation to what it moves.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include <bitdial/core/tensor.hpp>
#include <bitdial/nn/parameter.hpp>
#include <bitdial/nn/traverse.hpp>
#include <bitdial/ops/detail/elementwise.hpp>

namespace bitdial::inline BITDIAL_ABI::train {

namespace detail {

/// sum x^2, in double. Eight sums run side by side, so that none waits for the addition before.
[[nodiscard]] inline double sum_of_squares(std::span<const float> x) noexcept {
  constexpr std::size_t lanes = 8;
  std::array<double, lanes> sums{};
  std::size_t i = 0;
  for (; i + lanes <= x.size(); i += lanes) {
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      const auto value = static_cast<double>(x[i + lane]);
      sums[lane] += value * value;  // the product is exact
    }
  }
  for (; i < x.size(); ++i) sums[0] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

/// The Euclidean norm of values(parameter) for every parameter: infinite or NaN where an element
/// is. It does not depend on the number of threads.
template <class Values>
[[nodiscard]] std::vector<double> norms(const nn::Named<nn::Parameter>& parameters, Values values) {
  std::vector<std::vector<double>> squares;  // of each run
  for (const auto& [name, parameter] : parameters) {
    squares.emplace_back(static_cast<std::size_t>(parameter->value.size()) / nn::most_of_run + 1);
  }
  nn::for_each_run(parameters, [&](std::size_t i, std::int64_t begin, std::int64_t end) {
    const auto first = static_cast<std::size_t>(begin);
    squares[i][first / nn::most_of_run] =
        sum_of_squares(values(std::as_const(*parameters[i].second))
                           .subspan(first, static_cast<std::size_t>(end) - first));
  });
  std::vector<double> result;
  for (const auto& of_runs : squares) {
    result.push_back(std::sqrt(std::accumulate(of_runs.begin(), of_runs.end(), 0.0)));
  }
  return result;
}

/// The root mean square below which a parameter of this role does not count as small: what
/// normalises, shifts or chooses has the size 1 wherever it starts.
[[nodiscard]] constexpr double least_size(nn::ParameterRole role) noexcept {
  const bool starts_anywhere = role == nn::ParameterRole::weight || role == nn::ParameterRole::clip;
  return starts_anywhere ? 1e-3 : 1.0;
}

}  // namespace detail

/// Adds up the gradients of several passes over the same parameters, each of them limited on its
/// own: the gradient g that one pass gives a parameter w of n elements is scaled down to
///
///   |g| <= share max(|w|, least sqrt(n)),
///
/// Euclidean norms, least = 0.001 for weights and learned clips, 1 for all else; smaller gradients
/// and those that are not finite stay as they are.
///
/// Low precisions have large gradients in deep networks: every layer whose clip is small multiplies
/// what flows through it. Limited one by one, the noise of one switch cannot drown what the others
/// say. Brock et al., "High-performance large-scale image recognition without normalization", arXiv
/// 2102.06171, for each filter, with 0.001 throughout; inferred: for each parameter and each pass,
/// and 1 for the others.
class ClippedGradients {
 public:
  /// The parameters must outlive this object.
  explicit ClippedGradients(nn::Named<nn::Parameter> parameters)
      : parameters_{std::move(parameters)} {
    for (const auto& [name, parameter] : parameters_) sums_.emplace_back(parameter->grad.shape());
  }

  /// Sets the sums to 0; parameters must not change before `finish`.
  void start() {
    nn::for_each_run(parameters_, [&](std::size_t i, std::int64_t begin, std::int64_t end) {
      std::fill(sums_[i].data() + begin, sums_[i].data() + end, 0.0F);
    });
    sizes_.clear();
  }

  /// Adds what the gradients hold, scaled down, and sets them to 0. Requires share > 0. Cost: two
  /// passes over the gradients; a third one, over the parameters, in the first call after `start`.
  void add(float share) {
    if (sizes_.empty()) {
      sizes_ = detail::norms(parameters_,
                             [](const nn::Parameter& parameter) { return parameter.value.span(); });
      for (std::size_t i = 0; i < sizes_.size(); ++i) {
        const nn::Parameter& parameter = *parameters_[i].second;
        const double least = detail::least_size(parameter.role) *
                             std::sqrt(static_cast<double>(parameter.value.size()));
        sizes_[i] = std::max(sizes_[i], least);
      }
    }
    const std::vector<double> found = detail::norms(
        parameters_, [](const nn::Parameter& parameter) { return parameter.grad.span(); });
    nn::for_each_run(parameters_, [&](std::size_t i, std::int64_t begin, std::int64_t end) {
      if (found[i] == 0.0) return;
      const double most = static_cast<double>(share) * sizes_[i];
      const bool is_large = std::isfinite(found[i]) && found[i] > most;
      const float scale = is_large ? static_cast<float>(most / found[i]) : 1.0F;
      float* const sum = sums_[i].data() + begin;
      float* const gradient = parameters_[i].second->grad.data() + begin;
      ops::detail::map_span(
          end - begin, sum, [scale](float total, float g) { return total + scale * g; }, sum,
          gradient);
      std::fill_n(gradient, end - begin, 0.0F);
    });
  }

  /// Makes the sums the gradients.
  void finish() {
    for (std::size_t i = 0; i < sums_.size(); ++i) std::swap(parameters_[i].second->grad, sums_[i]);
  }

 private:
  nn::Named<nn::Parameter> parameters_;
  std::vector<Tensor<float>> sums_;
  std::vector<double> sizes_;  // max(|w|, least sqrt(n)) of each parameter; empty until asked for
};

}  // namespace bitdial::inline BITDIAL_ABI::train
