// SPDX-License-Identifier: Apache-2.0
// Fused multiply-add of floats, correctly rounded, without the instruction: `std::fma` is a call
// per element on a baseline x86-64.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include <bitdial/core/config.hpp>

namespace bitdial::inline BITDIAL_ABI::ops::detail {

/// y[i] = std::fma(x[i], g[i], h[i]) bit for bit. `y` may be any of the inputs.
///
/// The product of two floats is exact in double, so s = x g + h is rounded to double and then to
/// float. Rounding is monotone, and so rounding twice differs from rounding once only where s lies
/// exactly half-way between two floats: its lowest 29 bits are 1 followed by zeros or, below
/// 2^-126, where floats are spaced more widely, maybe others. Blocks with such an s take
/// `std::fma`.
inline void fma_span(std::int64_t n, float* y, const float* x, const float* g,
                     const float* h) noexcept {
  constexpr std::int64_t block = 16;
  std::int64_t i = 0;
  for (; i + block <= n; i += block) {
    std::array<float, block> result;
    std::uint32_t doubtful = 0;
    for (std::size_t lane = 0; lane < block; ++lane) {
      const std::int64_t at = i + static_cast<std::int64_t>(lane);
      const double s =
          static_cast<double>(x[at]) * static_cast<double>(g[at]) + static_cast<double>(h[at]);
      const auto low_bits = static_cast<std::uint32_t>(std::bit_cast<std::uint64_t>(s));
      const bool half_way = (low_bits & 0x1FFFFFFFU) == 0x10000000U;
      const bool tiny = std::abs(s) < 0x1p-126;
      doubtful |= static_cast<std::uint32_t>(half_way) | static_cast<std::uint32_t>(tiny);
      result[lane] = static_cast<float>(s);
    }
    if (doubtful != 0) {
      for (std::int64_t at = i; at < i + block; ++at) y[at] = std::fma(x[at], g[at], h[at]);
      continue;
    }
    for (std::size_t lane = 0; lane < block; ++lane) {
      y[i + static_cast<std::int64_t>(lane)] = result[lane];
    }
  }
  for (; i < n; ++i) y[i] = std::fma(x[i], g[i], h[i]);
}

}  // namespace bitdial::inline BITDIAL_ABI::ops::detail
