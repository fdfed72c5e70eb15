// SPDX-License-Identifier: Apache-2.0
// Integer products of few rows (a fully connected layer for one image) with weights that stay
// packed at 1, 2 or 4 bits in memory: exact int32 sums, delivered as in qgemm.hpp. Deployment side:
// no exceptions, no allocation, the caller owns all memory.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include <bitdial/core/assert.hpp>
#include <bitdial/core/rounding.hpp>
#include <bitdial/kernels/kernel_table.hpp>
#include <bitdial/ops/matrix_view.hpp>
#include <bitdial/ops/qgemm.hpp>

namespace bitdial::inline BITDIAL_ABI::ops {

/// Weight codes of 1, 2 or 4 bits in the layout of one kernel table's packed-code tile: a view of
/// caller memory, n k bits / 8 bytes plus padding. For 8 bits there is `PackedWeightsU8S8`.
struct PackedCodes {
  const std::uint8_t* data = nullptr;
  std::int64_t n = 0;
  std::int64_t k = 0;
  int bits = 4;

  /// Codes of one column in a block of the kernel: four bytes full.
  [[nodiscard]] constexpr std::int64_t block() const noexcept { return 32 / bits; }
  [[nodiscard]] constexpr std::int64_t blocks() const noexcept {
    return (k + block() - 1) / block();
  }

  /// Size of the packed weights; align the memory to 64 bytes. `shape.data` is not read.
  [[nodiscard]] static std::size_t bytes(const kernels::KernelTable& table,
                                         const PackedCodes& shape) noexcept {
    return static_cast<std::size_t>(round_up(shape.n, table.gemm_codes.cols) * shape.blocks() * 4);
  }

  /// Packs `codes` [n, k], each below 2^shape.bits, into `memory` of at least
  /// `bytes(table, shape)`.
  [[nodiscard]] static PackedCodes pack(const kernels::KernelTable& table, PackedCodes shape,
                                        MatrixView<const std::uint8_t> codes,
                                        std::span<std::byte> memory) noexcept {
    const std::size_t size = bytes(table, shape);
    BITDIAL_ASSERT(shape.bits == 1 || shape.bits == 2 || shape.bits == 4);
    BITDIAL_ASSERT(codes.rows == shape.n && codes.cols == shape.k && memory.size() >= size);
    auto* const out = reinterpret_cast<std::uint8_t*>(memory.data());
    std::fill_n(out, size, std::uint8_t{0});
    const std::int64_t width = table.gemm_codes.cols;
    for (std::int64_t j = 0; j < shape.n; ++j) {
      std::uint8_t* const column = out + (j / width * width * shape.blocks() + j % width) * 4;
      for (std::int64_t k = 0; k < shape.k; ++k) {
        const std::int64_t at = k % shape.block();
        std::uint8_t& byte = column[k / shape.block() * width * 4 + at % 4];
        byte = static_cast<std::uint8_t>(byte | codes(j, k) << (at / 4 * shape.bits));
      }
    }
    shape.data = out;
    return shape;
  }
};

/// Scratch of one `qgemv` with these weights.
[[nodiscard]] inline std::size_t qgemv_scratch_bytes(const kernels::KernelTable& table,
                                                     const PackedCodes& weights) noexcept {
  return detail::qgemm_scratch_bytes(table.gemm_codes.rows, table.gemm_codes.cols,
                                     weights.blocks() * weights.block(), weights.n);
}

/// C[m, n] = sum_k u(m, k) q(n, k) for codes u of a byte and q of weights.bits bits: exact int32.
///
/// Arguments as in `qgemm_u8s8`, of which this is the form for few rows; it is right for any m.
/// Levels of weights follow from row sums. Requires sums below 2^31.
/// Cost: n k weights.bits / 8 bytes read once for every `table.gemm_codes.rows` rows.
template <PacksQuantizedRows<std::uint8_t> PackA, std::invocable<const QgemmTile&> Epilogue>
void qgemv(const kernels::KernelTable& table, std::int64_t m, PackA&& pack_a,
           const PackedCodes& weights, Epilogue&& epilogue, std::span<std::byte> scratch,
           QgemmOptions options = {}) {
  const auto& kernel = table.gemm_codes;
  BITDIAL_ASSERT(scratch.size() >= qgemv_scratch_bytes(table, weights));
  const std::int64_t depth = weights.blocks() * weights.block();
  const std::int64_t a_stride = detail::qgemm_row_bytes(depth);
  auto* const a = reinterpret_cast<std::uint8_t*>(scratch.data());
  auto* const sums = reinterpret_cast<std::int32_t*>(a + kernel.rows * a_stride);
  std::int32_t* const row_sums =
      sums + kernel.rows * detail::qgemm_sums_cols(weights.n, kernel.cols);

  const auto fill = [&](std::int64_t row0, std::int64_t rows) -> const std::int32_t* {
    pack_a(row0, MatrixView<std::uint8_t>(a, rows, weights.k, a_stride));
    for (std::int64_t i = 0; i < rows; ++i) {
      std::uint8_t* const row = a + i * a_stride;
      std::fill(row + weights.k, row + depth, std::uint8_t{0});
      if (options.row_sums) {
        row_sums[i] = static_cast<std::int32_t>(table.sum_codes(row, weights.k));
      }
    }
    return options.row_sums ? row_sums : nullptr;
  };
  const auto multiply = [&](std::int64_t rows, std::int64_t col, std::int64_t cols, std::int32_t* c,
                            std::int64_t c_stride) {
    kernel.run({.rows = rows,
                .cols = cols,
                .bits = weights.bits,
                .blocks = weights.blocks(),
                .a = a,
                .a_stride = a_stride,
                .b = weights.data + col * weights.blocks() * 4,
                .c = c,
                .c_stride = c_stride});
  };
  detail::qgemm_loop(m, weights.n, kernel.rows, kernel.cols, sums, fill, multiply, epilogue);
}

}  // namespace bitdial::inline BITDIAL_ABI::ops
