// SPDX-License-Identifier: Apache-2.0
// Convolutions whose products read the image itself: neighbouring taps of a kernel row are
// neighbours in memory, so a tile of output pixels needs no patch matrix.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include <bitdial/core/parallel.hpp>
#include <bitdial/core/tensor.hpp>
#include <bitdial/core/tile_split.hpp>
#include <bitdial/ops/channel_moments.hpp>
#include <bitdial/ops/detail/image_rows.hpp>
#include <bitdial/ops/detail/patches.hpp>
#include <bitdial/ops/gemm.hpp>
#include <bitdial/ops/gemm_bf16.hpp>

namespace bitdial::inline BITDIAL_ABI::ops::detail {

/// The kernel for operands of type E: float and double as they are, bfloat16 as std::uint16_t.
template <class E>
[[nodiscard]] auto window_kernel() {
  if constexpr (std::is_same_v<E, std::uint16_t>) {
    return kernels::active_real_kernels().gemm_bf16;
  } else {
    return gemm_kernel<E>(nullptr);
  }
}

/// The rows that it computes at once of tiles of at most `cols` columns.
template <class E>
[[nodiscard]] std::int64_t window_rows(std::int64_t cols) {
  const auto kernel = window_kernel<E>();
  if constexpr (std::is_same_v<E, std::uint16_t>) {
    if (2 * cols <= kernel.cols) return kernels::active_real_kernels().bf16_narrow_rows;
  }
  return kernel.rows;
}

/// Its operands.
template <class E>
using WindowTile = std::conditional_t<std::is_same_v<E, std::uint16_t>, kernels::GemmBf16Tile,
                                      kernels::GemmTile<E>>;

/// Sets what a tile reads of one run of `depth` products with packed panels of `width` columns.
template <class T>
void set_run(kernels::GemmTile<T>& tile, std::int64_t depth, std::int64_t width) noexcept {
  tile.depth = depth;
  tile.b_step = width;
}
inline void set_run(kernels::GemmBf16Tile& tile, std::int64_t depth, std::int64_t width) noexcept {
  tile.pairs = depth / 2;
  tile.b_step = 2 * width;
}

/// B [depth, cols] as panels of whole depth, each [depth][width], bfloat16 in pairs of rows: a tile
/// reads any of its rows.
template <class E>
class WholePanels {
 public:
  /// `pack_b` as in `gemm_packed`; delivers floats for bfloat16.
  template <class PackB>
  WholePanels(std::int64_t depth, std::int64_t cols, PackB&& pack_b)
      : depth_{depth}, cols_{cols}, width_{window_kernel<E>().cols} {
    data_ = Tensor<E>({round_up(cols, width_) * depth}, Uninitialized{});
    parallel_for(cols, width_, [&](std::int64_t begin, std::int64_t end) {
      E* const panel = data_.data() + begin * depth_;
      if constexpr (std::is_same_v<E, std::uint16_t>) {
        float* const values = gemm_scratch<float, 2>(depth_ * width_);
        pack_panels(pack_b, {0, depth_, begin, end - begin}, width_, values);
        static_cast<void>(interleave_bf16(kernels::active_real_kernels(),
                                          MatrixView<const float>(values, depth_, width_), width_,
                                          panel));
      } else {
        pack_panels(pack_b, {0, depth_, begin, end - begin}, width_, panel);
      }
    });
  }

  [[nodiscard]] std::int64_t cols() const noexcept { return cols_; }
  /// Row k of the panel that starts at column `col`.
  [[nodiscard]] const E* at(std::int64_t col, std::int64_t k) const noexcept {
    return data_.data() + col * depth_ + k * width_;
  }

