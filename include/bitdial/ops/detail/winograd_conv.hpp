// SPDX-License-Identifier: Apache-2.0
// Convolutions with windows three pixels wide that move by one, along each row by Winograd's
// minimal filtering: half of the products of `direct_conv.hpp`, with other rounding errors; of
// floats, or of transforms rounded to bfloat16.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include <bitdial/core/parallel.hpp>
#include <bitdial/core/rounding.hpp>
#include <bitdial/core/tensor.hpp>
#include <bitdial/core/tile_split.hpp>
#include <bitdial/kernels/active.hpp>
#include <bitdial/ops/detail/direct_conv.hpp>
#include <bitdial/ops/detail/elementwise.hpp>
#include <bitdial/ops/detail/image_rows.hpp>
#include <bitdial/ops/detail/patches.hpp>
#include <bitdial/ops/gemm.hpp>

namespace bitdial::inline BITDIAL_ABI::ops::detail {

using kernels::WinogradPoints;

/// Buffers of these convolutions in the thread's scratch, beyond those of all other products.
enum class WinogradScratch { line = 20, inputs, slopes, products, taps, transformed };

template <WinogradScratch slot, class E = float>
[[nodiscard]] E* winograd_scratch(std::int64_t size) {
  return gemm_scratch<E, static_cast<int>(slot)>(size);
}

/// How the numbers of a row of groups lie in memory: group by group, or with the second half of the
/// groups beside the first, element by element, as steps of `kernels::GemmBf16Tile`. An odd number
/// of groups is completed by zeros.
enum class GroupOrder { ascending, paired };

/// Groups of four output pixels in a row.
[[nodiscard]] constexpr std::int64_t winograd_groups(const PatchGrid& grid) noexcept {
  return ceil_div(grid.w.outputs, WinogradPoints::group);
}

/// The rule of `Sums`: true where windows have the form, and where groups are full and channels
/// many enough for the transforms to pay, with fewer than three quarters of the products.
[[nodiscard]] constexpr bool suits_winograd(const PatchGrid& grid, std::int64_t cols) noexcept {
  return grid.w.taps == WinogradPoints::taps && grid.w.step == 1 && grid.w.dilation == 1 &&
         grid.h.step == 1 && std::min(grid.channels, cols) >= 8 &&
         3 * grid.w.outputs >= 8 * winograd_groups(grid);
}

/// The elements of a row of `groups` times `channels` numbers.
[[nodiscard]] constexpr std::int64_t row_elements(std::int64_t groups, std::int64_t channels,
                                                  GroupOrder order) noexcept {
  return (order == GroupOrder::paired ? round_up(groups, 2) : groups) * channels;
}

/// The six numbers of each group of a row as operands of type E, number k from to + k * step on.
/// `transform(v, v_step)` writes them as floats.
template <class E, class Transform>
void write_transformed(std::int64_t groups, std::int64_t channels, GroupOrder order, E* to,
                       std::int64_t step, Transform transform) {
  if constexpr (std::is_same_v<E, float>) {
    transform(to, step);
  } else {
    const std::int64_t size = groups * channels, row = row_elements(groups, channels, order);
    float* const values =
        winograd_scratch<WinogradScratch::transformed>(WinogradPoints::count * row);
    transform(values, row);
    for (int k = 0; k < WinogradPoints::count; ++k) {
      const float* const x = values + k * row;
      std::fill(values + k * row + size, values + (k + 1) * row, 0.0F);
      const bool paired = order == GroupOrder::paired;
      kernels::active_real_kernels().round_bf16({.x = x,
                                                 .second = paired ? x + row / 2 : nullptr,
                                                 .count = paired ? row / 2 : row,
                                                 .y = to + k * step});
    }
  }
}

/// How the six numbers of each group of source pixels lie in memory, number by number: those of the
/// rows that a block of output rows reads, rows outside the image included, which are zeros.
struct WinogradBlock {
  WinogradBlock(const PatchGrid& grid, std::int64_t output_rows,
                GroupOrder group_order = GroupOrder::ascending)
      : order{group_order},
        groups{winograd_groups(grid)},
        rows{output_rows - 1 + (grid.h.taps - 1) * grid.h.dilation + 1},
        row{row_elements(groups, grid.channels, order)},
        size{rows * row} {}

