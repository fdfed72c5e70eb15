// SPDX-License-Identifier: Apache-2.0
// Rounding: a float to the nearest integer, inline and vectorisable on every instruction set; an
// integer to the next multiple of one number or of two.
#pragma once

#include <cstdint>

#include <bitdial/core/config.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// The integer nearest to x, ties to even, for |x| <= 2^22: bit for bit `std::nearbyint`.
///
/// Adding 1.5 * 2^23 leaves no fraction bits, so the floating-point addition itself rounds; the
/// subtraction is exact. Requires the default rounding mode and no `-ffast-math`. Returns +0 where
/// `nearbyint` returns -0.
[[nodiscard]] constexpr float round_half_even(float x) noexcept {
  constexpr float magic = 12582912.0F;  // 1.5 * 2^23
  return (x + magic) - magic;
}

/// The smallest multiple of `step` that is not below x; x >= 0, step >= 1.
[[nodiscard]] constexpr std::int64_t round_up(std::int64_t x, std::int64_t step) noexcept {
  return (x + step - 1) / step * step;
}

/// The largest number that divides both; a, b >= 0. Euclid's algorithm.
[[nodiscard]] constexpr std::int64_t greatest_common_divisor(std::int64_t a,
                                                             std::int64_t b) noexcept {
  while (b != 0) {
    const std::int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

/// The smallest number that both divide; a, b >= 1.
[[nodiscard]] constexpr std::int64_t least_common_multiple(std::int64_t a,
                                                           std::int64_t b) noexcept {
  return a / greatest_common_divisor(a, b) * b;
}

}  // namespace bitdial::inline BITDIAL_ABI
