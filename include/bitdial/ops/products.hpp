// SPDX-License-Identifier: Apache-2.0
// What the matrix products of convolutions multiply, and how they are summed.
#pragma once

#include <cstdint>

#include <bitdial/core/config.hpp>

namespace bitdial::inline BITDIAL_ABI::ops {

/// Floats, or floats rounded to bfloat16 (8 bits of fraction, the range of float) with sums in
/// float: twice the rate where there is an instruction for it. Where half of the products are
/// enough (`Sums`), the transformed operands are rounded. Other element types than float are never
/// rounded.
enum class Products : std::uint8_t { f32, bf16 };

/// How the forward sums of a convolution are formed: each as one chain of fused multiply-adds,
/// exact for integers, or with half of the products (`kernels::WinogradPoints`) and rounding errors
/// of about 1.4 times those of a chain.
///
/// Half of the products are enough where floats are multiplied, windows have three adjacent taps
/// along a row and any number of rows, and move by one in both directions, both sides have at least
/// 8 channels, and a row has 3, 4 or at least 6 sums: its groups of four are then full enough. All
/// other sums are chains.
enum class Sums : std::uint8_t { chains, fewest_products };

}  // namespace bitdial::inline BITDIAL_ABI::ops
