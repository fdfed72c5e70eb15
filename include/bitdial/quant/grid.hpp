// SPDX-License-Identifier: Apache-2.0
// The two grids of codes on the unit interval that every uniform policy is built from.
#pragma once

#include <algorithm>
#include <cstdint>

#include <bitdial/core/config.hpp>
#include <bitdial/core/rounding.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// x clamped to [low, high]; NaN becomes `low`. Compiles to two vector instructions.
[[nodiscard]] constexpr float clamp_nan_low(float x, float low, float high) noexcept {
  const float raised = x > low ? x : low;
  return raised < high ? raised : high;
}

/// DoReFa's grid: 2^k values q / (2^k - 1), ends included, round half to even.
struct RoundGrid {
  /// round(u (2^k - 1)) of u clamped to [0, 1]; NaN gives code 0.
  ///
  /// u (2^k - 1) is computed as u 2^k - u: the product is exact, so the difference is the correctly
  /// rounded product, and a compiler that fuses multiply and add cannot change the result.
  [[nodiscard]] static constexpr std::int32_t encode(float u, int bits) noexcept {
    const float inside = clamp_nan_low(u, 0.0F, 1.0F);
    const float scaled = inside * static_cast<float>(1 << bits) - inside;
    return static_cast<std::int32_t>(round_half_even(scaled));
  }
};

/// AdaBits' grid: 2^k cells of equal width, code = floor(2^k u). The code of k bits is the code of
/// 8 bits without its low bits: floor(floor(2^8 u) / 2^(8-k)) = floor(2^k u).
struct FloorGrid {
  /// min(floor(u 2^k), 2^k - 1) of u clamped to [0, 1]; NaN gives code 0.
  [[nodiscard]] static constexpr std::int32_t encode(float u, int bits) noexcept {
    const float inside = clamp_nan_low(u, 0.0F, 1.0F);
    const auto cell = static_cast<std::int32_t>(inside * static_cast<float>(1 << bits));
    return std::min(cell, (1 << bits) - 1);
  }
};

}  // namespace bitdial::inline BITDIAL_ABI
