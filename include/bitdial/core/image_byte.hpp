// SPDX-License-Identifier: Apache-2.0
// The real value of a byte of an image: training and the packed network start from the same floats.
#pragma once

#include <cstdint>

#include <bitdial/core/config.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// byte / 255, correctly rounded, in [0, 1].
/// `round_half_even(unit_value(u) * 255)` is u again, for every u.
[[nodiscard]] constexpr float unit_value(std::uint8_t byte) noexcept {
  return static_cast<float>(byte) / 255.0F;
}

}  // namespace bitdial::inline BITDIAL_ABI
