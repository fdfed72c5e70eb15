// SPDX-License-Identifier: Apache-2.0
// Integer matrix products by table look-up, for weights of one or two bits and codes of up to five:
// the weights of four codes are the index into a table of their sums. Exact int32 sums, delivered
// as in qgemm.hpp. Deployment side: no exceptions, no allocation, the caller owns all memory.
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

/// The widest codes whose sums of four, twice, fit a byte.
inline constexpr int max_lookup_bits = 5;

/// Weight codes in the layout of one kernel table's look-up tile: a view of caller memory.
///
/// A row of K codes is `segments` runs of equal length, each padded with zeros to whole blocks of
/// 16. Panels of `table.gemm_lookup.cols` columns, each as kernels::GemmLookupTile::b, most
/// significant plane first: the first b planes are the codes of the b most significant bits, so one
/// packing serves all narrower truncations.
struct PackedLookup {
  const std::uint8_t* data = nullptr;
  std::int64_t n = 0;
  std::int64_t k = 0;
  std::int64_t planes = 1;
  std::int64_t segments = 1;

  /// Blocks of 16 codes in a segment.
  [[nodiscard]] constexpr std::int64_t blocks() const noexcept { return (k / segments + 15) / 16; }

  /// Bytes of one column: 4 for each pair of blocks of a segment and plane.
  [[nodiscard]] constexpr std::int64_t column_bytes() const noexcept {
    return planes * segments * ((blocks() + 1) / 2) * 4;
  }

  /// Size of the packed weights; align the memory to 64 bytes. `shape.data` is not read.
  [[nodiscard]] static std::size_t bytes(const kernels::KernelTable& table,
                                         const PackedLookup& shape) noexcept {
    return static_cast<std::size_t>(round_up(shape.n, table.gemm_lookup.cols) *
                                    shape.column_bytes());
  }

  /// Packs `codes` [n, k], each of `shape.planes` bits, into `memory` of at least
  /// `bytes(table, shape)`. Requires k % segments == 0.
  [[nodiscard]] static PackedLookup pack(const kernels::KernelTable& table, PackedLookup shape,
                                         MatrixView<const std::uint8_t> codes,
                                         std::span<std::byte> memory) noexcept {
    const std::size_t size = bytes(table, shape);
    BITDIAL_ASSERT(codes.rows == shape.n && codes.cols == shape.k);
    BITDIAL_ASSERT(shape.k % shape.segments == 0 && memory.size() >= size);
    auto* const out = reinterpret_cast<std::uint8_t*>(memory.data());
    std::fill_n(out, size, std::uint8_t{0});
    const std::int64_t width = table.gemm_lookup.cols;
    const std::int64_t length = shape.k / shape.segments;
    const std::int64_t pairs = (shape.blocks() + 1) / 2;
    for (std::int64_t j = 0; j < shape.n; ++j) {
      const std::int64_t column = j % width;
      std::uint8_t* const panel = out + j / width * width * shape.column_bytes() + column / 16 * 64;
      for (std::int64_t i = 0; i < shape.k; ++i) {
        const std::int64_t segment = i / length, at = i % length;
        const std::int64_t block = at / 16, group = at / 4 % 4, bit = at % 4;
        for (std::int64_t p = 0; p < shape.planes; ++p) {
          const int set = codes(j, i) >> (shape.planes - 1 - p) & 1;
          std::uint8_t& both =
              panel[((p * shape.segments + segment) * pairs + block / 2) * width * 4 +
                    kernels::lookup_place(table.lookup_order, group, column % 16)];
          both = static_cast<std::uint8_t>(both | set << (block % 2 * 4 + bit));
        }
      }
    }
    shape.data = out;
    return shape;
  }
};

/// Bits of the two operands of a look-up product.
struct LookupBits {
  int a = 2;           ///< of the codes that `pack_a` delivers, at most `max_lookup_bits`
  std::int64_t b = 1;  ///< leading weight planes to use, at most PackedLookup::planes
};

