// SPDX-License-Identifier: Apache-2.0
// Codes in equal steps from 0: the short form that the kernel `quantize` computes.
#pragma once

#include <bitdial/core/config.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// code = min(round_half_even(clamp(x, 0, clip) * inverse_step), 2^bits - 1), NaN to 0.
///
/// DoReFa activations of k bits: clip 1, inverse_step 2^k - 1.
struct UniformSteps {
  float clip = 1.0F;
  float inverse_step = 1.0F;

  friend bool operator==(const UniformSteps&, const UniformSteps&) = default;
};

}  // namespace bitdial::inline BITDIAL_ABI
