// SPDX-License-Identifier: Apache-2.0
// Real-valued matrix product C (+)= A B on strided views, and the same with packing callbacks so
// that a convolution is a matrix product without an im2col buffer.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <bitdial/core/aligned_buffer.hpp>
#include <bitdial/core/error.hpp>
#include <bitdial/core/parallel.hpp>
#include <bitdial/core/rounding.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/kernels/active.hpp>
#include <bitdial/ops/matrix_view.hpp>

namespace bitdial::inline BITDIAL_ABI::ops {

/// How a product is stored.
struct GemmOptions {
  bool accumulate = false;  ///< C += A B instead of C = A B
  /// The kernels of float products; null: `kernels::active_real_kernels()`. A product with a
  /// `PackedB` uses the kernels that B was packed for.
  const kernels::RealKernels* table = nullptr;
};

/// Fills a block of A. `panel` views the block to fill: panel(i, k) = A(row0 + i, k0 + k), with
/// panel.col_stride == 1, so a run of neighbouring k is one copy into panel.row(i). Every element
/// of the view must be written.
template <class F, class T>
concept PacksRows = std::invocable<F, std::int64_t /*row0*/, std::int64_t /*k0*/, MatrixView<T>>;

/// Fills a block of B. panel(k, j) = B(k0 + k, col0 + j), with panel.col_stride == 1. Every
/// element of the view must be written.
template <class F, class T>
concept PacksCols = std::invocable<F, std::int64_t /*k0*/, std::int64_t /*col0*/, MatrixView<T>>;

namespace detail {

inline void require_product(const char* function, std::int64_t a_rows, std::int64_t a_cols,
                            std::int64_t b_rows, std::int64_t b_cols, std::int64_t c_rows,
                            std::int64_t c_cols) {
  if (a_cols == b_rows && a_rows == c_rows && b_cols == c_cols) return;
  throw ShapeError(concat(function, ": a [", a_rows, ", ", a_cols, "] times b [", b_rows, ", ",
                          b_cols, "] does not give c [", c_rows, ", ", c_cols, "]"));
}

/// The portable tile for element types without a kernel: each output is summed in ascending k.
template <class T>
void gemm_tile(const kernels::GemmTile<T>& t) noexcept {
  for (std::int64_t r = 0; r < t.rows; ++r) {
    T* const c = t.c + r * t.c_stride;
    if (!t.accumulate) std::fill_n(c, t.cols, T{});
    for (std::int64_t s = 0; s < t.runs; ++s) {
      for (std::int64_t k = 0; k < t.depth; ++k) {
        const T a = t.a[r * t.a_stride + s * t.a_run + k * t.a_step];
        const T* const b = t.b + s * t.b_run + k * t.b_step;
        for (std::int64_t j = 0; j < t.cols; ++j) c[j] += a * b[j];
      }
    }
  }
}

template <class T>
[[nodiscard]] kernels::TileKernel<kernels::GemmTile<T>> gemm_kernel(
    const kernels::RealKernels* table) {
  if constexpr (std::same_as<T, float>) {
    return (table != nullptr ? *table : kernels::active_real_kernels()).gemm_f32;
  } else {
    return {4, 8, gemm_tile<T>};
  }
}

/// Memory of this thread that only grows; each `slot` is another buffer.
template <class T, int slot>
[[nodiscard]] T* gemm_scratch(std::int64_t size) {
  thread_local AlignedBuffer<T> buffer;
  const auto wanted = static_cast<std::size_t>(size);
  if (buffer.size() < wanted) buffer = AlignedBuffer<T>(wanted);
  return buffer.data();
}

/// A block of `depth` x `cols` of B stays in the second-level cache (512 KiB of floats), a tile of
/// A in the first.
inline constexpr std::int64_t gemm_depth_block = 512;
inline constexpr std::int64_t gemm_cols_block = 256;

[[nodiscard]] constexpr std::int64_t gemm_max_cols(std::int64_t width) noexcept {
  return round_up(gemm_cols_block, width);
}

/// The blocks of B in the order in which a product asks for them.
struct GemmBlock {
  std::int64_t k0 = 0, depth = 0, col0 = 0, cols = 0;
};

/// Packs a block of B as panels of `width` columns: out[panel][k][width], missing columns zero.
template <class T, class PackB>
void pack_panels(PackB& pack_b, GemmBlock block, std::int64_t width, T* out) {
  for (std::int64_t j = 0; j < block.cols; j += width) {
    T* const panel = out + j * block.depth;
    const std::int64_t valid = std::min(width, block.cols - j);
    if (valid < width) std::fill_n(panel, width * block.depth, T{});
    pack_b(block.k0, block.col0 + j, MatrixView<T>(panel, block.depth, valid, width));
  }
}

/// One tile of C: straight into C when its rows are contiguous, else by way of `edge`. Operands are
/// not copied: words that were just written would wait for each other in a wider copy.
template <class T, class Tile>
void run_tile(const kernels::TileKernel<Tile>& kernel, Tile&& tile, const MatrixView<T>& c,
              T* edge) {
  if (c.col_stride == 1) {
    tile.c = c.data;
    tile.c_stride = c.row_stride;
    kernel.run(tile);
    return;
  }
  const MatrixView<T> temporary(edge, c.rows, c.cols, kernel.cols);
  for (std::int64_t i = 0; tile.accumulate && i < c.rows; ++i) {
    for (std::int64_t j = 0; j < c.cols; ++j) temporary(i, j) = c(i, j);
  }
  tile.c = edge;
  tile.c_stride = kernel.cols;
  kernel.run(tile);
  for (std::int64_t i = 0; i < c.rows; ++i) {
    for (std::int64_t j = 0; j < c.cols; ++j) c(i, j) = temporary(i, j);
  }
}

/// `source_a(row0, k0, panel)` returns the view to read: `panel`, filled, or memory of its own.
/// `source_b(block, width)` returns the packed panels of a block, `width` columns each.
template <class T, class SourceA, class SourceB>
void gemm_blocked(std::int64_t depth, SourceA&& source_a, SourceB&& source_b, MatrixView<T> c,
                  GemmOptions options) {
  if (c.rows == 0 || c.cols == 0) return;
  if (depth == 0) {
    for (std::int64_t i = 0; !options.accumulate && i < c.rows; ++i) {
      for (std::int64_t j = 0; j < c.cols; ++j) c(i, j) = T{};
    }
    return;
  }
  const auto kernel = gemm_kernel<T>(options.table);
  const std::int64_t max_depth = std::min(depth, gemm_depth_block);
  const std::int64_t max_cols = gemm_max_cols(kernel.cols);
  // An odd number of cache lines: rows at powers of two would all fall into one cache set.
  const std::int64_t a_stride = ((max_depth + 15) / 16 | 1) * 16;
  T* const a_panel = gemm_scratch<T, 0>(kernel.rows * a_stride);
  T* const edge = gemm_scratch<T, 1>(kernel.rows * kernel.cols);

  for (std::int64_t col0 = 0; col0 < c.cols; col0 += max_cols) {
    const std::int64_t cols = std::min(max_cols, c.cols - col0);
    for (std::int64_t k0 = 0; k0 < depth; k0 += max_depth) {
      const std::int64_t block_depth = std::min(max_depth, depth - k0);
      const T* const b_block = source_b(GemmBlock{k0, block_depth, col0, cols}, kernel.cols);
      for (std::int64_t row0 = 0; row0 < c.rows; row0 += kernel.rows) {
        const std::int64_t rows = std::min(kernel.rows, c.rows - row0);
        const MatrixView<const T> a =
            source_a(row0, k0, MatrixView<T>(a_panel, rows, block_depth, a_stride));
        for (std::int64_t j = 0; j < cols; j += kernel.cols) {
          const std::int64_t width = std::min(kernel.cols, cols - j);
          run_tile(kernel,
                   {.rows = rows,
                    .cols = width,
                    .depth = block_depth,
                    .a = a.data,
                    .a_stride = a.row_stride,
                    .a_step = a.col_stride,
                    .b = b_block + j * block_depth,
                    .b_step = kernel.cols,
                    .accumulate = options.accumulate || k0 > 0},
                   c.block(row0, col0 + j, rows, width), edge);
        }
      }
    }
  }
}

/// Packs each block of B when it is asked for, into scratch of this thread.
template <class T, class PackB>
[[nodiscard]] auto packing_source(PackB& pack_b) {
  return [&pack_b](GemmBlock block, std::int64_t width) -> const T* {
    T* const out = gemm_scratch<T, 2>(round_up(block.cols, width) * block.depth);
    pack_panels(pack_b, block, width, out);
    return out;
  };
}

/// Hands the filled panel on.
template <class T, class PackA>
[[nodiscard]] auto filling_source(PackA& pack_a) {
  return [&pack_a](std::int64_t row0, std::int64_t k0, MatrixView<T> panel) -> MatrixView<const T> {
    pack_a(row0, k0, panel);
    return panel;
  };
}

/// Copies a block into a panel with contiguous rows, in squares that stay in the cache.
template <class T>
void copy_block(MatrixView<const T> from, MatrixView<T> to) {
  if (from.col_stride == 1) {
    for (std::int64_t i = 0; i < to.rows; ++i) std::copy_n(from.row(i), to.cols, to.row(i));
    return;
  }
  constexpr std::int64_t square = 16;
  for (std::int64_t i0 = 0; i0 < to.rows; i0 += square) {
    const std::int64_t i1 = std::min(i0 + square, to.rows);
    for (std::int64_t j = 0; j < to.cols; ++j) {
      const T* const column = from.data + j * from.col_stride;
      for (std::int64_t i = i0; i < i1; ++i) to.row(i)[j] = column[i * from.row_stride];
    }
  }
}

/// Reads A where it lies when its rows or columns are contiguous and do not share cache sets; else
/// copies each block, so that the same is true of the copy.
template <class T>
[[nodiscard]] auto matrix_source(MatrixView<const T> a) {
  const bool rows = a.col_stride == 1;
  const bool in_place =
      (rows && a.row_stride % 256 != 0) || (!rows && a.row_stride == 1 && a.col_stride % 256 != 0);
  return [=](std::int64_t row0, std::int64_t k0, MatrixView<T> panel) -> MatrixView<const T> {
    const MatrixView<const T> block = a.block(row0, k0, panel.rows, panel.cols);
    if (in_place) return block;
    if (!rows && a.row_stride == 1) {
      panel = MatrixView<T>(panel.data, panel.cols, panel.rows).transposed();
      copy_block(block.transposed(), panel.transposed());
    } else {
      copy_block(block, panel);
    }
    return panel;
  };
}

}  // namespace detail

/// B [depth, n] in the layout of the kernels: packed once, read by any number of threads.
///
/// For a factor that many products share, such as the weights of a layer. Its products run on the
/// table that it was packed for, because the layout is that of the table's tiles.
template <class T>
class PackedB {
 public:
  PackedB() = default;

