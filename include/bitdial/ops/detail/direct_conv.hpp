// SPDX-License-Identifier: Apache-2.0
// Convolutions whose products read the image itself: neighbouring taps of a kernel row are
// neighbours in memory, so a tile of output pixels needs no patch matrix.
#pragma once

#include <algorithm>
#include <cstdint>

#include <bitdial/core/parallel.hpp>
#include <bitdial/core/tensor.hpp>
#include <bitdial/ops/detail/elementwise.hpp>
#include <bitdial/ops/detail/patches.hpp>
#include <bitdial/ops/gemm.hpp>
#include <bitdial/quant/levels.hpp>

namespace bitdial::inline BITDIAL_ABI::ops::detail {

/// Output rows of one image that are computed together: their source rows stay in the cache.
struct RowBlocks {
  std::int64_t rows = 1;    ///< of the output, in every block but the last
  std::int64_t blocks = 1;  ///< of one image

  template <class T>
  static RowBlocks of(const PatchGrid& grid) noexcept {
    constexpr std::int64_t source_bytes = 160 << 10, pixels = 1024;
    const std::int64_t row_bytes =
        grid.h.step * grid.w.source * grid.channels * static_cast<std::int64_t>(sizeof(T));
    const std::int64_t most =
        std::clamp(std::min(source_bytes / std::max<std::int64_t>(row_bytes, 1),
                            pixels / std::max<std::int64_t>(grid.w.outputs, 1)),
                   std::int64_t{1}, std::max<std::int64_t>(grid.h.outputs, 1));
    const std::int64_t count = (grid.h.outputs + most - 1) / most;
    return {(grid.h.outputs + count - 1) / count, count};
  }
};

/// Images in memory.
template <class T>
struct StoredImages {
  const T* data = nullptr;

  /// The elements from `begin` on, without copying them.
  [[nodiscard]] const T* in_place(std::int64_t begin) const noexcept { return data + begin; }
  void copy(std::int64_t begin, std::int64_t count, T* to) const noexcept {
    std::copy_n(data + begin, count, to);
  }
};

/// Images that exist as codes: their values are computed where rows are copied.
template <class T>
struct CodedImages {
  const std::uint8_t* codes = nullptr;
  IntegerLevels levels;

  [[nodiscard]] const T* in_place(std::int64_t) const noexcept { return nullptr; }
  void copy(std::int64_t begin, std::int64_t count, T* to) const noexcept {
    const auto multiplier = static_cast<T>(levels.multiplier);
    const auto offset = static_cast<T>(levels.offset);
    map_span(
        count, to,
        [scale = static_cast<T>(levels.scale), multiplier, offset](std::uint8_t code) {
          return scale * (multiplier * static_cast<T>(code) + offset);
        },
        codes + begin);
  }
};

/// The source rows that output rows begin .. end - 1 of image n read, from the first to the last
/// column that a window touches: in place when no window leaves the image sideways, else a copy
/// with zeros in scratch of this thread. Rows above and below the image do not exist.
template <class T>
class WindowRows {
 public:
  /// `slack` elements past the end may be read; with slack the rows are always copied.
  template <class Images>
  WindowRows(const Images& images, std::int64_t n, const PatchGrid& grid, std::int64_t begin,
             std::int64_t end, std::int64_t slack = 0) {
    const PatchAxis& h = grid.h;
    const PatchAxis& w = grid.w;
    const std::int64_t columns = (w.outputs - 1) * w.step + (w.taps - 1) * w.dilation + 1;
    const std::int64_t row_size = w.source * grid.channels;
    const std::int64_t image = n * h.source * row_size;
    if (slack == 0 && w.offset >= 0 && w.offset + columns <= w.source) {
      data_ = images.in_place(image + w.offset * grid.channels);
      pitch_ = row_size;
      if (data_ != nullptr) return;
    }
    first_ = std::clamp(begin * h.step + h.offset, std::int64_t{0}, h.source);
    const std::int64_t last =
        std::clamp((end - 1) * h.step + (h.taps - 1) * h.dilation + h.offset + 1, first_, h.source);
    pitch_ = columns * grid.channels;
    T* to = gemm_scratch<T, 3>((last - first_) * pitch_ + slack);
    data_ = to;
    const std::int64_t low = std::clamp(-w.offset, std::int64_t{0}, columns);
    const std::int64_t high = std::clamp(w.source - w.offset, low, columns);
    for (std::int64_t row = first_; row < last; ++row, to += pitch_) {
      std::fill_n(to, low * grid.channels, T{});
      images.copy(image + row * row_size + (w.offset + low) * grid.channels,
                  (high - low) * grid.channels, to + low * grid.channels);
      std::fill(to + high * grid.channels, to + pitch_, T{});
    }
    std::fill_n(to, slack, T{});
  }

  /// What tap 0 of output column 0 reads in source row `row`.
  [[nodiscard]] const T* row(std::int64_t row) const noexcept {
    return data_ + (row - first_) * pitch_;
  }
  /// Elements between source rows.
  [[nodiscard]] std::int64_t pitch() const noexcept { return pitch_; }

