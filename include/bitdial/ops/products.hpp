// SPDX-License-Identifier: Apache-2.0
// What the matrix products of derivatives multiply.
#pragma once

#include <cstdint>

#include <bitdial/core/config.hpp>

namespace bitdial::inline BITDIAL_ABI::ops {

/// Floats, or floats rounded to bfloat16 (8 bits of fraction, the range of float) with sums in
/// float: twice the rate where there is an instruction for it. Other element types than float are
/// never rounded.
enum class Products : std::uint8_t { f32, bf16 };

}  // namespace bitdial::inline BITDIAL_ABI::ops
