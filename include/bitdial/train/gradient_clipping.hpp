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
#include <bitdial/nn/traverse.hpp>
#include <bitdial/quant/span_loops.hpp>

namespace bitdial::inline BITDIAL_ABI::train {

namespace detail {

/// sqrt(sum x^2), in double; it does not depend on the number of threads. Eight sums run side by
/// side, so that none waits for the addition before.
[[nodiscard]] inline double norm(std::span<const float> x) {
  constexpr std::int64_t lanes = 8;
  const double squares = bitdial::detail::reduce_chunks(
      x.size(), 0.0,
      [&](std::int64_t begin, std::int64_t end) {
        std::array<double, static_cast<std::size_t>(lanes)> sums{};
        const float* const data = x.data();
        std::int64_t i = begin;
        for (; i + lanes <= end; i += lanes) {
          for (std::size_t lane = 0; lane < sums.size(); ++lane) {
            const auto value = static_cast<double>(data[i + static_cast<std::int64_t>(lane)]);
            sums[lane] += value * value;  // the product is exact
          }
        }
        for (; i < end; ++i) {
          sums[0] += static_cast<double>(data[i]) * static_cast<double>(data[i]);
        }
        return std::accumulate(sums.begin(), sums.end(), 0.0);
      },
      [](double first, double second) { return first + second; });
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

  /// Sets the sums to 0; parameters must not change before `finish`.
  void start() {
    for (Term& term : terms_) {
      term.sum.fill(0.0F);
      term.size = 0.0;
    }
  }

  /// Adds what the gradients hold, scaled down, and sets them to 0. Requires share > 0. Cost: two
  /// passes over the gradients that are not 0.
  void add(float share) {
    for (auto& [parameter, sum, size] : terms_) {
      const double found = detail::norm(parameter->grad.span());
      if (found == 0.0) continue;
      if (size == 0.0) size = size_of(*parameter);
      const double most = static_cast<double>(share) * size;
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
    for (Term& term : terms_) std::swap(term.parameter->grad, term.sum);
  }

 private:
  struct Term {
    nn::Parameter* parameter = nullptr;
    Tensor<float> sum;
    double size = 0.0;  ///< of the parameter; 0 until a gradient asks
  };

  /// max(|w|, least sqrt(n)), above 0
  [[nodiscard]] static double size_of(const nn::Parameter& parameter) {
    const auto count = static_cast<double>(parameter.value.size());
    return std::max(detail::norm(parameter.value.span()),
                    detail::least_size(parameter.role) * std::sqrt(count));
  }

  std::vector<Term> terms_;
};

}  // namespace bitdial::inline BITDIAL_ABI::train