  GroupOrder order;
  std::int64_t groups;
  std::int64_t rows;
  std::int64_t row;   ///< elements of a row
  std::int64_t size;  ///< elements of all rows, of one of the six numbers

  /// Transforms what output rows from `begin` on of image n read; number k is written to
  /// to + k * step.
  template <class E, class Images>
  void fill(const Images& images, std::int64_t n, const PatchGrid& grid, std::int64_t begin, E* to,
            std::int64_t step) const {
    const std::int64_t row_size = grid.w.source * grid.channels;
    for (std::int64_t r = 0; r < rows; ++r, to += row) {
      const std::int64_t source = begin + grid.h.offset + r;
      if (source < 0 || source >= grid.h.source) {
        for (int k = 0; k < WinogradPoints::count; ++k) std::fill_n(to + k * step, row, E{});
        continue;
      }
      const std::int64_t at = (n * grid.h.source + source) * row_size;
      const float* x = images.in_place(at);
      if (x == nullptr) {
        float* const line = winograd_scratch<WinogradScratch::line>(row_size);
        images.copy(at, row_size, line);
        x = line;
      }
      write_transformed(groups, grid.channels, order, to, step, [&](float* v, std::int64_t v_step) {
        kernels::active_real_kernels().winograd_inputs({.groups = groups,
                                                        .pixels = grid.w.source,
                                                        .first = grid.w.offset,
                                                        .channels = grid.channels,
                                                        .x = x,
                                                        .v = v,
                                                        .v_step = v_step});
      });
    }
  }
};

/// The weights of point k: row (k, tap_h, channel) is the sum over tap_w of p^tap_w / D(p) times
/// row (tap_h, tap_w, channel) of B [grid.depth(), cols].
template <class E, class PackB>
[[nodiscard]] WholePanels<E> winograd_filters(const PatchGrid& grid, std::int64_t cols,
                                              PackB&& pack_b) {
  const std::int64_t rows = grid.h.taps * grid.channels;
  return WholePanels<E>(
      WinogradPoints::count * rows, cols,
      [&](std::int64_t k0, std::int64_t col0, MatrixView<float> panel) {
        const MatrixView<float> taps(
            winograd_scratch<WinogradScratch::taps>(grid.depth() * panel.cols), grid.depth(),
            panel.cols);
        pack_b(0, col0, taps);
        for (std::int64_t r = 0; r < panel.rows; ++r) {
          const std::int64_t k = (k0 + r) / rows, row = (k0 + r) % rows;
          const float* const first = taps.row(
              row / grid.channels * WinogradPoints::taps * grid.channels + row % grid.channels);
          const float* const second = first + grid.channels * panel.cols;
          const float* const third = second + grid.channels * panel.cols;
          if (k == WinogradPoints::count - 1) {
            std::copy_n(third, panel.cols, panel.row(r));
            continue;
          }
          const float p = WinogradPoints::at[k], scale = 1.0F / WinogradPoints::distances[k];
          map_span(
              panel.cols, panel.row(r),
              [p, scale](float u, float v, float w) { return scale * (u + p * (v + p * w)); },
              first, second, third);
        }
      });
}

/// `direct_product` for grids that suit: out(n, i, j) (+)= the window of output pixel (n, i, j),
/// flattened, times B [grid.depth(), cols].
///
/// E is the type of the transformed operands: float, or bfloat16 where the channels are even.
template <class E, class PackB>
void winograd_product(const float* source, std::int64_t images, const PatchGrid& grid,
                      std::int64_t cols, PackB&& pack_b, const PixelGrid<float>& out,
                      GemmOptions options, ChannelMoments* moments = nullptr) {
  const kernels::RealKernels& table = kernels::active_real_kernels();
  const auto kernel = window_kernel<E>();
  const WholePanels<E> filters = winograd_filters<E>(grid, cols, pack_b);
  const RowBlocks split = RowBlocks::of<float>(grid);
  const std::int64_t filter_rows = grid.h.taps * grid.channels;
  constexpr std::int64_t tiles_at_once = 4;  // whose products stay in the first-level cache
  if (moments != nullptr) moments->start(images * split.blocks, cols);

  parallel_for(images * split.blocks, 1, [&](std::int64_t item, std::int64_t) {
    const std::int64_t n = item / split.blocks;
    const std::int64_t begin = item % split.blocks * split.rows;
    const std::int64_t end = std::min(begin + split.rows, grid.h.outputs);
    const WinogradBlock block(grid, end - begin);
    E* const inputs =
        winograd_scratch<WinogradScratch::inputs, E>(WinogradPoints::count * block.size);
    block.fill(StoredImages<float>{source}, n, grid, begin, inputs, block.size);
    const std::int64_t step = tiles_at_once * kernel.rows * kernel.cols;
    float* const products =
        winograd_scratch<WinogradScratch::products>(WinogradPoints::count * step);
    const TileSplit tiles((end - begin) * block.groups, kernel.rows);

    // Groups first .. last - 1 of the block have their sums in `products`: outputs row by row.
    const auto store = [&](std::int64_t first, std::int64_t last, std::int64_t col,
                           std::int64_t width) {
      for (std::int64_t g = first; g < last;) {
        const std::int64_t i = g / block.groups, j = g % block.groups;
        const std::int64_t x = j * WinogradPoints::group;
        const std::int64_t count = std::min(block.groups - j, last - g);
        table.winograd_outputs(
            {.pixels = std::min(WinogradPoints::group * count, grid.w.outputs - x),
             .channels = width,
             .m = products + (g - first) * width,
             .m_step = step,
             .m_stride = width,
             .y = out.data + n * out.image + (begin + i) * out.row + x * out.pixel + col,
             .y_stride = out.pixel,
             .accumulate = options.accumulate});
        g += count;
      }
    };
    for (std::int64_t col = 0; col < cols; col += kernel.cols) {
      const std::int64_t width = std::min(kernel.cols, cols - col);
      for (std::int64_t tile = 0; tile < tiles.count(); tile += tiles_at_once) {
        const std::int64_t tile_end = std::min(tile + tiles_at_once, tiles.count());
        const std::int64_t first = tiles.begin(tile);
        for (int k = 0; k < WinogradPoints::count; ++k) {
          for (std::int64_t t = tile; t < tile_end; ++t) {
            const std::int64_t g = tiles.begin(t);
            WindowTile<E> product{.rows = tiles.size(t),
                                  .cols = width,
                                  .a = inputs + k * block.size + g * grid.channels,
                                  .a_stride = grid.channels,
                                  .b = filters.at(col, k * filter_rows),
                                  .c = products + k * step + (g - first) * width,
                                  .c_stride = width,
                                  .runs = grid.h.taps,
                                  .a_run = grid.h.dilation * block.row,
                                  .b_run = grid.channels * kernel.cols};
            set_run(product, grid.channels, kernel.cols);
            kernel.run(product);
          }
        }
        store(first, tiles.begin(tile_end), col, width);
      }
    }
    if (moments == nullptr) return;
    moments->add(item, (end - begin) * grid.w.outputs, out.data + n * out.image + begin * out.row);
  });
}

/// sums = A^T of the sums over all groups: [out, taps_h, 3, channels] from six of
/// [out, taps_h, channels].
inline void winograd_taps(float* sums, const float* products, std::int64_t rows,
                          std::int64_t channels) {
  using P = WinogradPoints;
  const std::int64_t step = rows * channels;
  constexpr float s0 = 1.0F / P::distances[0], sa = 1.0F / P::distances[1];
  constexpr float sb = 1.0F / P::distances[3];
  for (std::int64_t row = 0; row < rows; ++row, products += channels) {
    const auto map_taps = [&](int tap, auto f) {
      map_span(channels, sums + (row * P::taps + tap) * channels, f, products, products + step,
               products + 2 * step, products + 3 * step, products + 4 * step, products + 5 * step);
    };
    map_taps(0, [](float m0, float m1, float m2, float m3, float m4, float) {
      return s0 * m0 + (sa * (m1 + m2) + sb * (m3 + m4));
    });
    map_taps(1, [](float, float m1, float m2, float m3, float m4, float) {
      return P::a * sa * (m1 - m2) + P::b * sb * (m3 - m4);
    });
    map_taps(2, [](float, float m1, float m2, float m3, float m4, float m5) {
      return P::a * P::a * sa * (m1 + m2) + (P::b * P::b * sb * (m3 + m4) + m5);
    });
  }
}

/// `direct_weight_sums` for grids that suit; E as in `winograd_product`, for any channels.
template <class E, class Images>
void winograd_weight_sums(float* sums, const float* dy, const Images& images, const PatchGrid& grid,
                          std::int64_t out, std::int64_t first_image, std::int64_t last_image) {
  const kernels::RealKernels& table = kernels::active_real_kernels();
  const auto kernel = window_kernel<E>();
  // Groups are what is summed over: bfloat16 ones in pairs.
  constexpr GroupOrder order =
      std::is_same_v<E, float> ? GroupOrder::ascending : GroupOrder::paired;
  constexpr std::int64_t per_step = order == GroupOrder::paired ? 2 : 1;
  const RowBlocks split = RowBlocks::of<float>(grid);
  const WinogradBlock block(grid, split.rows, order);
  const std::int64_t slopes_row = row_elements(block.groups, out, order);
  const std::int64_t sums_row = grid.h.taps * grid.channels;
  // A tile of sums goes through memory once per block: blocks of small images are several of them.
  constexpr std::int64_t pixels_at_once = 1024, elements_at_once = 1 << 18;
  const std::int64_t of_image = WinogradPoints::count * (block.size + split.rows * slopes_row);
  const std::int64_t images_at_once =
      split.blocks > 1 ? 1
                       : std::max<std::int64_t>(1, std::min(pixels_at_once / grid.pixels(),
                                                            elements_at_once / of_image));
  const TileSplit tiles(out, window_rows<E>(grid.channels));
  Tensor<float> products({WinogradPoints::count, out, sums_row}, Uninitialized{});

  for (std::int64_t n = first_image; n < last_image; n += images_at_once) {
    const std::int64_t count = std::min(images_at_once, last_image - n);
    const std::int64_t step = count * block.size;
    const std::int64_t slopes_size = split.rows * slopes_row;
    // Whole vectors are read: past the last element of a row unless it fills them.
    const std::int64_t slack = per_step * kernel.cols;
    E* const inputs =
        winograd_scratch<WinogradScratch::inputs, E>(WinogradPoints::count * step + slack);
    std::fill_n(inputs + WinogradPoints::count * step, slack, E{});
    E* const slopes =
        winograd_scratch<WinogradScratch::slopes, E>(WinogradPoints::count * count * slopes_size);
    for (std::int64_t begin = 0; begin < grid.h.outputs; begin += split.rows) {
      const std::int64_t rows = std::min(split.rows, grid.h.outputs - begin);
      const WinogradBlock part(grid, rows, order);
      for (std::int64_t i = 0; i < count; ++i) {
        part.fill(images, n + i, grid, begin, inputs + i * block.size, step);
        for (std::int64_t r = 0; r < rows; ++r) {
          const std::int64_t row = (n + i) * grid.h.outputs + begin + r;
          write_transformed(block.groups, out, order, slopes + i * slopes_size + r * slopes_row,
                            count * slopes_size, [&](float* u, std::int64_t u_step) {
                              table.winograd_slopes({.groups = block.groups,
                                                     .pixels = grid.w.outputs,
                                                     .channels = out,
                                                     .dy = dy + row * grid.w.outputs * out,
                                                     .u = u,
                                                     .u_step = u_step});
                            });
        }
      }
      for (int k = 0; k < WinogradPoints::count; ++k) {
        for (std::int64_t tap = 0; tap < grid.h.taps; ++tap) {
          for (std::int64_t col = 0; col < grid.channels; col += kernel.cols) {
            for (std::int64_t t = 0; t < tiles.count(); ++t) {
              const std::int64_t o = tiles.begin(t);
              WindowTile<E> product{
                  .rows = tiles.size(t),
                  .cols = std::min(kernel.cols, grid.channels - col),
                  .a = slopes + k * count * slopes_size + per_step * o,
                  .a_stride = per_step,
                  .a_step = per_step * out,
                  .b = inputs + k * step + tap * grid.h.dilation * block.row + per_step * col,
                  .c = products.data() + (k * out + o) * sums_row + tap * grid.channels + col,
                  .c_stride = sums_row,
                  .accumulate = n > first_image || begin > 0,
                  .runs = count,
                  .a_run = slopes_size,
                  .b_run = block.size};
              set_run(product, rows * slopes_row / out, grid.channels);
              kernel.run(product);
            }
          }
        }
      }
    }
  }
  winograd_taps(sums, products.data(), out * grid.h.taps, grid.channels);
}

}  // namespace bitdial::inline BITDIAL_ABI::ops::detail
