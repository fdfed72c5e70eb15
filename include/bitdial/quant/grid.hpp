// SPDX-License-Identifier: Apache-2.0
// The grids of codes that the uniform policies are built from: rounded, floored, integers, three
// values, signs.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include <bitdial/core/config.hpp>
#include <bitdial/core/rounding.hpp>
#include <bitdial/quant/levels.hpp>
#include <bitdial/quant/straight_through.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// x clamped to [low, high]; NaN becomes `low`.
[[nodiscard]] constexpr float clamp_nan_low(float x, float low, float high) noexcept {
  const float raised = x > low ? x : low;
  return raised < high ? raised : high;
}

/// x clamped to [0, 1]; NaN becomes 0.
///
/// Two selections on the bit pattern: written with `?:` on floats the second comparison becomes a
/// branch on the outcome of the first, and GCC does not vectorise the loop around it. The bit
/// patterns of non-negative floats are ordered as the floats are.
[[nodiscard]] constexpr float clamp_unit(float x) noexcept {
  const std::int32_t keep = -static_cast<std::int32_t>(x > 0.0F);
  const std::int32_t raised = std::bit_cast<std::int32_t>(x) & keep;
  return std::bit_cast<float>(std::min(raised, std::bit_cast<std::int32_t>(1.0F)));
}

/// x clamped to [-range, range], range positive; NaN stays NaN. On the bit pattern, as above.
[[nodiscard]] constexpr float clamp_magnitude(float x, float range) noexcept {
  const std::int32_t bits = std::bit_cast<std::int32_t>(x);
  const std::int32_t magnitude = bits & 0x7fffffff;
  const std::int32_t nan = -static_cast<std::int32_t>(magnitude > 0x7f800000) & 0x7fc00000;
  const std::int32_t inside = std::min(magnitude, std::bit_cast<std::int32_t>(range));
  return std::bit_cast<float>(inside | (bits ^ magnitude) | nan);
}

/// DoReFa's grid: 2^k values q / (2^k - 1), ends included, round half to even.
struct RoundGrid {
  /// round(u (2^k - 1)) of u clamped to [0, 1]; NaN gives code 0.
  ///
  /// u (2^k - 1) is computed as u 2^k - u: the product is exact, so the difference is the correctly
  /// rounded product, and a compiler that fuses multiply and add cannot change the result.
  [[nodiscard]] static constexpr std::int32_t encode(float u, int bits) noexcept {
    const float inside = clamp_unit(u);
    const float scaled = inside * static_cast<float>(1 << bits) - inside;
    return static_cast<std::int32_t>(round_half_even(scaled));
  }
};

/// The values of `RoundGrid` mapped from [0, 1] to [-range, range]: symmetric, without zero.
struct TwoSidedGrid {
  float range = 1.0F;

  /// The code of x clamped to the range, which is positive; NaN gets code 0. In double, each
  /// operation rounded once, so that it is monotone.
  [[nodiscard]] constexpr std::int32_t encode(float x, int bits) const noexcept {
    const auto inside = static_cast<double>(clamp_magnitude(x, range));
    const double unit = inside / (2.0 * static_cast<double>(range)) + 0.5;
    return RoundGrid::encode(static_cast<float>(unit), bits);
  }
  /// level 2 q - (2^k - 1) in steps of range / (2^k - 1)
  [[nodiscard]] constexpr IntegerLevels levels(int bits) const noexcept {
    const std::int32_t top = (1 << bits) - 1;
    return {.scale = range / static_cast<float>(top), .multiplier = 2, .offset = -top};
  }
};

/// AdaBits' grid: 2^k cells of equal width, code = floor(2^k u). The code of k bits is the code of
/// 8 bits without its low bits: floor(floor(2^8 u) / 2^(8-k)) = floor(2^k u).
struct FloorGrid {
  /// min(floor(u 2^k), 2^k - 1) of u clamped to [0, 1]; NaN gives code 0.
  [[nodiscard]] static constexpr std::int32_t encode(float u, int bits) noexcept {
    const float inside = clamp_unit(u);
    const auto cell = static_cast<std::int32_t>(inside * static_cast<float>(1 << bits));
    return std::min(cell, (1 << bits) - 1);
  }
};

/// The integers low .. high, at most 2^22 in magnitude: code 0 is `low`.
struct IntegerGrid {
  std::int32_t low = 0;
  std::int32_t high = 255;

  /// round(clamp(v, low, high)) - low, half to even; NaN gives code 0.
  [[nodiscard]] constexpr std::int32_t encode(float v) const noexcept {
    const float inside = clamp_nan_low(v, static_cast<float>(low), static_cast<float>(high));
    return static_cast<std::int32_t>(round_half_even(inside)) - low;
  }
};

/// Three values: code 0 below -threshold, 2 above threshold, 1 between them and for NaN.
struct TernaryGrid {
  [[nodiscard]] static constexpr std::int32_t encode(float w, float threshold) noexcept {
    return w > threshold ? 2 : w < -threshold ? 0 : 1;
  }
  /// level q - 1 in steps of alpha
  [[nodiscard]] static constexpr IntegerLevels levels(float alpha) noexcept {
    return {.scale = alpha, .multiplier = 1, .offset = -1};
  }
};

/// One bit: code 0 is -1, code 1 is +1; NaN gets code 0.
struct SignGrid {
  /// sign(0) = +1
  [[nodiscard]] static constexpr std::int32_t encode_zero_up(float x) noexcept {
    return x >= 0.0F ? 1 : 0;
  }
  /// sign(0) = -1
  [[nodiscard]] static constexpr std::int32_t encode_zero_down(float x) noexcept {
    return x > 0.0F ? 1 : 0;
  }
  /// -alpha and alpha
  [[nodiscard]] static constexpr IntegerLevels levels(float alpha = 1.0F) noexcept {
    return {.scale = alpha, .multiplier = 2, .offset = -1};
  }
  /// The surrogate of a sign, Htanh(x) = clamp(x, -1, 1).
  [[nodiscard]] static constexpr ClampSurrogate hard_tanh() noexcept { return {-1.0F, 1.0F}; }
};

}  // namespace bitdial::inline BITDIAL_ABI