  /// Packs all of B, over threads; `pack_b` as in `gemm_packed`. Cost: one pass over B. `table` as
  /// in `GemmOptions`.
  template <PacksCols<T> PackB>
  PackedB(std::int64_t depth, std::int64_t cols, PackB&& pack_b,
          const kernels::RealKernels* table = nullptr)
      : table_{table != nullptr ? table : &kernels::active_real_kernels()},
        depth_{depth},
        cols_{cols},
        width_{detail::gemm_kernel<T>(table_).cols} {
    panels_ = AlignedBuffer<T>(static_cast<std::size_t>(round_up(cols, width_) * depth));
    const std::int64_t max_cols = detail::gemm_max_cols(width_);
    parallel_for(cols, max_cols, [&](std::int64_t col0, std::int64_t last) {
      for (std::int64_t k0 = 0; k0 < depth; k0 += detail::gemm_depth_block) {
        const detail::GemmBlock block{k0, std::min(detail::gemm_depth_block, depth - k0), col0,
                                      last - col0};
        detail::pack_panels(pack_b, block, width_, panels_.data() + offset(block));
      }
    });
  }

  /// Packs a view.
  explicit PackedB(MatrixView<const T> b, const kernels::RealKernels* table = nullptr)
      : PackedB(
            b.rows, b.cols,
            [b](std::int64_t k0, std::int64_t col0, MatrixView<T> panel) {
              detail::copy_block(b.block(k0, col0, panel.rows, panel.cols), panel);
            },
            table) {}

