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
enum class WinogradScratch { line = 20, inputs, slopes, products, taps };

template <WinogradScratch slot, class E = float>
[[nodiscard]] E* winograd_scratch(std::int64_t size) {
  return gemm_scratch<E, static_cast<int>(slot)>(size);
}

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

/// The kernels for operands of type E: float, or bfloat16.
template <class E>
void winograd_inputs(const kernels::WinogradInputs<E>& w) noexcept {
  if constexpr (std::is_same_v<E, float>) {
    kernels::active_real_kernels().winograd_inputs(w);
  } else {
    kernels::active_real_kernels().winograd_inputs_bf16(w);
  }
}
template <class E>
void winograd_slopes(const kernels::WinogradSlopes<E>& w) noexcept {
  if constexpr (std::is_same_v<E, float>) {
    kernels::active_real_kernels().winograd_slopes(w);
  } else {
    kernels::active_real_kernels().winograd_slopes_bf16(w);
  }
}

/// Transforms source rows first .. first + rows - 1 of image n, each `steps` of `to`; those outside
/// the image are zeros.
template <class E, class Images>
void transform_inputs(const Images& images, std::int64_t n, const PatchGrid& grid,
                      std::int64_t first, std::int64_t rows, std::int64_t steps,
                      kernels::WinogradNumbers<E> to) {
  const std::int64_t row_size = grid.w.source * grid.channels;
  for (std::int64_t source = first; source < first + rows; ++source, to.first += steps) {
    if (source < 0 || source >= grid.h.source) {
      for (std::int64_t c = 0; c < grid.channels; c += to.panel) {
        const auto column = to.column(c, grid.channels);
        for (int k = 0; k < WinogradPoints::count; ++k) {
          std::fill_n(column.data + k * to.step, steps * column.step, E{});
        }
      }
      continue;
    }
    const std::int64_t at = (n * grid.h.source + source) * row_size;
    const float* x = images.in_place(at);
    if (x == nullptr) {
      float* const line = winograd_scratch<WinogradScratch::line>(row_size);
      images.copy(at, row_size, line);
      x = line;
    }
    winograd_inputs<E>({.groups = winograd_groups(grid),
                        .pixels = grid.w.source,
                        .first = grid.w.offset,
                        .channels = grid.channels,
                        .x = x,
                        .v = to});
  }
}

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
  const std::int64_t groups = winograd_groups(grid);
  constexpr std::int64_t tiles_at_once = 4;  // whose products stay in the first-level cache
  if (moments != nullptr) moments->start(images * split.blocks, cols);

  parallel_for(images * split.blocks, 1, [&](std::int64_t item, std::int64_t) {
    const std::int64_t n = item / split.blocks;
    const std::int64_t begin = item % split.blocks * split.rows;
    const std::int64_t end = std::min(begin + split.rows, grid.h.outputs);
    const std::int64_t source_rows = end - begin + (grid.h.taps - 1) * grid.h.dilation;
    const std::int64_t size = source_rows * groups * grid.channels;
    E* const inputs = winograd_scratch<WinogradScratch::inputs, E>(WinogradPoints::count * size);
    transform_inputs<E>(StoredImages<float>{source}, n, grid, begin + grid.h.offset, source_rows,
                        groups, {.data = inputs, .step = size, .panel = grid.channels});
    const std::int64_t step = tiles_at_once * window_rows<E>(cols) * kernel.cols;
    float* const products =
        winograd_scratch<WinogradScratch::products>(WinogradPoints::count * step);
    const TileSplit tiles((end - begin) * groups, window_rows<E>(cols));

    // Groups first .. last - 1 of the block have their sums in `products`: outputs row by row.
    const auto store = [&](std::int64_t first, std::int64_t last, std::int64_t col,
                           std::int64_t width) {
      for (std::int64_t g = first; g < last;) {
        const std::int64_t i = g / groups, j = g % groups;
        const std::int64_t x = j * WinogradPoints::group;
        const std::int64_t count = std::min(groups - j, last - g);
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
                                  .a = inputs + k * size + g * grid.channels,
                                  .a_stride = grid.channels,
                                  .b = filters.at(col, k * filter_rows),
                                  .c = products + k * step + (g - first) * width,
                                  .c_stride = width,
                                  .runs = grid.h.taps,
                                  .a_run = grid.h.dilation * groups * grid.channels,
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

/// How the output pixels of some images are divided for the sums over them: into passes over the
/// rows of one image, or over several images.
struct WinogradPasses {
  std::int64_t rows = 1;    ///< of an image, in every pass but its last
  std::int64_t images = 1;  ///< more than one of whole images only

  /// Passes of about so many steps that what a tile multiplies stays in the second-level cache, and
  /// that its sums are seldom added up.
  WinogradPasses(std::int64_t height, std::int64_t steps, std::int64_t count) noexcept {
    constexpr std::int64_t wanted = 256;
    const auto in_equal_parts = [](std::int64_t all, std::int64_t most) {
      const std::int64_t part = std::clamp<std::int64_t>(most, 1, all);
      return ceil_div(all, ceil_div(all, part));
    };
    rows = in_equal_parts(height, wanted / steps);
    if (rows == height) images = in_equal_parts(count, wanted / (height * steps));
  }
};

/// `direct_weight_sums` for grids that suit, or with `options.accumulate` added to `sums`; E as in
/// `winograd_product`, for any channels. Threads share each pass.
template <class E, class Images>
void winograd_weight_sums(float* sums, const float* dy, const Images& images, const PatchGrid& grid,
                          std::int64_t out, std::int64_t first_image, std::int64_t last_image,
                          GemmOptions options) {
  const auto kernel = window_kernel<E>();
  // Groups are what is summed over: bfloat16 ones in pairs.
  constexpr bool paired = !std::is_same_v<E, float>;
  constexpr std::int64_t elements = paired ? 2 : 1;
  const std::int64_t groups = winograd_groups(grid);
  const std::int64_t steps = paired ? ceil_div(groups, 2) : groups;  // of a row
  const WinogradPasses passes(grid.h.outputs, steps, last_image - first_image);
  const TileSplit tiles(out, window_rows<E>(grid.channels));
  constexpr std::int64_t tiles_at_once = 8;  // read the same part of the inputs
  const std::int64_t panels = ceil_div(grid.channels, kernel.cols);

  const auto add = [&](std::int64_t n, std::int64_t count, std::int64_t begin, std::int64_t rows,
                       bool accumulate) {
    const std::int64_t source_rows = rows + (grid.h.taps - 1) * grid.h.dilation;
    const std::int64_t source_steps = source_rows * steps, height = count * source_steps;
    const std::int64_t inputs_step = elements * height * grid.channels;
    const std::int64_t slopes_step = elements * count * rows * steps * out;
    // Whole vectors are read: past the last element unless it fills them.
    const std::int64_t slack = elements * kernel.cols;
    E* const inputs =
        winograd_scratch<WinogradScratch::inputs, E>(WinogradPoints::count * inputs_step + slack);
    std::fill_n(inputs + WinogradPoints::count * inputs_step, slack, E{});
    E* const slopes =
        winograd_scratch<WinogradScratch::slopes, E>(WinogradPoints::count * slopes_step);
    // Source rows, each with the output row of the same number where there is one.
    const std::int64_t row_elements = grid.w.source * grid.channels + grid.w.outputs * out;
    const std::int64_t grain = std::max<std::int64_t>(1, (1 << 14) / row_elements);
    parallel_for(count * source_rows, grain, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t item = first; item < last; ++item) {
        const std::int64_t i = item / source_rows, r = item % source_rows;
        const kernels::WinogradNumbers<E> v{.data = inputs,
                                            .step = inputs_step,
                                            .panel = kernel.cols,
                                            .height = height,
                                            .first = item * steps,
                                            .paired = paired};
        transform_inputs(images, n + i, grid, begin + grid.h.offset + r, 1, steps, v);
        if (r >= rows) continue;
        const std::int64_t row = (n + i) * grid.h.outputs + begin + r;
        winograd_slopes<E>({.groups = groups,
                            .pixels = grid.w.outputs,
                            .channels = out,
                            .dy = dy + row * grid.w.outputs * out,
                            .u = {.data = slopes,
                                  .step = slopes_step,
                                  .panel = out,
                                  .first = (i * rows + r) * steps,
                                  .paired = paired}});
      }
    });
    parallel_for(
        ceil_div(tiles.count(), tiles_at_once) * panels, 1, [&](std::int64_t item, std::int64_t) {
          const std::int64_t tile = item / panels * tiles_at_once;
          const std::int64_t tile_end = std::min(tile + tiles_at_once, tiles.count());
          const std::int64_t first = tiles.begin(tile);
          const std::int64_t col = item % panels * kernel.cols;
          const std::int64_t width = std::min(kernel.cols, grid.channels - col);
          const std::int64_t products_step = (tiles.begin(tile_end) - first) * width;
          float* const products =
              winograd_scratch<WinogradScratch::products>(WinogradPoints::count * products_step);
          for (std::int64_t tap = 0; tap < grid.h.taps; ++tap) {
            for (int k = 0; k < WinogradPoints::count; ++k) {
              for (std::int64_t t = tile; t < tile_end; ++t) {
                const std::int64_t o = tiles.begin(t);
                WindowTile<E> product{
                    .rows = tiles.size(t),
                    .cols = width,
                    .a = slopes + k * slopes_step + elements * o,
                    .a_stride = elements,
                    .a_step = elements * out,
                    .b = inputs + k * inputs_step +
                         elements * (col * height + tap * grid.h.dilation * steps * width),
                    .c = products + k * products_step + (o - first) * width,
                    .c_stride = width,
                    .runs = count,
                    .a_run = elements * rows * steps * out,
                    .b_run = elements * source_steps * width};
                set_run(product, elements * rows * steps, width);
                kernel.run(product);
              }
            }
            kernels::active_real_kernels().winograd_taps(
                {.rows = tiles.begin(tile_end) - first,
                 .channels = width,
                 .m = products,
                 .m_step = products_step,
                 .m_stride = width,
                 .y =
                     sums + first * grid.depth() + tap * WinogradPoints::taps * grid.channels + col,
                 .y_stride = grid.depth(),
                 .tap_stride = grid.channels,
                 .accumulate = accumulate});
          }
        });
  };
  for (std::int64_t n = first_image; n < last_image; n += passes.images) {
    const std::int64_t count = std::min(passes.images, last_image - n);
    for (std::int64_t begin = 0; begin < grid.h.outputs; begin += passes.rows) {
      add(n, count, begin, std::min(passes.rows, grid.h.outputs - begin),
          options.accumulate || n > first_image || begin > 0);
    }
  }
}

}  // namespace bitdial::inline BITDIAL_ABI::ops::detail
