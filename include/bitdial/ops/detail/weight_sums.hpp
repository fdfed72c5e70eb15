// SPDX-License-Identifier: Apache-2.0
// The derivative of a convolution by its weights: sums over all images, in parts of the images or
// in parts of the weights.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include <bitdial/core/parallel.hpp>
#include <bitdial/core/rounding.hpp>
#include <bitdial/core/tensor.hpp>
#include <bitdial/ops/detail/direct_conv.hpp>
#include <bitdial/ops/detail/elementwise.hpp>
#include <bitdial/ops/detail/image_rows.hpp>
#include <bitdial/ops/detail/patches.hpp>
#include <bitdial/ops/detail/winograd_conv.hpp>
#include <bitdial/ops/gemm.hpp>
#include <bitdial/ops/gemm_bf16.hpp>
#include <bitdial/ops/matrix_view.hpp>
#include <bitdial/ops/products.hpp>

namespace bitdial::inline BITDIAL_ABI::ops::detail {

/// At most this many chunks of images, each with a partial sum of the weight gradient ...
inline constexpr std::int64_t conv2d_max_partials = 16;
/// ... as long as the partial sums together stay below this many elements.
inline constexpr std::int64_t conv2d_partial_elements = std::int64_t{1} << 24;

/// Elements of the images that one product of matrices reads.
inline constexpr std::int64_t matrix_source_elements = std::int64_t{1} << 21;

/// From so many weights on threads share each pass of their sums.
inline constexpr std::int64_t winograd_shared_weights = std::int64_t{1} << 16;

/// `direct_weight_sums` where a block of output rows is too small a part of the products of its
/// weights, or with `options.accumulate` added to `sums`: one product of matrices. Threads share
/// it.
template <class T, class Images>
void matrix_weight_sums(T* sums, const T* dy, const Images& images, const PatchGrid& grid,
                        std::int64_t out, std::int64_t begin, std::int64_t end, Products products,
                        GemmOptions options) {
  const std::int64_t pixels = (end - begin) * grid.pixels();
  const std::int64_t image_size = grid.h.source * grid.w.source * grid.channels;
  const T* source = images.in_place(begin * image_size);
  if (source == nullptr) {
    T* const copy = gemm_scratch<T, 3>((end - begin) * image_size);
    parallel_for(end - begin, 1, [&](std::int64_t first, std::int64_t) {
      images.copy((begin + first) * image_size, image_size, copy + first * image_size);
    });
    source = copy;
  }
  const auto gradient =
      MatrixView<const T>(dy + begin * grid.pixels() * out, pixels, out).transposed();
  const MatrixView<T> all(sums, out, grid.depth());
  // Blocks of the weights: what each reads of dy and of the patches, others read too. Their number
  // is even: equal work for two threads.
  const auto part_of = [](std::int64_t size) {
    const std::int64_t parts = ceil_div(size, 128);
    return round_up(ceil_div(size, parts == 1 ? 1 : round_up(parts, 2)), 32);
  };
  const std::int64_t rows = part_of(out), cols = part_of(grid.depth());
  const std::int64_t columns = ceil_div(grid.depth(), cols);
  parallel_for(ceil_div(out, rows) * columns, 1, [&](std::int64_t item, std::int64_t) {
    const std::int64_t row = item / columns * rows, col = item % columns * cols;
    const MatrixView<T> c =
        all.block(row, col, std::min(rows, out - row), std::min(cols, grid.depth() - col));
    const auto a = gradient.block(row, 0, c.rows, pixels);
    if constexpr (std::is_same_v<T, float>) {
      if (products == Products::bf16) {
        if (reads_every_pixel_once(grid)) {
          const MatrixView<const float> x(source, pixels, grid.channels);
          return gemm_bf16(a, x.block(0, col, pixels, c.cols), c, options);
        }
        const MatrixView<float> patches(gemm_scratch<float, 7>(pixels * c.cols), pixels, c.cols);
        gather_patches(source, grid, 0, col, patches);
        return gemm_bf16(a, patches, c, options);
      }
    }
    gemm_packed_cols(
        a,
        [&](std::int64_t k0, std::int64_t col0, MatrixView<T> panel) {
          gather_patches(source, grid, k0, col + col0, panel);
        },
        c, options);
  });
}

/// How the derivative by the weights of a convolution is computed.
enum class WeightSums : std::uint8_t { winograd, direct, matrix };

template <class T>
[[nodiscard]] WeightSums weight_sums_of(const PatchGrid& grid, std::int64_t out) noexcept {
  if (std::is_same_v<T, float> && suits_winograd(grid, out)) return WeightSums::winograd;
  // Read in place, a block of output rows adds to all sums in memory: that must not cost more than
  // its products.
  const std::int64_t block_pixels = RowBlocks::of<T>(grid).rows * grid.w.outputs;
  const std::int64_t sums_bytes = out * grid.depth() * static_cast<std::int64_t>(sizeof(T));
  return block_pixels >= 256 || sums_bytes <= 512 << 10 ? WeightSums::direct : WeightSums::matrix;
}

/// `winograd_weight_sums` with the products that were asked for.
template <class Images>
void winograd_weight_sums(float* sums, const float* dy, const Images& images, const PatchGrid& grid,
                          std::int64_t out, std::int64_t begin, std::int64_t end, Products products,
                          GemmOptions options) {
  if (products == Products::bf16) {
    return winograd_weight_sums<std::uint16_t>(sums, dy, images, grid, out, begin, end, options);
  }
  winograd_weight_sums<float>(sums, dy, images, grid, out, begin, end, options);
}

/// sums = those over some images: see `conv2d_backward_weight`.
template <class T, class Images>
void weight_sums(T* sums, const T* dy, const Images& images, const PatchGrid& grid,
                 std::int64_t out, std::int64_t begin, std::int64_t end, Products products) {
  const WeightSums way = weight_sums_of<T>(grid, out);
  if (way == WeightSums::matrix) {
    return matrix_weight_sums(sums, dy, images, grid, out, begin, end, products, {});
  }
  if constexpr (std::is_same_v<T, float>) {
    if (way == WeightSums::winograd) {
      return winograd_weight_sums(sums, dy, images, grid, out, begin, end, products, {});
    }
    if (products == Products::bf16) {
      return direct_weight_sums_bf16(sums, dy, images, grid, out, begin, end);
    }
  }
  direct_weight_sums(sums, dy, images, grid, out, begin, end);
}

/// sum[i] += partial[k, i] for k = 0, 1, .. in order.
template <class T>
void add_partials(T* sum, TensorView<const T> partial) {
  const std::int64_t size = partial.extent(1);
  parallel_for(size, elementwise_grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t k = 0; k < partial.extent(0); ++k) {
      map_span(
          end - begin, sum + begin, [](T a, T b) { return a + b; }, sum + begin,
          partial.data() + k * size + begin);
    }
  });
}

