// SPDX-License-Identifier: Apache-2.0
// The kernels on codes: what each one computes, its layouts, ranges and tails. One table per
// instruction set holds one function pointer per kernel, with the tile shape beside it.
// `real_kernels.hpp` has those on real numbers.
//
// `isa/scalar.hpp` defines the meaning. Every other table returns the same bits for the same
// arguments, floats included, so the choice of a table never changes a result. (A NaN result is a
// NaN everywhere; its payload is not specified.)
//
// Common rules. No pointer needs more alignment than its type, except that packed B panels are
// read at full rate only from 64-byte boundaries. Sizes may be zero. Inputs and outputs do not
// overlap. A kernel reads and writes nothing outside the ranges named here.
#pragma once

#include <cstddef>
#include <cstdint>

#include <bitdial/core/config.hpp>
#include <bitdial/kernels/code_steps.hpp>
#include <bitdial/kernels/code_winograd.hpp>
#include <bitdial/kernels/depthwise.hpp>

namespace bitdial::inline BITDIAL_ABI::kernels {

/// The one segment of a row that lies in memory without gaps.
inline constexpr std::int64_t whole_row[1] = {0};

/// Operands of the integer matrix tile: C[r][j] = sum_k A[r][k] * B[k][j], exact in int32 for all
/// operand values as long as the sum is; codes 0 .. 255 against levels -128 .. 127.
///
/// A is read in place: row r is `segments` runs of `groups` groups of four codes, segment s at
/// a + r * a_stride + offsets[s]. The window of a convolution is one segment per kernel row, and
/// neighbouring outputs are rows a stride apart. Reads cover exactly 4 * groups bytes of each
/// segment. B is interleaved and without gaps between segments: level (k, j) of segment s is
/// b[((s * groups + k / 4) * table cols + j) * 4 + k % 4]; the caller pads the K of each segment
/// and the columns with zero levels, so codes read beyond the end of a run do not count.
///
/// `short_groups` is a promise about the operands: in any so many groups that follow each other,
/// also across segments, the products of codes 0 and 1 of all groups add up to 16 bits in any
/// order, and so do those of codes 2 and 3. A kernel may then add in 16 bits; the result is the
/// same. `short_runs` promises less, group by group of B: of so many groups from this one on, each
/// fits 16 bits on its own whatever the codes are.
///
/// `next`, unless null, is what will be read after B: while it multiplies, a kernel may ask the far
/// caches for it, of each tile of rows one cache line a group.
struct GemmU8S8Tile {
  std::int64_t rows = 0;    ///< 1 .. table rows, or a multiple of them
  std::int64_t cols = 0;    ///< 1 .. table cols
  std::int64_t groups = 0;  ///< of one segment: ceil(codes / 4)
  const std::uint8_t* a = nullptr;
  std::int64_t a_stride = 0;  ///< bytes between rows of A
  const std::int8_t* b = nullptr;
  std::int32_t* c = nullptr;  ///< rows x table cols; columns from `cols` on may be overwritten
  std::int64_t c_stride = 0;
  std::int64_t segments = 1;
  const std::int64_t* offsets = whole_row;   ///< of each segment, in bytes
  std::int64_t short_groups = 0;             ///< 0: nothing is promised
  const std::uint8_t* short_runs = nullptr;  ///< of each group of B, at most 255; may be null
  const std::int8_t* next = nullptr;         ///< may be null

