// SPDX-License-Identifier: Apache-2.0
// The two straight-through gradients: of the identity, and of a clamp to an interval.
#pragma once

#include <algorithm>
#include <span>

#include <bitdial/core/config.hpp>
#include <bitdial/quant/span_loops.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// The surrogate y = x.
struct IdentitySurrogate {
  template <class Real>
  static void forward(std::span<const Real> x, std::span<Real> y) {
    std::ranges::copy(x, y.begin());
  }
  /// dx = dy
  static void backward(std::span<const float> dy, std::span<float> dx) {
    detail::transform_spans(
        dx, [](float gradient) { return gradient; }, dy);
  }
};

/// The surrogate y = clamp(x, low, high).
struct ClampSurrogate {
  float low = 0.0F;
  float high = 1.0F;

  template <class Real>
  void forward(std::span<const Real> x, std::span<Real> y) const {
    std::ranges::transform(x, y.begin(), [this](Real value) {
      return std::clamp(value, static_cast<Real>(low), static_cast<Real>(high));
    });
  }
  /// dx = dy 1[low <= x <= high], both ends included; 0 where x is NaN.
  void backward(std::span<const float> x, std::span<const float> dy, std::span<float> dx) const {
    detail::transform_spans(
        dx,
        [lower = low, upper = high](float value, float gradient) {
          // One comparison per bound without a branch: & instead of &&, so that it vectorises.
          const bool inside = static_cast<int>(value >= lower) & static_cast<int>(value <= upper);
          return inside ? gradient : 0.0F;
        },
        x, dy);
  }
};

}  // namespace bitdial::inline BITDIAL_ABI
