// SPDX-License-Identifier: Apache-2.0
// Operands of the kernels of Winograd's minimal filtering on codes: neighbouring outputs of a 3 x 3
// filter from a quarter or a third of the products, exactly. The rules are those of
// kernel_table.hpp.
#pragma once

#include <cstdint>

#include <bitdial/core/config.hpp>

namespace bitdial::inline BITDIAL_ABI::kernels {

/// Tiles of F(4 x 4, 3 x 3) with products of 16 bits and of F(2 x 4, 3 x 3) with products of bytes.
/// Four neighbouring outputs are computed at the points 0, 1, -1, 2, -2 and infinity, two at 0, 1,
/// -1 and infinity. With
///
///        | 4  0 -5  0  1  0 |         |  6  0  0 |
///        | 0 -4 -4  1  1  0 |         | -4 -4 -4 |         | 1  1  1  1  1  0 |
///   B4 = | 0  4 -4 -1  1  0 |,   G4 = | -4  4 -4 |,   A4 = | 0  1 -1  2 -2  0 |
///        | 0 -2 -1  2  1  0 |         |  1  2  4 |         | 0  1  1  4  4  0 |
///        | 0  2 -1 -2  1  0 |         |  1 -2  4 |         | 0  1 -1  8 -8  3 |
///        | 0  4  0 -5  0  1 |         |  0  0  8 |
///
///        | 1  0 -1  0 |         | 2  0  0 |
///   B2 = | 0  1  1  0 |,   G2 = | 1  1  1 |,   A2 = | 1  1  1  0 |
///        | 0 -1  1  0 |         | 1 -1  1 |         | 0  1 -1 -1 |
///        | 0  1  0 -1 |         | 0  0  2 |
///
/// and B, G, A those of the tile's lines, the outputs y of codes d and levels g, 3 x 3, are
///   A ((B d B4') * (G g G4')) A4' = f y,
/// products element by element and summed over channels, f = 24^2 or 2 * 24. All are integers, and
/// f is a power of two times 9 or 3, so they may be computed modulo 2^32: multiplied by the inverse
/// of 9 or 3 and shifted the result is y, if f |y| / 9 or 3 < 2^31, whatever overflowed on the way.
/// Source: Lavin and Gray, 1509.09308; the arithmetic modulo 2^32 is this library's.
///
/// What makes B d B4' fit is added to it, as if codes were others: `offset`, which adds integers to
/// y. The terms of a column take them back.
struct WinogradTile {
  static constexpr std::int64_t pixels = 4, taps = 3, input_pixels = 6;
  std::uint8_t lines = 4;         ///< of outputs
  std::uint8_t number_bytes = 2;  ///< of a factor
  std::uint8_t shift = 0;
  int most_channels = 0;      ///< of one sum
  std::uint32_t inverse = 1;  ///< of the odd part of f, modulo 2^32

  [[nodiscard]] constexpr std::int64_t input_lines() const noexcept { return lines + taps - 1; }
  [[nodiscard]] constexpr std::int64_t products() const noexcept {
    return input_lines() * input_pixels;
  }
  [[nodiscard]] constexpr std::int64_t outputs() const noexcept { return lines * pixels; }

  /// Of 16 bits: codes count from 128, of which all rows of B4 but the second add up to zero.
  /// Of bytes: three times f, so that factors of codes below 8, -16 * 7 to 10 * 7, are above 0.
  [[nodiscard]] constexpr int offset(std::int64_t product) const noexcept {
    if (number_bytes == 1) return 144;
    return product == input_pixels + 1 ? -36 * 128 : 0;
  }
};

/// Of any codes and levels: of codes minus 128, |B d B4'| <= 12800 and |G g G4'| <= 18432 fit 16
/// bits, and |y| < 2^25 of up to 227 channels, 224 in whole vectors.
inline constexpr WinogradTile winograd_shorts{
    .lines = 4, .number_bytes = 2, .shift = 6, .most_channels = 224, .inverse = 0x38e38e39};
/// Of codes of up to 3 bits and levels within +-3: |G g G4'| <= 108. Rows of A and A4 have
/// magnitudes of up to 3 and 21, so |y| <= 3 * 21 * 255 * 108 / 48 < 2^16 for each channel.
inline constexpr WinogradTile winograd_bytes{
    .lines = 2, .number_bytes = 1, .shift = 4, .most_channels = 2048, .inverse = 0xaaaaaaab};
inline constexpr int winograd_byte_code_bits = 3, winograd_byte_level = 3;

/// Operands of winograd_codes: number (6 i + j, t, c) of U, `number_bytes` behind
/// u + (6 i + j) * u_step + t * u_stride for each c, is (B d B4')[i][j] + offset(6 i + j) for the
/// codes d[a][b] = x[a * x_line + (4 t + b) * x_pixel + c] of tile t. Lines and pixels behind the
/// last one count as the last one: they belong to outputs that nobody reads.
///
/// x and u are taken in whole vectors: up to 63 codes behind the channels of a pixel must be
/// readable, and up to 63 bytes behind those of the last tile, in each product, may be overwritten.
struct WinogradCodes {
  const WinogradTile* tile = nullptr;  ///< one of the two
  std::int64_t tiles = 0;
  std::int64_t channels = 0;
  const std::uint8_t* x = nullptr;
  std::int64_t x_line = 0, x_pixel = 0;  ///< in bytes
  std::int64_t lines = 6, pixels = 6;    ///< that exist, at least 1
  std::uint8_t* u = nullptr;
  std::int64_t u_step = 0;    ///< bytes between products
  std::int64_t u_stride = 0;  ///< bytes between tiles
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

/// Operands of winograd_sums: y of the sums M of products, m[p * m_step + t * m_stride + c]. With
/// N = A M A4' modulo 2^32, output (i, j) of tile t and column c is
///   first + (inverse * N >> shift), the shift arithmetic,
/// and stands at sums[i * sums_line + (4 t + j) * sums_stride + c]; first is
/// terms[(4 i + j) * terms_stride + c], or without terms what stood there.
struct WinogradSums {
  const WinogradTile* tile = nullptr;  ///< one of the two
  std::int64_t tiles = 0;
  std::int64_t cols = 0;  ///< a multiple of 16, or those of the table's products
  const std::int32_t* m = nullptr;
  std::int64_t m_step = 0, m_stride = 0;
  const std::int32_t* terms = nullptr;  ///< may be null
  std::int64_t terms_stride = 0;
  std::int32_t* sums = nullptr;
  std::int64_t sums_line = 0, sums_stride = 0;
};

}  // namespace bitdial::inline BITDIAL_ABI::kernels
