// SPDX-License-Identifier: Apache-2.0
// The range of DoReFa weights, AdaBits weights and tanh activations: t / M with t = tanh x and
// M = max |t| over the tensor. The maximum is part of the function that is differentiated.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include <bitdial/core/config.hpp>
#include <bitdial/core/error.hpp>
#include <bitdial/core/tanh.hpp>
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
    return {hyperbolic_tangent(statistics.max), statistics.index};
  }

  /// t / M, clamped to [-1, 1] where M is of another tensor.
  [[nodiscard]] float normalized(float x) const noexcept {
    return clamp_nan_low(hyperbolic_tangent(x) / max, -1.0F, 1.0F);
  }

  /// t / (2 M) + 1/2, the position in the unit interval of a grid; it clamps.
  [[nodiscard]] float unit(float x) const noexcept { return unit_of_tanh(hyperbolic_tangent(x)); }
  /// The same, from t.
  [[nodiscard]] float unit_of_tanh(float t) const noexcept { return t / (2.0F * max) + 0.5F; }

  /// dx = J^T dy of x -> t / M, from t:
  ///   dx_i  = dy_i (1 - t_i^2) / M
  ///   dx_m -= sign(t_m) (1 - t_m^2) / M^2 * sum_j dy_j t_j     (m = index; not if it is -1)
  /// Elements beyond a constant M are clamped and get no gradient; neither do NaN elements, which
  /// take no part in the sum. `dx` may be `dy`. Throws `ShapeError` if m lies outside t.
  void backward_of_tanh(std::span<const float> t, std::span<const float> dy,
                        std::span<float> dx) const {
    if (index >= static_cast<std::int64_t>(t.size())) {
      throw ShapeError(concat("TanhRange::backward: the maximum of the state is element ", index,
                              ", x has ", t.size(), " elements"));
    }
    const float bound = max;
    const auto slope = [bound](float at) { return (1.0F - at) * (1.0F + at) / bound; };
    const bool has_max = index >= 0;
    const float at_max = has_max ? t[static_cast<std::size_t>(index)] : 0.0F;
    // Sums run side by side, so that none waits for the addition before.
    constexpr std::size_t lanes = 8;
    using Sums = std::array<double, lanes>;
    const auto add = [t, dy, dx, slope, bound](std::size_t i, double& sum) {
      const float at = t[i], gradient = dy[i];
      sum += at == at ? static_cast<double>(gradient) * static_cast<double>(at) : 0.0;
      dx[i] = std::fabs(at) <= bound ? gradient * slope(at) : 0.0F;
    };
    const double sum = detail::reduce_chunks(
        t.size(), 0.0,
        [add](std::int64_t begin, std::int64_t end) {
          Sums sums{};
          auto i = static_cast<std::size_t>(begin);
          for (; i + lanes <= static_cast<std::size_t>(end); i += lanes) {
            for (std::size_t lane = 0; lane < lanes; ++lane) add(i + lane, sums[lane]);
          }
          for (; i < static_cast<std::size_t>(end); ++i) add(i, sums[0]);
          return std::accumulate(sums.begin(), sums.end(), 0.0);
        },
        [](double total, double chunk) { return total + chunk; });
    if (has_max) {
      const double through_max =
          std::copysign(static_cast<double>(slope(at_max)), static_cast<double>(at_max)) * sum /
          static_cast<double>(bound);
      float& to = dx[static_cast<std::size_t>(index)];
      to = static_cast<float>(static_cast<double>(to) - through_max);
    }
  }

  /// The same, from x. Cost: one tanh per element, and their memory.
  void backward(std::span<const float> x, std::span<const float> dy, std::span<float> dx) const {
    std::vector<float> t(x.size());
    detail::transform_spans(
        std::span<float>{t}, [](float value) { return hyperbolic_tangent(value); }, x);
    backward_of_tanh(t, dy, dx);
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