namespace detail {

/// The parts of the scratch of a look-up product, in bytes.
struct LookupScratch {
  std::int64_t row;     ///< tables of one row
  std::int64_t tables;  ///< of one row tile
  std::int64_t sums;
  std::int64_t row_sums;
  std::int64_t codes;  ///< of one row, padded

  LookupScratch(const kernels::KernelTable& table, const PackedLookup& weights) noexcept
      : row{qgemm_row_bytes(weights.segments * weights.blocks() * 64)},
        tables{table.gemm_lookup.rows * row},
        sums{table.gemm_lookup.rows * qgemm_sums_cols(weights.n, table.gemm_lookup.cols) * 4},
        row_sums{table.gemm_lookup.rows * 4},
        codes{qgemm_row_bytes(weights.k)} {}

  [[nodiscard]] std::size_t size(std::int64_t rows) const noexcept {
    return static_cast<std::size_t>(tables + sums + round_up(row_sums, 64) + rows * codes);
  }
};

}  // namespace detail

/// Scratch of one `qgemm_lookup` with these weights.
[[nodiscard]] inline std::size_t qgemm_lookup_scratch_bytes(const kernels::KernelTable& table,
                                                            const PackedLookup& weights) noexcept {
  return detail::LookupScratch(table, weights).size(table.gemm_lookup.rows);
}

/// C[m, n] = sum_k u(m, k) q(n, k) for unsigned codes u of `bits.a` and q of `bits.b` bits: exact
/// int32.
///
/// `pack_a(row0, panel)` fills panel(i, k) = u(row0 + i, k), panel.cols == k, as in `qgemm_u8s8`.
/// Levels of weights follow from row sums: for levels 2 q - 1 the sum is 2 C - row sum, for ternary
/// levels q - 1 with codes 0 .. 2 of two bits it is C - row sum. Everything else as in
/// `qgemm_u8s8`.
///
/// Cost: m * n * k * bits.b / 4 look-ups, and 4 m k bytes of tables, built once per tile of rows.
/// Source: T-MAC (2407.00088).
template <PacksQuantizedRows<std::uint8_t> PackA, std::invocable<const QgemmTile&> Epilogue>
void qgemm_lookup(const kernels::KernelTable& table, std::int64_t m, LookupBits bits,
                  PackA&& pack_a, const PackedLookup& weights, Epilogue&& epilogue,
                  std::span<std::byte> scratch, QgemmOptions options = {}) {
  const auto& kernel = table.gemm_lookup;
  const detail::LookupScratch parts(table, weights);
  BITDIAL_ASSERT(bits.a <= max_lookup_bits && bits.b <= weights.planes);
  BITDIAL_ASSERT(scratch.size() >= parts.size(kernel.rows));
  auto* const tables = reinterpret_cast<std::uint8_t*>(scratch.data());
  auto* const sums = reinterpret_cast<std::int32_t*>(tables + parts.tables);
  auto* const row_sums = reinterpret_cast<std::int32_t*>(tables + parts.tables + parts.sums);
  std::uint8_t* const codes = tables + parts.tables + parts.sums + round_up(parts.row_sums, 64);
  const std::int64_t length = weights.k / weights.segments;

  const auto fill = [&](std::int64_t row0, std::int64_t rows) -> const std::int32_t* {
    pack_a(row0, MatrixView<std::uint8_t>(codes, rows, weights.k, parts.codes));
    for (std::int64_t i = 0; i < rows; ++i) {
      const std::uint8_t* const row = codes + i * parts.codes;
      for (std::int64_t s = 0; s < weights.segments; ++s) {
        table.subset_sums({.codes = row + s * length,
                           .count = length,
                           .tables = tables + i * parts.row + s * weights.blocks() * 64});
      }
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
                .bits = bits.a,
                .planes = bits.b,
                .blocks = weights.blocks(),
                .segments = weights.segments,
                .a = tables,
                .a_stride = parts.row,
                .segment_stride = weights.blocks() * 64,
                .b = weights.data + col * weights.column_bytes(),
                .c = c,
                .c_stride = c_stride});
  };
  detail::qgemm_loop(m, weights.n, kernel.rows, kernel.cols, sums, fill, multiply, epilogue);
}

}  // namespace bitdial::inline BITDIAL_ABI::ops