  /// Bytes of `next` that one tile of rows may ask for.
  [[nodiscard]] constexpr std::int64_t next_bytes() const noexcept {
    return segments * groups * 64;
  }
};

/// Operands of the bit-plane matrix tile: with unsigned codes u (A) and q (B) given as planes,
/// C[r][j] = sum_k u[r][k] * q[k][j] = sum_{s,t} 2^(s+t) sum_words popcount(A_s & B_t), exact in
/// int32 as long as the sum is.
///
/// Planes stand most significant first, 32 codes a word, code i in bit i % 32. A is read in place,
/// words from any byte: plane p of row r is `segments` runs of `words` words, segment s at
/// a + r * a_stride + p * plane_stride + offsets[s]. B is [b_planes][segments][words][table cols].
/// Bits of one operand that meet zeros of the other do not count, so a run may be read beyond its
/// end.
///
/// With `starts` it is the bits that differ that count:
/// C[r][j] = sum_{s,t} 2^(s+t) (starts[t][j] + sum_words popcount(A_s ^ B_t)). Codes of weights
/// whose levels are as far above 0 as below need no sum of u then, see `PreparedWeights`.
struct GemmPlanesTile {
  std::int64_t rows = 0;  ///< 1 .. table rows, or a multiple of them
  std::int64_t cols = 0;
  std::int64_t words = 0;     ///< of one segment: ceil(codes / 32)
  std::int64_t a_planes = 1;  ///< 1 .. 8
  std::int64_t b_planes = 1;  ///< 1 .. 8
  const std::uint8_t* a = nullptr;
  std::int64_t a_stride = 0;      ///< bytes between rows of A
  std::int64_t plane_stride = 0;  ///< bytes between planes of A
  const std::uint32_t* b = nullptr;
  std::int32_t* c = nullptr;  ///< rows x table cols; columns from `cols` on may be overwritten
  std::int64_t c_stride = 0;
  std::int64_t segments = 1;
  const std::int64_t* offsets = whole_row;  ///< of each segment, in bytes
  const std::int32_t* starts = nullptr;     ///< [b_planes][table cols], or null
};

/// Operands of the packed-code tile: C[r][j] = sum_k u[r][k] * q[k][j] for codes u of a byte (A)
/// and q of 1, 2 or 4 bits (B), exact in int32 as long as the sum is. Weights stay packed in memory
/// and are unpacked in registers: for products of few rows, whose time is that of reading B.
///
/// K is taken in blocks of 4 f codes, f = 8 / bits. Reads cover exactly 4 f * blocks bytes of each
/// row of A. Byte b[(s * table cols + j) * 4 + i] holds q[4 (f s + t) + i][j] in the bits from
/// t * bits, t = 0 .. f - 1; the caller pads K and the columns with zeros.
struct GemmCodesTile {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  int bits = 4;             ///< 1, 2 or 4
  std::int64_t blocks = 0;  ///< ceil(K / (4 f))
  const std::uint8_t* a = nullptr;
  std::int64_t a_stride = 0;  ///< bytes between rows of A
  const std::uint8_t* b = nullptr;
  std::int32_t* c = nullptr;  ///< rows x table cols; columns from `cols` on may be overwritten
  std::int64_t c_stride = 0;
};

/// Operands of subset_sums: tables[16 g + e] = sum of codes[4 g + i] over the bits i that are set
/// in e, for every group g of four codes; codes past `count` are zero.
///
/// Whole blocks of 16 codes are written: 64 * ceil(count / 16) bytes.
struct SubsetSums {
  const std::uint8_t* codes = nullptr;  ///< 0 .. 63
  std::int64_t count = 0;
  std::uint8_t* tables = nullptr;
};

/// Order of the 64 bytes that hold the weights of a block for 16 columns: the groups of four codes
/// apart, for kernels that look up 16 columns in one table, or side by side, for kernels that look
/// up all groups of a column at once.
enum class LookupOrder : std::uint8_t { by_group, by_column };

/// The place of a group, 0 .. 3, of a column, 0 .. 15, among the 64 bytes.
[[nodiscard]] constexpr std::int64_t lookup_place(LookupOrder order, std::int64_t group,
                                                  std::int64_t column) noexcept {
  return order == LookupOrder::by_column ? column * 4 + group
                                         : group * 16 + column % 8 * 2 + column / 8;
}

/// Operands of the look-up tile: C[r][j] = sum_k u[r][k] * q[k][j] for unsigned codes u (A) and q
/// (B), exact in int32 as long as the sum is. Four bits of a weight plane are the index of the sum
/// of the four codes that they select (T-MAC, 2407.00088), so a look-up does four products.
///
/// A row of A is `segments` runs of `blocks` blocks of 16 codes, given as the tables of
/// `subset_sums`, 64 bytes a block. Runs may overlap: with the tables of an image, the rows of a
/// convolution's window are such runs, and no table is built twice. Where the four weights of a
/// group are zero its table may be anything that starts with 0: room for whole blocks. B is
/// [planes][segments][ceil(blocks / 2)][table cols / 16][64] bytes, most significant plane first;
/// byte [p][s][h][v][lookup_place(table order, g, j)] holds in its low half the weights of group g
/// of block 2 h and in its high half those of block 2 h + 1, for column 16 v + j.
struct GemmLookupTile {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  int bits = 5;  ///< 1 .. 5: codes u are below 2^bits
  std::int64_t planes = 1;
  std::int64_t blocks = 0;  ///< ceil(codes of a segment / 16)
  std::int64_t segments = 1;
  const std::uint8_t* a = nullptr;
  std::int64_t a_stride = 0;        ///< bytes between rows of A
  std::int64_t segment_stride = 0;  ///< bytes between segments
  const std::uint8_t* b = nullptr;
  std::int32_t* c = nullptr;  ///< rows x table cols; columns from `cols` on may be overwritten
  std::int64_t c_stride = 0;
};

/// Operands of quantize: the codes of real values.
struct Quantize {
  const float* x = nullptr;
  std::int64_t count = 0;
  CodeSteps steps{};
  std::uint8_t* codes = nullptr;
};

/// Operands of requantize: values and codes of sums. With
/// I[c] = factor * sums[c] + row_terms[r] + column_terms[c] + offsets[r][c] modulo 2^32 in row r,
///   y = fma(float(I[c]), scale[c], bias[c]), then + residual[c] when there is one, then
///   y > 0 ? y : +0 when `relu` (so NaN becomes 0),
/// and the codes are those of y. There are `lines` times `rows` rows; only codes have gaps between
/// lines. y or codes may be null, and are not written then. Some columns may be computed twice.
struct Requantize {
  std::int64_t lines = 1, rows = 0, cols = 0;
  const std::int32_t* sums = nullptr;
  std::int64_t sums_stride = 0;
  const float* scale = nullptr;
  const float* bias = nullptr;
  const float* residual = nullptr;  ///< may be null
  std::int64_t residual_stride = 0;
  bool relu = false;
  std::uint32_t factor = 1;
  const std::int32_t* row_terms = nullptr;        ///< may be null: zeros
  const std::uint32_t* column_terms = nullptr;    ///< may be null: zeros
  const std::uint32_t* const* offsets = nullptr;  ///< of each row; may be null
  float* y = nullptr;
  std::int64_t y_stride = 0;
  std::uint8_t* codes = nullptr;
  std::int64_t codes_stride = 0;
  std::int64_t codes_line = 0;  ///< bytes between lines of codes
  CodeSteps steps{};            ///< of the codes
};

/// Operands of maximum: y[i] = the largest of `lines` x `columns` values, one at
/// x[l * line_stride + c * column_stride + i] for each l and c; the first of equals. A NaN is
/// passed over, unless it is the first. Requires lines and columns >= 1. Some elements may be
/// computed twice.
struct Maximum {
  const float* x = nullptr;
  std::int64_t lines = 1, columns = 1;
  std::int64_t line_stride = 0, column_stride = 0;
  std::int64_t count = 0;
  float* y = nullptr;
};

/// Operands of look_up_bytes: y[i] = tables[(i % channels) * 256 + x[i]].
struct LookUpBytes {
  const std::uint8_t* x = nullptr;
  std::int64_t count = 0;
  const std::uint8_t* tables = nullptr;
  std::int64_t channels = 1;
  std::uint8_t* y = nullptr;
};

/// Operands of pack_planes: codes of `bits` bits to planes, most significant first.
///
/// Bit i of word w of plane p, p * plane_stride + w words of 64 bits behind `planes`, is bit
/// (bits - 1 - p) of codes[64 w + i]; bits past `count` are zero. Higher bits of a code are
/// ignored.
struct PackPlanes {
  const std::uint8_t* codes = nullptr;
  std::int64_t count = 0;
  int bits = 8;                   ///< 1 .. 8
  void* planes = nullptr;         ///< words on any byte
  std::int64_t plane_stride = 0;  ///< words between planes
};

/// Operands of sum_rows: sums[l * rows + r] = factor * the sum of row r of line l, modulo 2^32. Its
/// codes are `segments` runs of `count`, segment s from codes + l * line + r * stride + offsets[s]
/// on, offsets ascending. What lies between the first code and the last one may be read.
struct SumRows {
  const std::uint8_t* codes = nullptr;
  std::int64_t lines = 1;
  std::int64_t line = 0;  ///< bytes between lines
  std::int64_t rows = 0;  ///< of a line
  std::int64_t stride = 0;
  std::int64_t count = 0;
  std::uint32_t factor = 1;
  std::int32_t* sums = nullptr;
  std::int64_t segments = 1;
  const std::int64_t* offsets = whole_row;
};

/// One kernel of tiles: `rows` x `cols` is the shape that it computes at once.
template <class Operands>
struct TileKernel {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  void (*run)(const Operands&) noexcept = nullptr;
};

/// The kernels of one instruction set on codes: all that running a packed network needs. A table
/// starts as a copy of the next weaker one and overrides what it does better; no pointer is ever
/// null.
struct KernelTable {
  const char* name = nullptr;
  bool (*supported)() noexcept = nullptr;  ///< asks CPU and operating system

