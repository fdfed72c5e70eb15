// SPDX-License-Identifier: Apache-2.0
// Adaptive gradient clipping: no gradient is large in relation to what it moves.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>

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
          sum = std::fma(value, value, sum);
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

/// Scales the gradient g of every parameter w of n elements down to
///
///   |g| <= share max(|w|, least sqrt(n)),
///
/// Euclidean norms, least = 0.001 for weights and learned clips, 1 for all else; smaller gradients
/// and those that are not finite stay as they are.
///
/// A joint step adds the gradients of all switches, and a channel that has the same code everywhere
/// multiplies what flows through its batch normalisation by 300: without a limit one learned clip
/// or one layer can end a training. Requires share > 0. Cost: one pass over parameters and
/// gradients. Brock et al., "High-performance large-scale image recognition without normalization",
/// arXiv 2102.06171, for each filter, with 0.001 throughout; inferred: for each parameter, and 1
/// for the others.
inline void clip_gradients(const nn::Named<nn::Parameter>& parameters, float share) {
  for (const auto& [name, parameter] : parameters) {
    const auto count = static_cast<double>(parameter->value.size());
    const double size = std::max(detail::norm(parameter->value.span()),
                                 detail::least_size(parameter->role) * std::sqrt(count));
    const double most = static_cast<double>(share) * size;
    const double found = detail::norm(parameter->grad.span());
    if (!(found > most) || !std::isfinite(found)) continue;
    const auto factor = static_cast<float>(most / found);
    for (float& g : parameter->grad.span()) g *= factor;
  }
}

}  // namespace bitdial::inline BITDIAL_ABI::train
