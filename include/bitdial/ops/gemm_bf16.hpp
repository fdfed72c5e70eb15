// SPDX-License-Identifier: Apache-2.0
// Real-valued matrix product with operands rounded to bfloat16 and sums in float: on processors
// with an instruction for it twice the rate of the float product.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include <bitdial/core/error.hpp>
#include <bitdial/core/rounding.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/kernels/active.hpp>
#include <bitdial/ops/gemm.hpp>
#include <bitdial/ops/matrix_view.hpp>

namespace bitdial::inline BITDIAL_ABI::ops {

namespace detail {

/// A block of operands: element (k, j) with k = 2 p + i at data[p * step + j * stride + i].
struct Bf16Block {
  const std::uint16_t* data = nullptr;
  std::int64_t step = 0, stride = 0;
};

/// Buffers of this product in the thread's scratch.
enum class Bf16Scratch { a = 10, b, line, rounded, edge };

template <class T, Bf16Scratch slot>
[[nodiscard]] T* bf16_scratch(std::int64_t size) {
  return gemm_scratch<T, static_cast<int>(slot)>(size);
}

/// Rounds m [depth, width] to pairs that stand side by side: step = 2 * lines. Columns from the
/// width up to `lines` are zero, and so is the second row of an incomplete pair.
inline Bf16Block interleave_bf16(const kernels::RealKernels& table, MatrixView<const float> m,
                                 std::int64_t lines, std::uint16_t* out) {
  const std::int64_t pairs = (m.rows + 1) / 2;
  const Bf16Block block{out, 2 * lines, 2};
  if (m.row_stride == 1 || m.col_stride != 1) {
    // Columns are contiguous, or nothing is: column by column.
    float* const line = bf16_scratch<float, Bf16Scratch::line>(m.rows);
    auto* const rounded = bf16_scratch<std::uint16_t, Bf16Scratch::rounded>(2 * pairs);
    for (std::int64_t j = 0; j < lines; ++j) {
      std::fill_n(rounded, 2 * pairs, std::uint16_t{0});
      if (j < m.cols) {
        const float* x = m.data + j * m.col_stride;
        if (m.row_stride != 1) {
          for (std::int64_t k = 0; k < m.rows; ++k) line[k] = m(k, j);
          x = line;
        }
        table.round_bf16({.x = x, .count = m.rows, .y = rounded});
      }
      for (std::int64_t p = 0; p < pairs; ++p) {
        std::memcpy(out + p * block.step + 2 * j, rounded + 2 * p, 4);
      }
    }
    return block;
  }
  const float* zeros = nullptr;
  if (m.rows % 2 != 0) {
    float* const line = bf16_scratch<float, Bf16Scratch::line>(m.cols);
    std::fill_n(line, m.cols, 0.0F);
    zeros = line;
  }
  for (std::int64_t p = 0; p < pairs; ++p) {
    std::uint16_t* const y = out + p * block.step;
    const bool whole = 2 * p + 1 < m.rows;
    table.round_bf16(
        {.x = m.row(2 * p), .second = whole ? m.row(2 * p + 1) : zeros, .count = m.cols, .y = y});
    std::fill(y + 2 * m.cols, y + block.step, std::uint16_t{0});
  }
  return block;
}

/// Rounds the rows of A^T's columns, m [depth, width], as they stand: stride = padded depth.
inline Bf16Block round_columns_bf16(const kernels::RealKernels& table, MatrixView<const float> m,
                                    std::uint16_t* out) {
  // An odd number of cache lines: rows at powers of two would all fall into one cache set.
  const std::int64_t stride = ((m.rows + 31) / 32 | 1) * 32;
  for (std::int64_t j = 0; j < m.cols; ++j) {
    table.round_bf16({.x = m.data + j * m.col_stride, .count = m.rows, .y = out + j * stride});
    if (m.rows % 2 != 0) out[j * stride + m.rows] = 0;
  }
  return {out, 2, stride};
}

inline constexpr std::int64_t bf16_tiles_per_block = 8;

}  // namespace detail

/// C (+)= A B for A [m, k], B [k, n], C [m, n] with any strides, A and B rounded to bfloat16 (half
/// to even; subnormal numbers to zero); C overlaps neither operand.
///
/// Every element of C is the chain of `kernels::GemmBf16Tile` over k = 0, 1, .., padded with a zero
/// to an even number, whatever the blocks: the same bits on every instruction set and for every
/// split of rows or columns over threads. Error bound: with relative operand errors of 2^-9,
/// |c - exact| <= (2^-8 + 2^-18 + gamma_k) sum |A| |B|, gamma_k as for GemmTile, where nothing
/// underflows.
///
/// Runs on the calling thread. Cost: m n k multiply-adds, and one rounding pass over B, and over A
/// once per 256 columns; scratch of at most 600 KiB per thread, kept. `options` as in `gemm`.
/// Throws ShapeError when the extents do not fit.
inline void gemm_bf16(MatrixView<const float> a, MatrixView<const float> b, MatrixView<float> c,
                      GemmOptions options = {}) {
  using detail::Bf16Block, detail::Bf16Scratch, detail::bf16_scratch;
  if (a.cols != b.rows || a.rows != c.rows || b.cols != c.cols) {
    throw ShapeError(concat("gemm_bf16: a [", a.rows, ", ", a.cols, "] times b [", b.rows, ", ",
                            b.cols, "] does not give c [", c.rows, ", ", c.cols, "]"));
  }
  const kernels::RealKernels& table =
      options.table != nullptr ? *options.table : kernels::active_real_kernels();
  const auto& kernel = table.gemm_bf16;
  const std::int64_t max_depth =
      std::clamp(round_up(a.cols, 2), std::int64_t{2}, detail::gemm_depth_block);
  const std::int64_t max_cols = detail::gemm_max_cols(kernel.cols);
  const std::int64_t max_rows = kernel.rows * detail::bf16_tiles_per_block;
  auto* const a_memory =
      bf16_scratch<std::uint16_t, Bf16Scratch::a>(max_rows * round_up(max_depth + 32, 64));
  auto* const b_memory = bf16_scratch<std::uint16_t, Bf16Scratch::b>(
      std::min(max_cols, round_up(c.cols, kernel.cols)) * max_depth);
  auto* const edge = bf16_scratch<float, Bf16Scratch::edge>(kernel.rows * kernel.cols);

  // Without a k there is still a C to be set to zero.
  for (std::int64_t k0 = 0; k0 == 0 || k0 < a.cols; k0 += max_depth) {
    const std::int64_t depth = std::min(max_depth, a.cols - k0);
    const std::int64_t pairs = (depth + 1) / 2;
    const bool accumulate = options.accumulate || k0 > 0;
    for (std::int64_t col0 = 0; col0 < c.cols; col0 += max_cols) {
      const std::int64_t cols = std::min(max_cols, c.cols - col0);
      for (std::int64_t j = 0; j < cols; j += kernel.cols) {
        detail::interleave_bf16(table,
                                b.block(k0, col0 + j, depth, std::min(kernel.cols, cols - j)),
                                kernel.cols, b_memory + j * 2 * pairs);
      }
      for (std::int64_t row0 = 0; row0 < c.rows; row0 += max_rows) {
        const std::int64_t rows = std::min(max_rows, c.rows - row0);
        const MatrixView<const float> at = a.block(row0, k0, rows, depth).transposed();
        const Bf16Block packed = at.row_stride == 1
                                     ? detail::round_columns_bf16(table, at, a_memory)
                                     : detail::interleave_bf16(table, at, rows, a_memory);
        for (std::int64_t i = 0; i < rows; i += kernel.rows) {
          for (std::int64_t j = 0; j < cols; j += kernel.cols) {
            const MatrixView<float> tile =
                c.block(row0 + i, col0 + j, std::min(kernel.rows, rows - i),
                        std::min(kernel.cols, cols - j));
            detail::run_tile(kernel,
                             kernels::GemmBf16Tile{.rows = tile.rows,
                                                   .cols = tile.cols,
                                                   .pairs = pairs,
                                                   .a = packed.data + i * packed.stride,
                                                   .a_stride = packed.stride,
                                                   .a_step = packed.step,
                                                   .b = b_memory + j * 2 * pairs,
                                                   .b_step = 2 * kernel.cols,
                                                   .accumulate = accumulate},
                             tile, edge);
          }
        }
      }
    }
  }
}

}  // namespace bitdial::inline BITDIAL_ABI::ops
