// SPDX-License-Identifier: Apache-2.0
// Integer matrix products of codes with pre-packed weights: exact int32 sums, delivered to an
// epilogue tile by tile. Deployment side: no exceptions, no allocation, the caller owns all memory.
#pragma once

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include <bitdial/core/assert.hpp>
#include <bitdial/core/rounding.hpp>
#include <bitdial/kernels/kernel_table.hpp>
#include <bitdial/ops/matrix_view.hpp>

namespace bitdial::inline BITDIAL_ABI::ops {

/// What the epilogue receives: finished sums of C[row0 .. row0 + rows)[col0 .. col0 + cols).
/// `sums` is scratch that the next tile overwrites.
struct QgemmTile {
  std::int64_t row0 = 0;
  std::int64_t rows = 0;
  std::int64_t col0 = 0;
  std::int64_t cols = 0;
  const std::int32_t* sums = nullptr;
  std::int64_t stride = 0;  ///< elements between rows of `sums`
  /// row_sums[i] = sum over k of the codes of row row0 + i; null unless the options ask for it.
  const std::int32_t* row_sums = nullptr;

  [[nodiscard]] const std::int32_t* row(std::int64_t i) const noexcept { return sums + i * stride; }
};

struct QgemmOptions {
  bool row_sums = false;        ///< deliver QgemmTile::row_sums
  std::int64_t max_code = 255;  ///< no code of A is larger; of use to byte kernels
};

/// Fills rows row0 .. row0 + panel.rows of A; panel.row(i) is contiguous, panel.cols elements, all
/// of which must be written.
template <class F, class T>
concept PacksQuantizedRows = std::invocable<F, std::int64_t /*row0*/, MatrixView<T>>;

namespace detail {

/// The epilogue sees at most about this many columns at once, so that the sums stay in the
/// first-level cache.
inline constexpr std::int64_t qgemm_cols_block = 256;

/// Bytes between packed rows of A: an odd number of cache lines, so that rows at powers of two do
/// not share cache sets.
[[nodiscard]] constexpr std::int64_t qgemm_row_bytes(std::int64_t bytes) noexcept {
  return ((bytes + 63) / 64 | 1) * 64;
}

[[nodiscard]] constexpr std::int64_t qgemm_sums_cols(std::int64_t n, std::int64_t width) noexcept {
  return round_up(std::min(n, qgemm_cols_block), width);
}

/// Bytes of scratch: the packed rows of A, the sums, the row sums.
[[nodiscard]] constexpr std::size_t qgemm_scratch_bytes(std::int64_t tile_rows,
                                                        std::int64_t tile_cols,
                                                        std::int64_t row_bytes,
                                                        std::int64_t n) noexcept {
  const std::int64_t rows = tile_rows * qgemm_row_bytes(row_bytes);
  const std::int64_t sums = tile_rows * (qgemm_sums_cols(n, tile_cols) + 1) * 4;
  return static_cast<std::size_t>(rows + round_up(sums, 64));
}

/// The loops that both products share. `fill(row0, rows)` packs a tile of A and returns the
/// address of its row sums; `multiply(rows, col, cols, c, c_stride)` computes one tile.
template <class Fill, class Multiply, class Epilogue>
void qgemm_loop(std::int64_t m, std::int64_t n, std::int64_t tile_rows, std::int64_t tile_cols,
                std::int32_t* sums, Fill&& fill, Multiply&& multiply, Epilogue&& epilogue) {
  const std::int64_t max_cols = qgemm_sums_cols(n, tile_cols);
  for (std::int64_t row0 = 0; row0 < m; row0 += tile_rows) {
    const std::int64_t rows = std::min(tile_rows, m - row0);
    const std::int32_t* const row_sums = fill(row0, rows);
    for (std::int64_t col0 = 0; col0 < n; col0 += max_cols) {
      const std::int64_t cols = std::min(max_cols, n - col0);
      for (std::int64_t j = 0; j < cols; j += tile_cols) {
        multiply(rows, col0 + j, std::min(tile_cols, cols - j), sums + j, max_cols);
      }
      epilogue(QgemmTile{.row0 = row0,
                         .rows = rows,
                         .col0 = col0,
                         .cols = cols,
                         .sums = sums,
                         .stride = max_cols,
                         .row_sums = row_sums});
    }
  }
}

}  // namespace detail

/// Weight levels in the layout of one kernel table's u8 x s8 tile: a view of caller memory.
///
/// Panels of `table.gemm_u8s8.cols` columns, each [segments][groups][cols][4], padded with zero
/// levels. K is cut into `segments` equal runs, each padded to whole groups of four, as the rows
/// that the kernel reads are. Behind the panels stand the short runs of their groups, if the kernel
/// reads them.
struct PackedWeightsU8S8 {
  const std::int8_t* data = nullptr;
  std::int64_t n = 0;
  std::int64_t k = 0;
  std::int64_t segments = 1;  ///< a divisor of k
  /// The largest sum of the levels of one sign in a pair that kernels add first, as a magnitude.
  std::int64_t largest_pair = 256;