  TileKernel<GemmU8S8Tile> gemm_u8s8;
  bool reads_short_runs = false;  ///< whether gemm_u8s8 is faster with GemmU8S8Tile::short_runs
  TileKernel<GemmPlanesTile> gemm_planes;
  TileKernel<GemmCodesTile> gemm_codes;
  TileKernel<GemmLookupTile> gemm_lookup;  ///< cols is a multiple of 16
  LookupOrder lookup_order = LookupOrder::by_group;

  void (*subset_sums)(const SubsetSums&) noexcept = nullptr;

  TileKernel<DepthwiseU8S8> depthwise_u8s8;
  std::int64_t depthwise_lanes = 16;  ///< channels that it takes at once: a divisor of its cols

  void (*winograd_codes)(const WinogradCodes&) noexcept = nullptr;
  TileKernel<GemmS16Tile> gemm_s16;  ///< cols is a multiple of 16
  void (*winograd_sums)(const WinogradSums&) noexcept = nullptr;
  /// Whether these three, or the first and the last around gemm_u8s8, may be faster than gemm_u8s8.
  bool winograd_shorts_pay = false, winograd_bytes_pay = false;

  void (*quantize)(const Quantize&) noexcept = nullptr;
  void (*requantize)(const Requantize&) noexcept = nullptr;
  void (*maximum)(const Maximum&) noexcept = nullptr;
  void (*look_up_bytes)(const LookUpBytes&) noexcept = nullptr;

  /// Codes of 1 .. 8 bits to a little-endian bit string: code i fills bits i * bits and up. Writes
  /// ceil(count * bits / 8) bytes, the last one padded with zeros; higher bits of a code are
  /// ignored.
  void (*pack_codes)(const std::uint8_t* codes, std::int64_t count, int bits,
                     std::uint8_t* bytes) noexcept = nullptr;
  /// The inverse: reads ceil(count * bits / 8) bytes, writes `count` codes.
  void (*unpack_codes)(const std::uint8_t* bytes, std::int64_t count, int bits,
                       std::uint8_t* codes) noexcept = nullptr;

  void (*pack_planes)(const PackPlanes&) noexcept = nullptr;

  /// sum of `count` codes
  std::uint64_t (*sum_codes)(const std::uint8_t* codes, std::int64_t count) noexcept = nullptr;
  void (*sum_rows)(const SumRows&) noexcept = nullptr;
};

}  // namespace bitdial::inline BITDIAL_ABI::kernels
