// SPDX-License-Identifier: Apache-2.0
// Adaptive gradient clipping: what a switch says is never large in relation to what it moves.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <bitdial/core/tensor.hpp>
#include <bitdial/nn/traverse.hpp>
#include <bitdial/quant/span_loops.hpp>

namespace bitdial::inline BITDIAL_ABI::train {

namespace detail {

/// sqrt(sum x^2), in double; it does not depend on the number of threads.
[[nodiscard]] inline double norm(std::span<const float> x) {
  const double squares = bitdial::detail::reduce_chunks(
      x.size(), 0.0,
      [&](std::int64_t begin, std::int64_t end) {
        double sum = 0.0;
        for (std::int64_t i = begin; i < end; ++i) {
          const auto value = static_cast<double>(x[static_cast<std::size_t>(i)]);
          sum += value * value;  // the product is exact
        }
        return sum;
      },
      [](double a, double b) { return a + b; });
  return std::sqrt(squares);
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
  explicit ClippedGradients(const nn::Named<nn::Parameter>& parameters) {
    for (const auto& [name, parameter] : parameters) {
      terms_.push_back({.parameter = parameter, .sum = Tensor<float>(parameter->grad.shape())});
    }
  }

  /// Sets the sums to 0.
  void start() {
    for (Term& term : terms_) term.sum.fill(0.0F);
  }

  /// Adds what the gradients hold, scaled down, and sets them to 0. Requires share > 0. Cost: two
  /// passes over the gradients that are not 0.
  void add(float share) {
    for (auto& [parameter, sum] : terms_) {
      const double found = detail::norm(parameter->grad.span());
      if (found == 0.0) continue;
      const double most = limit(*parameter, share);
      const bool is_large = std::isfinite(found) && found > most;
      const float scale = is_large ? static_cast<float>(most / found) : 1.0F;
      bitdial::detail::transform_spans(
          sum.span(), [scale](float total, float g) { return total + scale * g; },
          std::span<const float>{sum.span()}, std::span<const float>{parameter->grad.span()});
      parameter->grad.fill(0.0F);
    }
  }

  /// Makes the sums the gradients.
  void finish() {
    for (auto& [parameter, sum] : terms_) std::swap(parameter->grad, sum);
  }

 private:
  struct Term {
    nn::Parameter* parameter = nullptr;
    Tensor<float> sum;
  };

  [[nodiscard]] static double limit(const nn::Parameter& parameter, float share) {
    const auto count = static_cast<double>(parameter.value.size());
    const double size = std::max(detail::norm(parameter.value.span()),
                                 detail::least_size(parameter.role) * std::sqrt(count));
    return static_cast<double>(share) * size;
  }

  std::vector<Term> terms_;
};

}  // namespace bitdial::inline BITDIAL_ABI::train