  /// Groups that a kernel may add in 16 bits when no code is above `max_code`: the promise of
  /// GemmU8S8Tile::short_groups.
  [[nodiscard]] constexpr std::int64_t short_groups(std::int64_t max_code) const noexcept {
    return 32767 / std::max<std::int64_t>(1, max_code * largest_pair);
  }

  /// Groups of one segment.
  [[nodiscard]] std::int64_t groups() const noexcept { return groups(k, segments); }
  [[nodiscard]] static constexpr std::int64_t groups(std::int64_t k,
                                                     std::int64_t segments = 1) noexcept {
    return (k / segments + 3) / 4;
  }

  [[nodiscard]] std::int64_t panel_bytes(const kernels::KernelTable& table) const noexcept {
    return table.gemm_u8s8.cols * segments * groups() * 4;
  }

  /// The panel of column `col`, a multiple of the table's columns, from a segment on.
  [[nodiscard]] const std::int8_t* panel(const kernels::KernelTable& table, std::int64_t col,
                                         std::int64_t segment = 0) const noexcept {
    const std::int64_t width = table.gemm_u8s8.cols;
    return data + (col / width * segments + segment) * groups() * width * 4;
  }
  /// GemmU8S8Tile::short_runs of the same; null for a kernel that does not read them.
  [[nodiscard]] const std::uint8_t* short_runs(const kernels::KernelTable& table, std::int64_t col,
                                               std::int64_t segment = 0) const noexcept {
    if (!table.reads_short_runs) return nullptr;
    const std::int64_t width = table.gemm_u8s8.cols;
    const auto* const runs =
        reinterpret_cast<const std::uint8_t*>(panel(table, round_up(n, width)));
    return runs + (col / width * segments + segment) * groups();
  }

  /// Size of the packed weights; align the memory to 64 bytes.
  [[nodiscard]] static std::size_t bytes(const kernels::KernelTable& table, std::int64_t n,
                                         std::int64_t k, std::int64_t segments = 1) noexcept {
    const std::int64_t width = table.gemm_u8s8.cols;
    const std::int64_t of_group = width * 4 + (table.reads_short_runs ? 1 : 0);
    return static_cast<std::size_t>(round_up(n, width) / width * segments * groups(k, segments) *
                                    of_group);
  }

  /// Packs `levels` [n, k] into `memory` of at least `bytes(table, n, k, segments)`.
  [[nodiscard]] static PackedWeightsU8S8 pack(const kernels::KernelTable& table,
                                              MatrixView<const std::int8_t> levels,
                                              std::span<std::byte> memory,
                                              std::int64_t segments = 1) noexcept {
    BITDIAL_ASSERT(levels.cols % segments == 0 &&
                   memory.size() >= bytes(table, levels.rows, levels.cols, segments));
    PackedWeightsU8S8 packed{reinterpret_cast<const std::int8_t*>(memory.data()), levels.rows,
                             levels.cols, segments};
    packed.pack_columns(table, levels, 0, memory.data());
    packed.largest_pair = packed.find_pairs(table, levels.rows, 0, memory.data());
    return packed;
  }

