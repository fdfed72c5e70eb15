// SPDX-License-Identifier: Apache-2.0
// Codes as integers on a line: the form in which a quantized tensor takes part in exact sums.
#pragma once

#include <cstdint>

#include <bitdial/core/config.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// The affine map of a quantizer: level(code) = multiplier * code + offset, an integer, and
/// value(code) = scale * level(code).
///
/// DoReFa weights at k >= 2 bits: level = 2 code - (2^k - 1), scale = 1 / (2^k - 1).
struct IntegerLevels {
  float scale = 1.0F;
  std::int32_t multiplier = 1;
  std::int32_t offset = 0;

  [[nodiscard]] constexpr std::int32_t level(std::int32_t code) const noexcept {
    return multiplier * code + offset;
  }
  [[nodiscard]] constexpr float value(std::int32_t code) const noexcept {
    return scale * static_cast<float>(level(code));
  }

  friend constexpr bool operator==(const IntegerLevels&, const IntegerLevels&) = default;
};

}  // namespace bitdial::inline BITDIAL_ABI