/// dw = the sums over all images, or with `options.accumulate` dw += these: see
/// `conv2d_backward_weight`.
template <class T, class Images>
void all_weight_sums(TensorView<T> dw, const T* dy, const Images& images, std::int64_t count,
                     const PatchGrid& grid, Products products, GemmOptions options) {
  if (count == 0 && !options.accumulate) std::fill_n(dw.data(), dw.size(), T{0});
  if (count == 0) return;
  const std::int64_t out = dw.extent(0);
  const WeightSums way = weight_sums_of<T>(grid, out);
  if constexpr (std::is_same_v<T, float>) {
    if (way == WeightSums::winograd && dw.size() >= winograd_shared_weights) {
      return winograd_weight_sums(dw.data(), dy, images, grid, out, 0, count, products, options);
    }
  }
  // Few, and a power of two: equal work for two threads.
  std::int64_t chunks = conv2d_max_partials;
  while (chunks > 2 && chunks * dw.size() > conv2d_partial_elements) chunks /= 2;
  const std::int64_t grain = ceil_div(count, chunks);
  chunks = ceil_div(count, grain);
  const std::int64_t read = count * grid.pixels() * (out + grid.channels);
  if (way == WeightSums::matrix || (way == WeightSums::direct && 2 * chunks * dw.size() > read)) {
    const std::int64_t image =
        std::max<std::int64_t>(1, grid.h.source * grid.w.source * grid.channels);
    const std::int64_t most = std::max<std::int64_t>(1, matrix_source_elements / image);
    for (std::int64_t n = 0; n < count; n += most) {
      matrix_weight_sums(dw.data(), dy, images, grid, out, n, std::min(n + most, count), products,
                         {.accumulate = options.accumulate || n > 0});
    }
    return;
  }
  Tensor<T> partial({chunks, dw.size()}, Uninitialized{});
  parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end) {
    weight_sums(partial.data() + begin / grain * dw.size(), dy, images, grid, out, begin, end,
                products);
  });
  if (!options.accumulate) std::fill_n(dw.data(), dw.size(), T{0});
  add_partials(dw.data(), partial.cview());
}

}  // namespace bitdial::inline BITDIAL_ABI::ops::detail