  /// Packs `levels` [columns, k] as the columns from `col`, a multiple of the table's, on, into the
  /// memory that this is a view of.
  void pack_columns(const kernels::KernelTable& table, MatrixView<const std::int8_t> levels,
                    std::int64_t col, std::byte* memory) const noexcept {
    const std::int64_t width = table.gemm_u8s8.cols, run = k / segments;
    const std::int64_t panels = round_up(levels.rows, width) / width;
    auto* const out = reinterpret_cast<std::int8_t*>(memory) + (panel(table, col) - data);
    std::fill_n(out, panels * panel_bytes(table), std::int8_t{0});
    for (std::int64_t j = 0; j < levels.rows; ++j) {
      std::int8_t* column = out + j / width * panel_bytes(table) + j % width * 4;
      for (std::int64_t s = 0; s < segments; ++s, column += groups() * width * 4) {
        const std::int64_t first = s * run, whole = levels.col_stride == 1 ? run / 4 * 4 : 0;
        for (std::int64_t i = 0; i < whole; i += 4) {
          std::memcpy(column + i * width, levels.row(j) + first + i, 4);
        }
        for (std::int64_t i = whole; i < run; ++i) {
          column[i / 4 * width * 4 + i % 4] = levels(j, first + i);
        }
      }
    }
  }

  /// The `largest_pair` of so many packed columns from `col` on; writes their short runs where the
  /// kernel reads them.
  [[nodiscard]] std::int64_t find_pairs(const kernels::KernelTable& table, std::int64_t columns,
                                        std::int64_t col, std::byte* memory) const noexcept {
    const std::int64_t width = table.gemm_u8s8.cols;
    const std::int64_t panels = round_up(columns, width) / width;
    const std::int8_t* const from = panel(table, col);
    std::uint8_t* runs = nullptr;
    if (table.reads_short_runs) {
      runs = reinterpret_cast<std::uint8_t*>(memory) +
             (short_runs(table, col) - reinterpret_cast<const std::uint8_t*>(data));
    }
    std::int64_t largest = 0;
    int short_run = 0;
    for (std::int64_t group = panels * segments * groups() - 1; group >= 0; --group) {
      const int of_group =
          largest_pair_of({from + group * width * 4, static_cast<std::size_t>(width * 4)});
      largest = std::max<std::int64_t>(largest, of_group);
      short_run = of_group * 255 > 32767 ? 0 : std::min(255, short_run + 1);
      if (runs != nullptr) runs[group] = static_cast<std::uint8_t>(short_run);
    }
    return largest;
  }

 private:
  /// `largest_pair` of some groups.
  [[nodiscard]] static int largest_pair_of(std::span<const std::int8_t> levels) noexcept {
    int largest = 0;
    for (std::size_t i = 0; i < levels.size(); i += 2) {
      const int a = levels[i], b = levels[i + 1];
      const int above = std::max(a, 0) + std::max(b, 0);
      largest = std::max({largest, above, above - a - b});
    }
    return largest;
  }
};

/// Scratch of one `qgemm_u8s8` with these weights.
[[nodiscard]] inline std::size_t qgemm_u8s8_scratch_bytes(const kernels::KernelTable& table,
                                                          std::int64_t n, std::int64_t k) noexcept {
  return detail::qgemm_scratch_bytes(table.gemm_u8s8.rows, table.gemm_u8s8.cols,
                                     PackedWeightsU8S8::groups(k) * 4, n);
}

/// C[m, n] = A[m, k] W[n, k]^T for codes A in 0 .. 255 and levels W in -128 .. 127: exact int32.
///
/// `pack_a(row0, panel)` fills panel(i, k) = A(row0 + i, k), panel.cols == k, once per row tile.
/// `epilogue(const QgemmTile&)` is called for every tile, row tiles in ascending order, each in
/// blocks of columns. `table` is the one the weights were packed for. `scratch`: 64-byte aligned,
/// at least `qgemm_u8s8_scratch_bytes(table, n, k)`. Runs on the calling thread; split rows over
/// threads by calling it for each range. Requires |sum| < 2^31.
template <PacksQuantizedRows<std::uint8_t> PackA, std::invocable<const QgemmTile&> Epilogue>
void qgemm_u8s8(const kernels::KernelTable& table, std::int64_t m, PackA&& pack_a,
                const PackedWeightsU8S8& weights, Epilogue&& epilogue, std::span<std::byte> scratch,
                QgemmOptions options = {}) {
  const auto& kernel = table.gemm_u8s8;
  BITDIAL_ASSERT(scratch.size() >= qgemm_u8s8_scratch_bytes(table, weights.n, weights.k));
  const std::int64_t groups = PackedWeightsU8S8::groups(weights.k);
  const std::int64_t a_stride = detail::qgemm_row_bytes(groups * 4);
  auto* const a = reinterpret_cast<std::uint8_t*>(scratch.data());
  auto* const sums = reinterpret_cast<std::int32_t*>(a + kernel.rows * a_stride);
  std::int32_t* const row_sums =
      sums + kernel.rows * detail::qgemm_sums_cols(weights.n, kernel.cols);

  const auto fill = [&](std::int64_t row0, std::int64_t rows) -> const std::int32_t* {
    pack_a(row0, MatrixView<std::uint8_t>(a, rows, weights.k, a_stride));
    for (std::int64_t i = 0; i < rows; ++i) {
      std::fill(a + i * a_stride + weights.k, a + i * a_stride + groups * 4, std::uint8_t{0});
      if (options.row_sums) {
        row_sums[i] = static_cast<std::int32_t>(table.sum_codes(a + i * a_stride, weights.k));
      }
    }
    return options.row_sums ? row_sums : nullptr;
  };
  const auto multiply = [&](std::int64_t rows, std::int64_t col, std::int64_t cols, std::int32_t* c,
                            std::int64_t c_stride) {
    kernel.run({.rows = rows,
                .cols = cols,
                .groups = groups,
                .a = a,
                .a_stride = a_stride,
                .b = weights.panel(table, col),
                .c = c,
                .c_stride = c_stride,
                .short_groups = weights.short_groups(options.max_code),
                .short_runs = weights.short_runs(table, col)});
  };
  detail::qgemm_loop(m, weights.n, kernel.rows, kernel.cols, sums, fill, multiply, epilogue);
}

/// Weight codes as bit planes in the layout of one kernel table's plane tile: a view of caller
/// memory.
///
/// Panels of `table.gemm_planes.cols` columns, each [planes][words][cols], most significant plane
/// first: the first b planes are the codes of the b most significant bits, so one packing serves
/// all narrower truncations. If `differ` they are followed by GemmPlanesTile::starts of all panels:
/// minus the number of bits of each plane of a column.
struct PackedPlanes {
  const std::uint32_t* data = nullptr;
  std::int64_t n = 0;
  std::int64_t words = 0;  ///< of 32 codes
  std::int64_t planes = 0;
  bool differ = false;

