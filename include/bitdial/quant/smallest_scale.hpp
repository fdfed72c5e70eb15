// SPDX-License-Identifier: Apache-2.0
// When a scale (a step, a clip, a deviation) counts as zero, and what stands in its place.
#pragma once

#include <cmath>
#include <limits>

#include <bitdial/core/config.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// The smallest normal float. A scale below it counts as zero: its inverse may be infinite.
inline constexpr float smallest_scale = std::numeric_limits<float>::min();

/// A measured scale; 1 where it counts as zero, as in a tensor of zeros, or is NaN.
[[nodiscard]] constexpr float scale_or_one(float measured) noexcept {
  return measured >= smallest_scale ? measured : 1.0F;
}

/// A learned scale, whose sign does not count: |learned|, no less than `smallest_scale`.
[[nodiscard]] inline float scale_size(float learned) noexcept {
  return std::fmax(std::fabs(learned), smallest_scale);
}

}  // namespace bitdial::inline BITDIAL_ABI
