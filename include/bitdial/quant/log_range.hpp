// SPDX-License-Identifier: Apache-2.0
// The grid of the logarithmic policies: magnitudes equidistant in log2 between the smallest and the
// largest of the tensor.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include <bitdial/core/config.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// One sign: all codes are magnitudes. Two signs: one bit of the code is the sign.
enum class LogSides { one, two };

/// log2 of the smallest and of the largest magnitude, in double so that values come out correctly
/// rounded.
struct LogRange {
  /// log2(0.03): what is smaller counts as 0.03 at every width, because log2(0) has no place.
  static constexpr double lowest = -5.058893689053568;

  double low = lowest;
  double high = 0.0;

  /// The range of the magnitudes min .. max.
  [[nodiscard]] static LogRange of(float min, float max) noexcept {
    return {log2_of(min), log2_of(max)};
  }

  /// log2 of the smallest magnitude at `bits` bits: 0.33, 0.15 and 0.03 for 2, 3 and more bits with
  /// two signs, 0.03 with one.
  [[nodiscard]] static constexpr double floor_at(int bits, LogSides sides) noexcept {
    if (sides == LogSides::one || bits >= 4) return lowest;
    return bits == 3 ? -2.736965594166206 : -1.5994620704162712;
  }

  /// The number of steps between low and high: 2^k - 1, or 2^(k-1) - 1 with two signs.
  [[nodiscard]] static constexpr std::int32_t steps(int bits, LogSides sides) noexcept {
    return (1 << (sides == LogSides::one ? bits : bits - 1)) - 1;
  }

  /// e = round((log2 m - lo) / (hi - lo) steps), half to even, with m, lo and hi raised to the
  /// floor of the width; 0 where all magnitudes are equal.
  [[nodiscard]] std::int32_t encode(float magnitude, int bits, LogSides sides) const noexcept {
    const double floor = floor_at(bits, sides);
    const double bottom = std::max(low, floor);
    const double width = std::max(high, floor) - bottom;
    if (!(width > 0.0)) return 0;
    const double position = (std::max(log2_of(magnitude), floor) - bottom) / width;
    const double top = steps(bits, sides);
    return static_cast<std::int32_t>(std::nearbyint(std::clamp(position, 0.0, 1.0) * top));
  }

  /// 2^(lo + e / steps (hi - lo))
  [[nodiscard]] float decode(std::int32_t e, int bits, LogSides sides) const noexcept {
    const double floor = floor_at(bits, sides);
    const double bottom = std::max(low, floor);
    const double width = std::max(high, floor) - bottom;
    const double fraction = static_cast<double>(e) / static_cast<double>(steps(bits, sides));
    return static_cast<float>(std::exp2(std::fma(fraction, std::max(width, 0.0), bottom)));
  }

  friend bool operator==(const LogRange&, const LogRange&) = default;

 private:
  [[nodiscard]] static double log2_of(float magnitude) noexcept {
    return std::max(std::log2(static_cast<double>(magnitude)), lowest);
  }
};

/// The codes of two signs in the order of their values: -2^hi ... -2^lo, 2^lo ... 2^hi.
struct SignedLogCode {
  [[nodiscard]] static constexpr std::int32_t encode(bool negative, std::int32_t e,
                                                     int bits) noexcept {
    const std::int32_t half = 1 << (bits - 1);
    return negative ? half - 1 - e : half + e;
  }
  [[nodiscard]] static constexpr bool negative(std::int32_t code, int bits) noexcept {
    return code < (1 << (bits - 1));
  }
  [[nodiscard]] static constexpr std::int32_t magnitude(std::int32_t code, int bits) noexcept {
    const std::int32_t half = 1 << (bits - 1);
    return code < half ? half - 1 - code : code - half;
  }
};

}  // namespace bitdial::inline BITDIAL_ABI