  [[nodiscard]] std::int64_t depth() const noexcept { return depth_; }
  [[nodiscard]] std::int64_t cols() const noexcept { return cols_; }

  /// The kernels that B was packed for; null for a default-constructed B, which is empty.
  [[nodiscard]] const kernels::RealKernels* table() const noexcept { return table_; }

  /// Columns of one panel: the tile width of the kernels that B was packed for.
  [[nodiscard]] std::int64_t panel_cols() const noexcept { return width_; }

  /// The panels of one block of the product.
  [[nodiscard]] const T* panels(detail::GemmBlock block) const noexcept {
    return panels_.data() + offset(block);
  }

 private:
  [[nodiscard]] std::int64_t offset(detail::GemmBlock block) const noexcept {
    return block.col0 * depth_ + round_up(block.cols, width_) * block.k0;
  }

  AlignedBuffer<T> panels_;
  const kernels::RealKernels* table_ = nullptr;
  std::int64_t depth_ = 0;
  std::int64_t cols_ = 0;
  std::int64_t width_ = 1;
};

namespace detail {

template <class T>
[[nodiscard]] auto packed_source(const PackedB<T>& b) {
  return [&b](GemmBlock block, std::int64_t width) {
    BITDIAL_ASSERT(width == b.panel_cols());
    static_cast<void>(width);
    return b.panels(block);
  };
}

}  // namespace detail

/// C (+)= A B where callbacks deliver A [m, depth] and B [depth, n] block by block, and
/// C is [m, n] = [c.rows, c.cols].
///
/// Each output is one sum in ascending k, whatever the blocks, so it does not depend on how a
/// caller splits the rows or columns of C over threads; the float result is the same on every
/// instruction set (see kernels::GemmTile). `pack_a` is called once per 256 columns of C for each
/// block of A, `pack_b` once for each block of B; neither may call a product of its own, the panels
/// lie in memory of the thread. Runs on the calling thread.
/// Cost: m * n * depth multiply-adds; scratch of at most 600 KiB per thread, kept.
template <class T, PacksRows<T> PackA, PacksCols<T> PackB>
void gemm_packed(std::int64_t depth, PackA&& pack_a, PackB&& pack_b, MatrixView<T> c,
                 GemmOptions options = {}) {
  detail::gemm_blocked(depth, detail::filling_source<T>(pack_a), detail::packing_source<T>(pack_b),
                       c, options);
}

/// The same with B packed beforehand, on the kernels that B was packed for: `options.table` is not
/// read. Throws ShapeError when C has not the columns of B.
template <class T, PacksRows<T> PackA>
void gemm_packed(PackA&& pack_a, const PackedB<T>& b, MatrixView<T> c, GemmOptions options = {}) {
  if (b.cols() != c.cols) {
    throw ShapeError(concat("gemm_packed: b [", b.depth(), ", ", b.cols(), "] does not give c [",
                            c.rows, ", ", c.cols, "]"));
  }
  options.table = b.table();
  detail::gemm_blocked(b.depth(), detail::filling_source<T>(pack_a), detail::packed_source(b), c,
                       options);
}

/// The same for A [m, depth] in memory, with any strides.
template <class T, PacksCols<T> PackB>
void gemm_packed_cols(std::type_identity_t<MatrixView<const T>> a, PackB&& pack_b, MatrixView<T> c,
                      GemmOptions options = {}) {
  detail::gemm_blocked(a.cols, detail::matrix_source<T>(a), detail::packing_source<T>(pack_b), c,
                       options);
}

/// C (+)= A B for A [m, k] in memory, with any strides, and B packed beforehand. Throws ShapeError
/// when the extents do not fit.
template <class T>
void gemm(std::type_identity_t<MatrixView<const T>> a, const PackedB<T>& b, MatrixView<T> c,
          GemmOptions options = {}) {
  detail::require_product("gemm", a.rows, a.cols, b.depth(), b.cols(), c.rows, c.cols);
  options.table = b.table();
  detail::gemm_blocked(b.depth(), detail::matrix_source<T>(a), detail::packed_source(b), c,
                       options);
}

/// C (+)= A B for A [m, k], B [k, n], C [m, n] with any strides; C overlaps neither operand.
///
/// Float goes through the kernel table, other types through a portable loop. Summation order as in
/// `gemm_packed`. T is the element type of C. Throws ShapeError when the extents do not fit.
template <class T>
void gemm(std::type_identity_t<MatrixView<const T>> a, std::type_identity_t<MatrixView<const T>> b,
          MatrixView<T> c, GemmOptions options = {}) {
  detail::require_product("gemm", a.rows, a.cols, b.rows, b.cols, c.rows, c.cols);
  const auto pack_b = [&](std::int64_t k0, std::int64_t col0, MatrixView<T> panel) {
    detail::copy_block(b.block(k0, col0, panel.rows, panel.cols), panel);
  };
  gemm_packed_cols(a, pack_b, c, options);
}

}  // namespace bitdial::inline BITDIAL_ABI::ops