 private:
  std::int64_t depth_, cols_, width_;
  Tensor<E> data_;
};

/// Where output pixel (n, i, j) lies: data + n * image + i * row + j * pixel.
template <class T>
struct PixelGrid {
  T* data = nullptr;
  std::int64_t image = 0;
  std::int64_t row = 0;
  std::int64_t pixel = 0;
};

/// out(n, i, j) (+)= the window of output pixel (n, i, j), flattened, times B [grid.depth(), cols].
///
/// Each output is one chain of fused multiply-adds over the taps of its window in ascending order;
/// kernel rows outside the image take no part, taps left and right of it contribute zeros.
///
/// E is the type of the operands, T, or bfloat16 for float: the channels are even then. `moments`
/// are wanted of floats without gaps only.
template <class E, class T, class Images>
void direct_product(const Images& images, std::int64_t count, const PatchGrid& grid,
                    const WholePanels<E>& weights, PixelGrid<T> out, GemmOptions options,
                    ChannelMoments* moments = nullptr) {
  const auto kernel = window_kernel<E>();
  const PatchAxis& h = grid.h;
  const PatchAxis& w = grid.w;
  const RowBlocks split = RowBlocks::of<T>(grid);
  const std::int64_t row_depth = w.taps * grid.channels;
  const bool joined = w.dilation == 1 || w.taps == 1;  // a kernel row is one run
  // Kernel rows that are applied together: their part of a panel stays in the second-level cache.
  constexpr std::int64_t panel_elements = 1 << 16;
  const std::int64_t taps_at_once =
      std::max<std::int64_t>(1, panel_elements / (row_depth * kernel.cols));
  const TileSplit tiles(w.outputs, window_rows<E>(weights.cols()));
  if (moments != nullptr) moments->start(count * split.blocks, weights.cols());

  parallel_for(count * split.blocks, 1, [&](std::int64_t item, std::int64_t) {
    const std::int64_t n = item / split.blocks;
    const std::int64_t begin = item % split.blocks * split.rows;
    const std::int64_t end = std::min(begin + split.rows, h.outputs);
    const WindowRows<E> rows(images, n, grid, begin, end);
    const auto tile_row = [&](std::int64_t i, std::int64_t col, IndexRange taps, bool accumulate) {
      const E* const a = rows.row(i * h.step + taps.begin * h.dilation + h.offset);
      const E* const b = weights.at(col, taps.begin * row_depth);
      T* const c = out.data + n * out.image + i * out.row + col;
      WindowTile<E> t{.cols = std::min(kernel.cols, weights.cols() - col),
                      .a_stride = w.step * grid.channels,
                      .c_stride = out.pixel};
      set_run(t, joined ? row_depth : grid.channels, kernel.cols);
      // One pass over the kernel rows where their windows lie in rows, else a pass for each.
      const std::int64_t kernel_rows = taps.end - taps.begin;
      t.runs = joined ? kernel_rows : kernel_rows > 0 ? w.taps : 0;
      t.a_run = joined ? h.dilation * rows.pitch() : w.dilation * grid.channels;
      t.b_run = (joined ? row_depth : grid.channels) * kernel.cols;
      const std::int64_t passes = joined ? 1 : std::max<std::int64_t>(1, kernel_rows);
      for (std::int64_t tile = 0; tile < tiles.count(); ++tile) {
        const std::int64_t j = tiles.begin(tile);
        t.rows = tiles.size(tile);
        t.c = c + j * out.pixel;
        for (std::int64_t pass = 0; pass < passes; ++pass) {
          t.a = a + j * w.step * grid.channels + pass * h.dilation * rows.pitch();
          t.b = b + pass * row_depth * kernel.cols;
          t.accumulate = accumulate || pass > 0;
          kernel.run(t);
        }
      }
    };
    for (std::int64_t col = 0; col < weights.cols(); col += kernel.cols) {
      for (std::int64_t tap = 0; tap < h.taps; tap += taps_at_once) {
        for (std::int64_t i = begin; i < end; ++i) {
          IndexRange taps = taps_inside(h, i);
          taps.begin = std::clamp(taps.begin, tap, std::min(tap + taps_at_once, h.taps));
          taps.end = std::clamp(taps.end, taps.begin, std::min(tap + taps_at_once, h.taps));
          tile_row(i, col, taps, options.accumulate || tap > 0);
        }
      }
    }
    if constexpr (std::is_same_v<T, float>) {
      if (moments == nullptr) return;
      moments->add(item, (end - begin) * w.outputs, out.data + n * out.image + begin * out.row);
    }
  });
}

/// sums [out, grid.depth()] = sum over output pixels of images begin .. end - 1, in ascending
/// order, of dy [.., out] times the pixel's window.
template <class T, class Images>
void direct_weight_sums(T* sums, const T* dy, const Images& images, const PatchGrid& grid,
                        std::int64_t out, std::int64_t first_image, std::int64_t last_image) {
  const auto kernel = gemm_kernel<T>(nullptr);
  const PatchAxis& h = grid.h;
  const PatchAxis& w = grid.w;
  const RowBlocks split = RowBlocks::of<T>(grid);
  const std::int64_t row_depth = w.taps * grid.channels;
  const std::int64_t run_taps = w.dilation == 1 ? w.taps : 1;
  const std::int64_t run_depth = run_taps * grid.channels;
  const std::int64_t dy_row = w.outputs * out;
  const TileSplit tiles(out, kernel.rows);
  // Whole vectors are read: past the last element of a run unless it is a multiple of the tile.
  const std::int64_t slack = run_depth % kernel.cols == 0 ? 0 : kernel.cols;

  for (std::int64_t n = first_image; n < last_image; ++n) {
    for (std::int64_t begin = 0; begin < h.outputs; begin += split.rows) {
      const std::int64_t end = std::min(begin + split.rows, h.outputs);
      const WindowRows<T> rows(images, n, grid, begin, end, slack);
      for (std::int64_t tap = 0; tap < h.taps; ++tap) {
        const IndexRange inside = outputs_inside(h, tap, {begin, end});
        const T* const x_row = rows.row(inside.begin * h.step + tap * h.dilation + h.offset);
        const T* const dy_rows = dy + (n * h.outputs + inside.begin) * dy_row;
        for (std::int64_t k = 0; k < row_depth; k += run_depth) {
          const T* const x_run = x_row + k * w.dilation;
          for (std::int64_t col = 0; col < run_depth; col += kernel.cols) {
            kernels::GemmTile<T> t{.cols = std::min(kernel.cols, run_depth - col),
                                   .depth = w.outputs,
                                   .a_stride = 1,
                                   .a_step = out,
                                   .b = x_run + col,
                                   .b_step = w.step * grid.channels,
                                   .c_stride = grid.depth(),
                                   .accumulate = n > first_image || begin > 0,
                                   .runs = inside.end - inside.begin,
                                   .a_run = dy_row,
                                   .b_run = h.step * rows.pitch()};
            for (std::int64_t tile = 0; tile < tiles.count(); ++tile) {
              const std::int64_t o = tiles.begin(tile);
              t.rows = tiles.size(tile);
              t.a = dy_rows + o;
              t.c = sums + o * grid.depth() + tap * row_depth + k + col;
              kernel.run(t);
            }
          }
        }
      }
    }
  }
}

/// The same with dy and the windows rounded to bfloat16, pixels of a row in pairs.
///
/// Element i of a rounded row stands beside the element of the next output pixel, so an output
/// pixel and its neighbour are one step, and the taps of a kernel row remain neighbours.
template <class Images>
void direct_weight_sums_bf16(float* sums, const float* dy, const Images& images,
                             const PatchGrid& grid, std::int64_t out, std::int64_t first_image,
                             std::int64_t last_image) {
  const kernels::RealKernels& table = kernels::active_real_kernels();
  const auto& kernel = table.gemm_bf16;
  const PatchAxis& h = grid.h;
  const PatchAxis& w = grid.w;
  const RowBlocks split = RowBlocks::of<float>(grid);
  const std::int64_t row_depth = w.taps * grid.channels;
  const std::int64_t run_depth = w.dilation == 1 ? row_depth : grid.channels;
  const std::int64_t dy_row = w.outputs * out;
  const TileSplit tiles(out, window_rows<std::uint16_t>(run_depth));
  const std::int64_t pixel = w.step * grid.channels;

  for (std::int64_t n = first_image; n < last_image; ++n) {
    for (std::int64_t begin = 0; begin < h.outputs; begin += split.rows) {
      const std::int64_t end = std::min(begin + split.rows, h.outputs);
      const WindowRows<float> rows(images, n, grid, begin, end, pixel);
      const IndexRange source = rows_read(h, {begin, end});
      const std::int64_t x_size = (source.end - source.begin) * rows.pitch();
      auto* const x = gemm_scratch<std::uint16_t, 4>(2 * (x_size + pixel + kernel.cols));
      table.round_bf16({.x = rows.row(source.begin),
                        .second = rows.row(source.begin) + pixel,
                        .count = x_size,
                        .y = x});
      std::fill_n(x + 2 * x_size, 2 * (pixel + kernel.cols), std::uint16_t{0});
      auto* const y = gemm_scratch<std::uint16_t, 5>(2 * (end - begin) * dy_row);
      for (std::int64_t i = begin; i < end; ++i) {
        const float* const from = dy + (n * h.outputs + i) * dy_row;
        std::uint16_t* const to = y + 2 * (i - begin) * dy_row;
        // The last pixel has no neighbour.
        table.round_bf16({.x = from, .second = from + out, .count = dy_row - out, .y = to});
        float* const zeros = gemm_scratch<float, 6>(out);
        std::fill_n(zeros, out, 0.0F);
        table.round_bf16({.x = from + dy_row - out,
                          .second = zeros,
                          .count = out,
                          .y = to + 2 * (dy_row - out)});
      }
      for (std::int64_t tap = 0; tap < h.taps; ++tap) {
        const IndexRange inside = outputs_inside(h, tap, {begin, end});
        const std::int64_t first_row =
            inside.begin * h.step + tap * h.dilation + h.offset - source.begin;
        for (std::int64_t k = 0; k < row_depth; k += run_depth) {
          for (std::int64_t col = 0; col < run_depth; col += kernel.cols) {
            for (std::int64_t tile = 0; tile < tiles.count(); ++tile) {
              const std::int64_t o = tiles.begin(tile);
              kernel.run({.rows = tiles.size(tile),
                          .cols = std::min(kernel.cols, run_depth - col),
                          .pairs = (w.outputs + 1) / 2,
                          .a = y + 2 * ((inside.begin - begin) * dy_row + o),
                          .a_stride = 2,
                          .a_step = 4 * out,
                          .b = x + 2 * (first_row * rows.pitch() + k * w.dilation + col),
                          .b_step = 4 * pixel,
                          .c = sums + o * grid.depth() + tap * row_depth + k + col,
                          .c_stride = grid.depth(),
                          .accumulate = n > first_image || begin > 0,
                          .runs = inside.end - inside.begin,
                          .a_run = 2 * dy_row,
                          .b_run = 2 * h.step * rows.pitch()});
            }
          }
        }
      }
    }
  }
}

}  // namespace bitdial::inline BITDIAL_ABI::ops::detail
