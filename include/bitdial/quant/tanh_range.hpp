// SPDX-License-Identifier: Apache-2.0
// The range of DoReFa weights, AdaBits weights and tanh activations: t / M with t = tanh x and
// M = max |t| over the tensor. The maximum is part of the function that is differentiated.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include <bitdial/core/config.hpp>
#include <bitdial/core/error.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/quant/grid.hpp>
#include <bitdial/quant/smallest_scale.hpp>
#include <bitdial/quant/span_loops.hpp>
#include <bitdial/quant/statistics.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// M and where it was found.
struct TanhRange {
  float max = 1.0F;         ///< M > 0; 1 for a tensor whose elements all count as zero
  std::int64_t index = -1;  ///< of the maximum; -1: M is a constant and gets no gradient

  /// tanh is odd and increasing, so M = tanh(max |x|).
  [[nodiscard]] static TanhRange from(const AbsStatistics& statistics) noexcept {
    if (!(statistics.max >= smallest_scale)) return {};
    return {std::tanh(statistics.max), statistics.index};
  }

  /// t / M, clamped to [-1, 1] where M is of another tensor.
  [[nodiscard]] float normalized(float x) const noexcept {
    return clamp_nan_low(std::tanh(x) / max, -1.0F, 1.0F);
  }

  /// t / (2 M) + 1/2, the position in the unit interval of a grid; it clamps.
  [[nodiscard]] float unit(float x) const noexcept { return std::tanh(x) / (2.0F * max) + 0.5F; }

  /// dx = J^T dy of x -> t / M:
  ///   dx_i  = dy_i (1 - t_i^2) / M
  ///   dx_m -= sign(t_m) (1 - t_m^2) / M^2 * sum_j dy_j t_j     (m = index; not if it is -1)
  /// Elements beyond a constant M are clamped and get no gradient; neither do NaN elements, which
  /// take no part in the sum. `dx` may be `dy`. Throws `ShapeError` if m lies outside x.
  /// Cost: one tanh per element.
  void backward(std::span<const float> x, std::span<const float> dy, std::span<float> dx) const {
    if (index >= static_cast<std::int64_t>(x.size())) {
      throw ShapeError(concat("TanhRange::backward: the maximum of the state is element ", index,
                              ", x has ", x.size(), " elements"));
    }
    const float bound = max;
    const auto slope = [bound](float t) { return (1.0F - t) * (1.0F + t) / bound; };
    const bool has_max = index >= 0;
    const float t = has_max ? std::tanh(x[static_cast<std::size_t>(index)]) : 0.0F;
    const double sum = detail::reduce_chunks(
        x.size(), 0.0,
        [x, dy, dx, slope, bound](std::int64_t begin, std::int64_t end) {
          double partial = 0.0;
          for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
            const float at = std::tanh(x[i]);
            const float gradient = dy[i];
            if (!std::isnan(x[i])) {
              partial += static_cast<double>(gradient) * static_cast<double>(at);
            }
            dx[i] = std::fabs(at) <= bound ? gradient * slope(at) : 0.0F;
          }
          return partial;
        },
        [](double total, double chunk) { return total + chunk; });
    if (has_max) {
      const double through_max =
          std::copysign(static_cast<double>(slope(t)), static_cast<double>(t)) * sum /
          static_cast<double>(bound);
      float& at_max = dx[static_cast<std::size_t>(index)];
      at_max = static_cast<float>(static_cast<double>(at_max) - through_max);
    }
  }

  /// x -> t / M of a whole tensor, M included: the surrogate whose derivative `backward` is.
  template <class Real>
  static void surrogate(std::span<const Real> x, std::span<Real> y) {
    Real bound{0};
    for (const Real value : x) bound = std::max(bound, std::fabs(std::tanh(value)));
    if (!(bound >= static_cast<Real>(smallest_scale))) bound = Real{1};
    std::ranges::transform(x, y.begin(), [bound](Real value) { return std::tanh(value) / bound; });
  }

  friend bool operator==(const TanhRange&, const TanhRange&) = default;
};

}  // namespace bitdial::inline BITDIAL_ABI
