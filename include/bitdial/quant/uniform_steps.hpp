// SPDX-License-Identifier: Apache-2.0
// Codes in equal steps from 0: the short form that the kernel `quantize` computes.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include <bitdial/core/config.hpp>
#include <bitdial/kernels/code_steps.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// code = min(round_half_even(clamp(x, 0, clip) * inverse_step), 2^bits - 1), NaN to 0.
///
/// DoReFa activations of k bits: clip 1, inverse_step 2^k - 1.
struct UniformSteps {
  float clip = 1.0F;
  float inverse_step = 1.0F;

  /// `nearbyint`, as in the kernel: a compiler may fuse a product with the addition inside
  /// `round_half_even` and so skip the product's own rounding.
  [[nodiscard]] std::int32_t code(float x, int bits) const noexcept {
    const float clamped = x > 0.0F ? std::min(x, clip) : 0.0F;
    const float scaled = clamped * inverse_step;
    return std::min(static_cast<std::int32_t>(std::nearbyint(scaled)), (1 << bits) - 1);
  }

  /// The same for the kernels.
  [[nodiscard]] kernels::CodeSteps code_steps(int bits) const noexcept {
    return {.clip = clip, .inverse_step = inverse_step, .max_code = (1 << bits) - 1};
  }

  friend bool operator==(const UniformSteps&, const UniformSteps&) = default;
};

}  // namespace bitdial::inline BITDIAL_ABI
