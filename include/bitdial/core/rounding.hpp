// SPDX-License-Identifier: Apache-2.0
// Round half to even, inline and vectorisable on every instruction set.
#pragma once

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

}  // namespace bitdial::inline BITDIAL_ABI