 private:
  const T* data_ = nullptr;
  std::int64_t pitch_ = 0;
  std::int64_t first_ = 0;
};

/// B [depth, cols] as panels of whole depth, each [depth][width]: a tile reads any of its rows.
template <class T>
class WholePanels {
 public:
  /// `pack_b` as in `gemm_packed`.
  template <PacksCols<T> PackB>
  WholePanels(std::int64_t depth, std::int64_t cols, PackB&& pack_b)
      : depth_{depth}, cols_{cols}, width_{gemm_kernel<T>(nullptr).cols} {
    data_ = Tensor<T>({round_up(cols, width_) * depth}, Uninitialized{});
    parallel_for(cols, width_, [&](std::int64_t begin, std::int64_t end) {
      pack_panels(pack_b, {0, depth_, begin, end - begin}, width_, data_.data() + begin * depth_);
    });
  }

  [[nodiscard]] std::int64_t cols() const noexcept { return cols_; }
  /// Row k of the panel that starts at column `col`.
  [[nodiscard]] const T* at(std::int64_t col, std::int64_t k) const noexcept {
    return data_.data() + col * depth_ + k * width_;
  }

 private:
  std::int64_t depth_, cols_, width_;
  Tensor<T> data_;
};

/// True for a 1 x 1 window that moves by 1: the images are the patch matrix.
[[nodiscard]] constexpr bool reads_every_pixel_once(const PatchGrid& grid) noexcept {
  const auto once = [](const PatchAxis& axis) {
    return axis.taps == 1 && axis.step == 1 && axis.offset == 0 && axis.outputs == axis.source;
  };
  return once(grid.h) && once(grid.w);
}

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
template <class T>
void direct_product(const T* source, std::int64_t images, const PatchGrid& grid,
                    const WholePanels<T>& weights, PixelGrid<T> out, GemmOptions options) {
  const auto kernel = gemm_kernel<T>(nullptr);
  const PatchAxis& h = grid.h;
  const PatchAxis& w = grid.w;
  const RowBlocks split = RowBlocks::of<T>(grid);
  const std::int64_t row_depth = w.taps * grid.channels;
  const bool joined = w.dilation == 1 || w.taps == 1;  // a kernel row is one run
  // Kernel rows that are applied together: their part of a panel stays in the second-level cache.
  constexpr std::int64_t panel_elements = 1 << 16;
  const std::int64_t taps_at_once =
      std::max<std::int64_t>(1, panel_elements / (row_depth * kernel.cols));
  const std::int64_t tiles = (w.outputs + kernel.rows - 1) / kernel.rows;

  parallel_for(images * split.blocks, 1, [&](std::int64_t item, std::int64_t) {
    const std::int64_t n = item / split.blocks;
    const std::int64_t begin = item % split.blocks * split.rows;
    const std::int64_t end = std::min(begin + split.rows, h.outputs);
    const WindowRows<T> rows(StoredImages<T>{source}, n, grid, begin, end);
    const auto tile_row = [&](std::int64_t i, std::int64_t col, IndexRange taps, bool accumulate) {
      const T* const a = rows.row(i * h.step + taps.begin * h.dilation + h.offset);
      T* const c = out.data + n * out.image + i * out.row + col;
      for (std::int64_t tile = 0; tile < tiles; ++tile) {
        const std::int64_t j = w.outputs * tile / tiles;
        kernels::GemmTile<T> t{.rows = w.outputs * (tile + 1) / tiles - j,
                               .cols = std::min(kernel.cols, weights.cols() - col),
                               .depth = joined ? row_depth : grid.channels,
                               .a = a + j * w.step * grid.channels,
                               .a_stride = w.step * grid.channels,
                               .b = weights.at(col, taps.begin * row_depth),
                               .b_step = kernel.cols,
                               .c = c + j * out.pixel,
                               .c_stride = out.pixel,
                               .accumulate = accumulate};
        if (joined) {
          t.runs = taps.end - taps.begin;
          t.a_run = h.dilation * rows.pitch();
          t.b_run = row_depth * kernel.cols;
          kernel.run(t);
          continue;
        }
        t.runs = taps.begin < taps.end ? w.taps : 0;
        t.a_run = w.dilation * grid.channels;
        t.b_run = grid.channels * kernel.cols;
        for (std::int64_t tap = taps.begin; tap <= std::max(taps.end - 1, taps.begin); ++tap) {
          kernel.run(t);
          t.a += h.dilation * rows.pitch();
          t.b += row_depth * kernel.cols;
          t.accumulate = true;
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
  const std::int64_t tiles = (out + kernel.rows - 1) / kernel.rows;
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
            for (std::int64_t tile = 0; tile < tiles; ++tile) {
              const std::int64_t o = out * tile / tiles;
              kernel.run({.rows = out * (tile + 1) / tiles - o,
                          .cols = std::min(kernel.cols, run_depth - col),
                          .depth = w.outputs,
                          .a = dy_rows + o,
                          .a_stride = 1,
                          .a_step = out,
                          .b = x_run + col,
                          .b_step = w.step * grid.channels,
                          .c = sums + o * grid.depth() + tap * row_depth + k + col,
                          .c_stride = grid.depth(),
                          .accumulate = n > first_image || begin > 0,
                          .runs = inside.end - inside.begin,
                          .a_run = dy_row,
                          .b_run = h.step * rows.pitch()});
            }
          }
        }
      }
    }
  }
}

}  // namespace bitdial::inline BITDIAL_ABI::ops::detail
