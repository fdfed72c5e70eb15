// SPDX-License-Identifier: Apache-2.0
// The two straight-through gradients: of the identity, and of a clamp to an interval.
#pragma once

#include <algorithm>
#include <limits>
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

/// The surrogate y = clamp(x, low, high); with infinite bounds y = x.
struct ClampSurrogate {
  float low = 0.0F;
  float high = 1.0F;

  [[nodiscard]] static constexpr ClampSurrogate identity() noexcept {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    return {-infinity, infinity};
  }
  [[nodiscard]] constexpr bool passes_all() const noexcept { return *this == identity(); }
  /// Where the derivative is 1: low <= x <= high, both ends included, not for NaN. One comparison
  /// per bound without a branch, so that loops over it vectorise.
  [[nodiscard]] constexpr bool passes(float x) const noexcept {
    return (static_cast<int>(x >= low) & static_cast<int>(x <= high)) != 0;
  }

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
        [gate = *this](float value, float gradient) {
          return gate.passes(value) ? gradient : 0.0F;
        },
        x, dy);
  }

  friend constexpr bool operator==(const ClampSurrogate&, const ClampSurrogate&) = default;
};

}  // namespace bitdial::inline BITDIAL_ABI