  /// Words of 64 codes in a plane of a row: what KernelTable::pack_planes writes.
  [[nodiscard]] constexpr std::int64_t row_words() const noexcept { return (words + 1) / 2; }

  /// Size of the packed planes; align the memory to 64 bytes. `shape.data` is not read.
  [[nodiscard]] static std::size_t bytes(const kernels::KernelTable& table,
                                         const PackedPlanes& shape) noexcept {
    return static_cast<std::size_t>(round_up(shape.n, table.gemm_planes.cols) * shape.planes *
                                    (shape.words + (shape.differ ? 1 : 0))) *
           sizeof(std::uint32_t);
  }
  /// GemmPlanesTile::starts of the panel that begins with column `col`.
  [[nodiscard]] const std::int32_t* starts(const kernels::KernelTable& table,
                                           std::int64_t col) const noexcept {
    if (!differ) return nullptr;
    return reinterpret_cast<const std::int32_t*>(data) +
           (round_up(n, table.gemm_planes.cols) * words + col) * planes;
  }

  /// Packs `rows` [n, planes * row_words()] (plane p of row j at columns p * row_words() and up, as
  /// KernelTable::pack_planes writes with plane_stride = row_words()) into `memory` of at least
  /// `bytes(table, shape)`.
  [[nodiscard]] static PackedPlanes pack(const kernels::KernelTable& table, PackedPlanes shape,
                                         MatrixView<const std::uint64_t> rows,
                                         std::span<std::byte> memory) noexcept {
    const std::size_t size = bytes(table, shape);
    BITDIAL_ASSERT(rows.rows == shape.n && rows.cols == shape.planes * shape.row_words());
    BITDIAL_ASSERT(memory.size() >= size);
    auto* const out = reinterpret_cast<std::uint32_t*>(memory.data());
    std::fill_n(out, size / sizeof(std::uint32_t), std::uint32_t{0});
    const std::int64_t width = table.gemm_planes.cols;
    std::uint32_t* const starts = out + round_up(shape.n, width) * shape.planes * shape.words;
    for (std::int64_t j = 0; j < shape.n; ++j) {
      const std::int64_t panel = j / width * width * shape.planes;
      std::uint32_t* column = out + panel * shape.words + j % width;
      for (std::int64_t p = 0; p < shape.planes; ++p) {
        int bits = 0;
        for (std::int64_t i = 0; i < shape.words; ++i, column += width) {
          const std::uint64_t both = rows(j, p * shape.row_words() + i / 2);
          *column = static_cast<std::uint32_t>(both >> (i % 2 * 32));
          bits += std::popcount(*column);
        }
        if (shape.differ) {
          starts[panel + p * width + j % width] = static_cast<std::uint32_t>(-bits);
        }
      }
    }
    shape.data = out;
    return shape;
  }
};

/// Bits of the two operands of a plane product.
struct PlaneCounts {
  std::int64_t a = 1;  ///< activation planes that `pack_a` delivers
  std::int64_t b = 1;  ///< leading weight planes to use, at most PackedPlanes::planes
};

/// Scratch of one `qgemm_planes` with these weights and `a_planes` activation planes.
[[nodiscard]] inline std::size_t qgemm_planes_scratch_bytes(const kernels::KernelTable& table,
                                                            const PackedPlanes& weights,
                                                            std::int64_t a_planes) noexcept {
  return detail::qgemm_scratch_bytes(table.gemm_planes.rows, table.gemm_planes.cols,
                                     a_planes * weights.row_words() * 8, weights.n);
}

namespace detail {

/// The sum of codes given as `planes` planes of `words` words, most significant first.
[[nodiscard]] inline std::int32_t sum_of_planes(const std::uint64_t* plane, std::int64_t planes,
                                                std::int64_t words) noexcept {
  std::int32_t sum = 0;
  for (std::int64_t p = 0; p < planes; ++p, plane += words) {
    sum *= 2;
    for (std::int64_t w = 0; w < words; ++w) sum += std::popcount(plane[w]);
  }
  return sum;
}

}  // namespace detail

/// C[m, n] = sum_k u(m, k) q(n, k) for unsigned codes u, q given as bit planes: exact int32.
///
/// `pack_a(row0, panel)` fills rows of planes.a * words words, words = weights.row_words():
/// panel(i, s * words + w) is word w, of 64 codes, of plane s of row row0 + i, most significant
/// plane first, unused bits zero. Row sums are sum_k u(m, k). Everything else as in `qgemm_u8s8`.
template <PacksQuantizedRows<std::uint64_t> PackA, std::invocable<const QgemmTile&> Epilogue>
void qgemm_planes(const kernels::KernelTable& table, std::int64_t m, PlaneCounts planes,
                  PackA&& pack_a, const PackedPlanes& weights, Epilogue&& epilogue,
                  std::span<std::byte> scratch, QgemmOptions options = {}) {
  const auto& kernel = table.gemm_planes;
  BITDIAL_ASSERT(planes.b <= weights.planes && !weights.differ);
  BITDIAL_ASSERT(scratch.size() >= qgemm_planes_scratch_bytes(table, weights, planes.a));
  const std::int64_t row_words = planes.a * weights.row_words();
  const std::int64_t a_stride = detail::qgemm_row_bytes(row_words * 8) / 8;
  auto* const a = reinterpret_cast<std::uint64_t*>(scratch.data());
  auto* const sums = reinterpret_cast<std::int32_t*>(a + kernel.rows * a_stride);
  std::int32_t* const row_sums =
      sums + kernel.rows * detail::qgemm_sums_cols(weights.n, kernel.cols);

  const auto fill = [&](std::int64_t row0, std::int64_t rows) -> const std::int32_t* {
    pack_a(row0, MatrixView<std::uint64_t>(a, rows, row_words, a_stride));
    if (!options.row_sums) return nullptr;
    for (std::int64_t i = 0; i < rows; ++i) {
      row_sums[i] = detail::sum_of_planes(a + i * a_stride, planes.a, weights.row_words());
    }
    return row_sums;
  };
  const auto multiply = [&](std::int64_t rows, std::int64_t col, std::int64_t cols, std::int32_t* c,
                            std::int64_t c_stride) {
    kernel.run({.rows = rows,
                .cols = cols,
                .words = weights.words,
                .a_planes = planes.a,
                .b_planes = planes.b,
                .a = reinterpret_cast<const std::uint8_t*>(a),
                .a_stride = a_stride * 8,
                .plane_stride = weights.row_words() * 8,
                .b = weights.data + col * weights.words * weights.planes,
                .c = c,
                .c_stride = c_stride});
  };
  detail::qgemm_loop(m, weights.n, kernel.rows, kernel.cols, sums, fill, multiply, epilogue);
}

}  // namespace bitdial::inline BITDIAL_ABI::ops
