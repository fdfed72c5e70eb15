// SPDX-License-Identifier: Apache-2.0
// tanh of floats: inline, the same bits on every machine, and vectorisable.
#pragma once

#include <bit>
#include <cstdint>

#include <bitdial/core/config.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// tanh x = (e^2|x| - 1) / (e^2|x| + 1) with the sign of x, computed in double and rounded once:
/// off by 0.5001 units in the last place at most, odd, and monotone. NaN for NaN.
///
/// e^z - 1 = 2^n q + (2^n - 1), q = e^r - 1 by its series up to r^9, r = z - n ln 2, |r| < 0.35.
/// Beyond 10 the result is 1. There are no branches: bits of positive floats are ordered as the
/// floats are. Products pass through the sign bit of z, which is 0, as integers, so that no
/// compiler fuses them with the additions that follow.
[[gnu::always_inline]] inline float hyperbolic_tangent(float x) noexcept {
  const std::int32_t bits = std::bit_cast<std::int32_t>(x);
  const std::int32_t magnitude = bits & 0x7fffffff;
  constexpr auto most = std::bit_cast<std::int32_t>(10.0F);
  const std::int32_t inside = magnitude < most ? magnitude : most;
  const double z = 2.0 * static_cast<double>(std::bit_cast<float>(inside));
  const std::uint64_t zero = std::bit_cast<std::uint64_t>(z) >> 63;
  const auto times = [zero](double u, double v) __attribute__((always_inline)) {
    return std::bit_cast<double>(std::bit_cast<std::uint64_t>(u * v) | zero);
  };
  constexpr double magic = 0x1.8p52, per_ln2 = 0x1.71547652b82fep+0, ln2 = 0x1.62e42fefa39efp-1;
  const double shifted = times(z, per_ln2) + magic;  // n in its lowest bits
  const double r = z - times(shifted - magic, ln2);
  double series = 1.0 / 362880;
  series = times(series, r) + 1.0 / 40320;
  series = times(series, r) + 1.0 / 5040;
  series = times(series, r) + 1.0 / 720;
  series = times(series, r) + 1.0 / 120;
  series = times(series, r) + 1.0 / 24;
  series = times(series, r) + 1.0 / 6;
  series = times(series, r) + 0.5;
  series = times(series, r) + 1.0;
  const double power = std::bit_cast<double>((std::bit_cast<std::uint64_t>(shifted) + 1023) << 52);
  const double less_one = times(power, times(series, r)) + (power - 1.0);
  const std::int32_t t =
      std::bit_cast<std::int32_t>(static_cast<float>(less_one / (less_one + 2.0)));
  const std::int32_t nan = -static_cast<std::int32_t>(magnitude > 0x7f800000) & 0x7fc00000;
  return std::bit_cast<float>(t | (bits ^ magnitude) | nan);
}

}  // namespace bitdial::inline BITDIAL_ABI
