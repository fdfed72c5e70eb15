// SPDX-License-Identifier: Apache-2.0
// Operands of the kernels of Winograd's minimal filtering F(4 x 4, 3 x 3) on codes: 4 x 4
// neighbouring outputs of a 3 x 3 filter from 36 products instead of 144, exactly. The rules are
// those of kernel_table.hpp.
#pragma once

#include <cstdint>

#include <bitdial/core/config.hpp>

namespace bitdial::inline BITDIAL_ABI::kernels {

/// Polynomials are multiplied at the points 0, 1, -1, 2, -2 and infinity. With
///
///       | 4  0 -5  0  1  0 |        |  6  0  0 |
///       | 0 -4 -4  1  1  0 |        | -4 -4 -4 |        | 1  1  1  1  1  0 |
///   B = | 0  4 -4 -1  1  0 |,   G = | -4  4 -4 |,   A = | 0  1 -1  2 -2  0 |
///       | 0 -2 -1  2  1  0 |        |  1  2  4 |        | 0  1  1  4  4  0 |
///       | 0  2 -1 -2  1  0 |        |  1 -2  4 |        | 0  1 -1  8 -8  3 |
///       | 0  4  0 -5  0  1 |        |  0  0  8 |
///
/// the outputs y of codes d, 6 x 6, and levels g, 3 x 3, are A ((B d B') * (G g G')) A' = 24^2 y,
/// products element by element and summed over channels. All are integers, and 24^2 = 2^6 3^2, so
/// they may be computed modulo 2^32: multiplied by the inverse of 9 and shifted by 6 bits the
/// result is y, if |y| < 2^25, whatever overflowed on the way.
///
/// Of codes minus 128, between -128 and 127, y is below that for up to 227 channels, whatever the
/// levels are. |B d B'| <= 12800 and |G g G'| <= 18432 fit 16 bits.
/// Source: Lavin and Gray, 1509.09308; the arithmetic modulo 2^32 is this library's.
struct WinogradCodeTile {
  static constexpr std::int64_t inputs = 6, outputs = 4, taps = 3;  ///< along one axis
  static constexpr std::int64_t products = inputs * inputs;
  static constexpr std::int64_t most_channels = 224;  ///< of one sum, in whole vectors
  static constexpr int centre = 128;                  ///< of codes
  static constexpr int shift = 6;
  static constexpr std::uint32_t inverse = 0x38e38e39;  ///< of 9, modulo 2^32
  static constexpr int g[inputs][taps] = {{6, 0, 0}, {-4, -4, -4}, {-4, 4, -4},
                                          {1, 2, 4}, {1, -2, 4},   {0, 0, 8}};
};

/// Operands of winograd_codes: u[(6 i + j) * u_step + t * u_stride + c] = (B d B')[i][j] for the
/// codes d[a][b] = x[a * x_line + (4 t + b) * x_pixel + c] - 128 of tile t. Lines and pixels
/// behind the last one count as the last one: they belong to outputs that nobody reads.
///
/// x and u are taken in whole vectors: up to 31 codes behind the channels of a pixel must be
/// readable, and up to 31 numbers behind those of the last tile, in each product, may be
/// overwritten.
struct WinogradCodes {
  std::int64_t tiles = 0;
  std::int64_t channels = 0;
  const std::uint8_t* x = nullptr;
  std::int64_t x_line = 0, x_pixel = 0;  ///< in bytes
  std::int64_t lines = 6, pixels = 6;    ///< that exist, at least 1
  std::int16_t* u = nullptr;
  std::int64_t u_step = 0;    ///< between products
  std::int64_t u_stride = 0;  ///< between tiles
};

/// Operands of gemm_s16, `products` products of matrices of 16 bits:
/// C_p[r][j] = sum_k A_p[r][k] * B_p[k][j] modulo 2^32.
///
/// Element (r, k) of A_p is a[p * a_step + r * a_stride + k]; K is even, the last level zero where
/// it was odd. Level (k, j) of B_p is b[((p * pairs + k / 2) * table cols + j) * 2 + k % 2], and
/// sum (r, j) of C_p stands at c[p * c_step + r * c_stride + j].
///
/// All columns of the table are computed. Rows up to the table's may be read, and their sums
/// overwritten.
struct GemmS16Tile {
  std::int64_t rows = 0;   ///< 1 .. table rows
  std::int64_t pairs = 0;  ///< K / 2, at least 1
  const std::int16_t* a = nullptr;
  std::int64_t a_stride = 0;
  const std::int16_t* b = nullptr;
  std::int32_t* c = nullptr;
  std::int64_t c_stride = 0;
  std::int64_t products = 1;  ///< at least 1
  std::int64_t a_step = 0, c_step = 0;
};

/// Operands of winograd_sums: y of the 36 sums M that gemm_s16 left, m[k * m_step + t * m_stride +
/// c]. With N = A M A' modulo 2^32, output (i, j) of tile t and column c is
///   first + (inverse * N >> shift), the shift arithmetic,
/// and stands at sums[i * sums_line + (4 t + j) * sums_stride + c]; first = terms[c], or without
/// terms what stood there.
struct WinogradSums {
  std::int64_t tiles = 0;
  std::int64_t cols = 0;  ///< a multiple of 16
  const std::int32_t* m = nullptr;
  std::int64_t m_step = 0, m_stride = 0;
  const std::int32_t* terms = nullptr;  ///< may be null
  std::int32_t* sums = nullptr;
  std::int64_t sums_line = 0, sums_stride = 0;
};

}  // namespace bitdial::inline BITDIAL_ABI::kernels
