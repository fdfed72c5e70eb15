// SPDX-License-Identifier: Apache-2.0
// The step function that turns real values into codes, as an operand of kernels.
#pragma once

#include <cstdint>

#include <bitdial/core/config.hpp>

namespace bitdial::inline BITDIAL_ABI::kernels {

/// Codes of real values, given in one of two forms. NaN gives code 0, +infinity the largest code.
///
/// Equal steps, without thresholds:
///   code = min(round_half_even(clamp(x, 0, clip) * inverse_step), max_code),
/// the product rounded to float before it is rounded to an integer. Requires finite clip >= 0 and
/// inverse_step >= 0. `saturates` is a promise that lets a kernel leave the clamp to the conversion
/// to bytes: max_code is 255, clip * inverse_step is above 254.5, and no x * inverse_step reaches
/// 2^31.
///
/// Thresholds: code = the number of thresholds at or below x. Where they stand at almost equal
/// distances, a line saves comparisons: `line_factor` above 0 promises that for every x of code c,
///   c - 1/2 - line_margin <= fma(x, line_factor, line_constant) <= c + 1/2 + line_margin.
struct CodeSteps {
  float clip = 1.0F;
  float inverse_step = 1.0F;
  std::int32_t max_code = 255;        ///< 0 .. 255
  bool saturates = false;             ///< false: nothing is promised
  const float* thresholds = nullptr;  ///< ascending
  std::int32_t count = 0;             ///< of thresholds, 0 .. 255
  float line_factor = 0.0F;           ///< finite; 0: there is no line
  float line_constant = 0.0F;         ///< finite
  float line_margin = 0.0F;           ///< 0 .. 1/4

  /// What clamps x * inverse_step at equal steps. Rounding is monotone: clamping the product is
  /// clamping x and the code.
  [[nodiscard]] constexpr float largest_product() const noexcept {
    const float clipped = clip * inverse_step, most = static_cast<float>(max_code);
    return most < clipped ? most : clipped;
  }
};

}  // namespace bitdial::inline BITDIAL_ABI::kernels
