// SPDX-License-Identifier: Apache-2.0
// Two-dimensional convolution of channels-last images, and its two derivatives.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <type_traits>

#include <bitdial/core/parallel.hpp>
#include <bitdial/core/rounding.hpp>
#include <bitdial/ops/channel_moments.hpp>
#include <bitdial/ops/detail/check.hpp>
#include <bitdial/ops/detail/direct_conv.hpp>
#include <bitdial/ops/detail/elementwise.hpp>
#include <bitdial/ops/detail/patches.hpp>
#include <bitdial/ops/detail/weight_sums.hpp>
#include <bitdial/ops/detail/winograd_conv.hpp>
#include <bitdial/ops/gemm.hpp>
#include <bitdial/ops/products.hpp>
#include <bitdial/ops/window.hpp>

namespace bitdial::inline BITDIAL_ABI::ops {

/// The output shape `[N, OH, OW, Cout]` of a convolution of x `[N, H, W, Cin]` with w
/// `[Cout, kh, kw, Cin]`, Cin and Cout at least 1; throws `ShapeError` when they do not fit
/// together.
[[nodiscard]] inline Shape conv2d_output_shape(const Shape& x, const Shape& w,
                                               const Window& window) {
  if (x.rank() != 4) throw ShapeError(concat("conv2d: x must be [N, H, W, C], it is ", x));
  if (w.rank() != 4) {
    throw ShapeError(concat("conv2d: weight must be [Cout, kh, kw, Cin], it is ", w));
  }
  if (x[3] != w[3]) {
    throw ShapeError(concat("conv2d: weight ", w, " expects ", w[3], " input channels, x is ", x));
  }
  if (w[0] < 1 || w[3] < 1) {
    throw ShapeError(concat("conv2d: weight ", w,
                            " must have at least 1 output and 1 input channel, ", "x is ", x));
  }
  if (!window.valid() || window.kernel_h != w[1] || window.kernel_w != w[2]) {
    throw ShapeError(concat("conv2d: weight ", w, " has a ", w[1], " x ", w[2],
                            " kernel, the window is ", window.kernel_h, " x ", window.kernel_w,
                            " with stride ", window.stride_h, " x ", window.stride_w));
  }
  const Shape y{x[0], window.output_h(x[1]), window.output_w(x[2]), w[0]};
  if (y[1] < 1 || y[2] < 1) {
    throw ShapeError(concat("conv2d: a ", window.kernel_h, " x ", window.kernel_w,
                            " window with padding ", window.padding_h, " x ", window.padding_w,
                            " does not fit into x ", x));
  }
  return y;
}

namespace detail {

/// Output pixels per parallel chunk: a multiple of the usual tile heights, large enough to pay for
/// reading the weights, and no more than a sixteenth of the pixels if that is enough.
[[nodiscard]] constexpr std::int64_t conv2d_pixel_grain(std::int64_t pixels) noexcept {
  return std::clamp<std::int64_t>(round_up(ceil_div(pixels, 16), 24), 72, 192);
}

[[nodiscard]] constexpr PatchGrid patch_grid(const Shape& x, const Window& window) noexcept {
  return {.h = {.outputs = window.output_h(x[1]),
                .source = x[1],
                .taps = window.kernel_h,
                .step = window.stride_h,
                .dilation = window.dilation_h,
                .offset = -window.padding_h},
          .w = {.outputs = window.output_w(x[2]),
                .source = x[2],
                .taps = window.kernel_w,
                .step = window.stride_w,
                .dilation = window.dilation_w,
                .offset = -window.padding_w},
          .channels = x[3]};
}

/// The taps that reach input positions r, r + stride, r + 2 stride, ... along one axis, and the
/// outputs that they reach them from.
///
/// Position p = stride i + r gets dy[t] through tap k where stride t = p + padding - dilation k.
/// So only taps k = k_first + m (stride / g), g = gcd(stride, dilation), take part. In descending
/// order of k they read dy at i + offset, with a step of dilation / g from tap to tap: a
/// convolution of dy with stride 1.
struct InputPhase {
  std::int64_t first_tap = 0;
  std::int64_t tap_step = 1;
  PatchAxis axis;

  InputPhase(std::int64_t phase, std::int64_t in, std::int64_t out, std::int64_t kernel,
             std::int64_t stride, std::int64_t padding, std::int64_t dilation)
      : tap_step{stride / std::gcd(stride, dilation)} {
    while (first_tap < tap_step && (phase + padding - first_tap * dilation) % stride != 0) {
      ++first_tap;
    }
    axis.outputs = phase < in ? (in - phase - 1) / stride + 1 : 0;
    axis.source = out;
    axis.taps =
        first_tap < std::min(tap_step, kernel) ? (kernel - 1 - first_tap) / tap_step + 1 : 0;
    axis.dilation = dilation * tap_step / stride;
    if (axis.taps > 0) axis.offset = (phase + padding - tap(0) * dilation) / stride;
  }

  /// The kernel tap behind tap t of `axis`.
  [[nodiscard]] std::int64_t tap(std::int64_t t) const noexcept {
    return first_tap + (axis.taps - 1 - t) * tap_step;
  }
  [[nodiscard]] bool empty() const noexcept { return axis.taps == 0 || axis.outputs == 0; }
};

/// out(n, i, j) (+)= the window of output pixel (n, i, j) times B [grid.depth(), cols], which
/// `pack_b` delivers as for `gemm_packed`. `moments` are wanted of floats without gaps only.
template <class T, class PackB>
void window_product(const T* source, std::int64_t images, const PatchGrid& grid, std::int64_t cols,
                    PackB&& pack_b, const PixelGrid<T>& out, GemmOptions options, Sums sums,
                    Products products = Products::f32, ChannelMoments* moments = nullptr) {
  const bool has_gaps =
      out.pixel != cols || out.row != grid.w.outputs * cols || out.image != grid.pixels() * cols;
  if constexpr (std::is_same_v<T, float>) {
    if (products == Products::bf16 && grid.channels % 2 == 0) {
      if (sums == Sums::fewest_products && suits_winograd(grid, cols)) {
        return winograd_product<std::uint16_t>(source, images, grid, cols, pack_b, out, options,
                                               moments);
      }
      const WholePanels<std::uint16_t> weights(grid.depth(), cols, pack_b);
      const PatchGrid lines = has_gaps ? grid : with_joined_lines(grid);
      PixelGrid<T> pixels = out;
      if (!has_gaps) pixels.row = lines.w.outputs * cols;
      return direct_product(RoundedImages{source}, images, lines, weights, pixels, options,
                            moments);
    }
    if (sums == Sums::fewest_products && suits_winograd(grid, cols)) {
      return winograd_product<float>(source, images, grid, cols, pack_b, out, options, moments);
    }
  }
  if (!reads_every_pixel_once(grid) || has_gaps) {
    const WholePanels<T> weights(grid.depth(), cols, pack_b);
    return direct_product(StoredImages<T>{source}, images, grid, weights, out, options, moments);
  }
  const PackedB<T> weights(grid.depth(), cols, pack_b);
  const std::int64_t pixels = images * grid.pixels();
  const MatrixView<const T> a(source, pixels, grid.channels);
  const MatrixView<T> c(out.data, pixels, cols);
  const std::int64_t grain = conv2d_pixel_grain(pixels);
  if (moments != nullptr) moments->start(ceil_div(pixels, grain), cols);
  parallel_for(pixels, grain, [&](std::int64_t begin, std::int64_t end) {
    gemm(a.block(begin, 0, end - begin, a.cols), weights, c.block(begin, 0, end - begin, cols),
         options);
    if constexpr (std::is_same_v<T, float>) {
      if (moments == nullptr) return;
      moments->add(begin / grain, end - begin, out.data + begin * cols);
    }
  });
}

}  // namespace detail

/// y[n, oh, ow, o] = sum over taps (kh, kw) and channels i of
///   x[n, oh stride_h + kh dilation_h - padding_h, ow ..., i] w[o, kh, kw, i],
/// with zeros outside the image.
///
/// Shapes: x [N, H, W, Cin], w [Cout, kh, kw, Cin], y as `conv2d_output_shape`; contiguous.
/// Each output is, unless told otherwise, one chain of fused multiply-adds in the order of w's
/// elements, without the kernel rows outside the image: exact for integer values while the sum of
/// magnitudes is at most 2^24 (float). Cost: N OH OW kh kw Cin Cout multiply-adds, and one copy of
/// x in cache where padding needs zeros left and right; memory: the weights once more. With
/// `fewest_products`, where the rule of `Sums` holds: half of the multiply-adds, one and a half
/// copies of x in cache; memory: three times the weights. `moments`, where they are wanted, become
/// those of y (float).
template <class T>
void conv2d_forward(TensorView<T> y, TensorView<const std::type_identity_t<T>> x,
                    TensorView<const std::type_identity_t<T>> w, const Window& window,
                    Sums sums = Sums::chains, ChannelMoments* moments = nullptr) {
  const Shape expected = conv2d_output_shape(x.shape(), w.shape(), window);
  detail::require_shape("conv2d", "y", y, expected);
  detail::require_shape("conv2d", "x", x, x.shape());
  detail::require_shape("conv2d", "weight", w, w.shape());
  const detail::PatchGrid grid = detail::patch_grid(x.shape(), window);
  const std::int64_t out = expected[3];
  const MatrixView<const T> rows_of_w(w.data(), out, grid.depth());
  detail::window_product(
      x.data(), expected[0], grid, out,
      [rows_of_w](std::int64_t k0, std::int64_t col0, MatrixView<T> panel) {
        detail::copy_block(rows_of_w.block(col0, k0, panel.cols, panel.rows).transposed(), panel);
      },
      detail::PixelGrid<T>{y.data(), y.size() / std::max<std::int64_t>(expected[0], 1),
                           expected[2] * out, out},
      {.accumulate = false}, sums, Products::f32, moments);
}

/// How the gradient of an input is stored.
struct GradientOptions {
  bool accumulate = true;  ///< dx += ..., the rule of all derivatives; else dx = ...
  Products products = Products::f32;

  /// True where every pixel of dx is written once, so that nothing has to be set to zero before:
  /// each phase of a stride has taps.
  [[nodiscard]] constexpr bool overwrites(const Window& window) const noexcept {
    const auto reaches_all = [](std::int64_t kernel, std::int64_t stride, std::int64_t dilation) {
      return kernel >= stride && std::gcd(stride, dilation) == 1;
    };
    return !accumulate && reaches_all(window.kernel_h, window.stride_h, window.dilation_h) &&
           reaches_all(window.kernel_w, window.stride_w, window.dilation_w);
  }
};

/// dx[n, h, w, i] += sum over the outputs and taps that read x[n, h, w, i] of dy w.
///
/// Shapes as in `conv2d_forward`. A stride of s splits the input pixels into s x s phases, each a
/// convolution of dy with the taps that reach it, so no multiplication by a known zero is done.
/// Phases for which the rule of `Sums` holds take half of the products: those of windows three wide
/// with stride 1, and of others wherever a stride leaves three adjacent taps. bfloat16 products
/// round dy and w, or their transforms where half of the products are taken; with an odd number of
/// output channels they are f32 products.
template <class T>
void conv2d_backward_input(TensorView<T> dx, TensorView<const std::type_identity_t<T>> dy,
                           TensorView<const std::type_identity_t<T>> w, const Window& window,
                           GradientOptions options = {}) {
  const Shape expected = conv2d_output_shape(dx.shape(), w.shape(), window);
  detail::require_shape("conv2d_backward_input", "dx", dx, dx.shape());
  detail::require_shape("conv2d_backward_input", "dy", dy, expected);
  detail::require_shape("conv2d_backward_input", "weight", w, w.shape());
  const std::int64_t in = dx.extent(3);
  const std::int64_t out = expected[3];
  const bool overwrites = options.overwrites(window);
  if (!options.accumulate && !overwrites) {
    detail::map(dx.size(), dx.data(), [] { return T{0}; });
  }
  for (std::int64_t phase_h = 0; phase_h < window.stride_h; ++phase_h) {
    const detail::InputPhase h(phase_h, dx.extent(1), expected[1], window.kernel_h, window.stride_h,
                               window.padding_h, window.dilation_h);
    for (std::int64_t phase_w = 0; phase_w < window.stride_w; ++phase_w) {
      const detail::InputPhase v(phase_w, dx.extent(2), expected[2], window.kernel_w,
                                 window.stride_w, window.padding_w, window.dilation_w);
      if (h.empty() || v.empty()) continue;  // no output reads these pixels
      const detail::PatchGrid grid{.h = h.axis, .w = v.axis, .channels = out};
      // Row (th, tw, o) of the right side is w[o, tap(th), tap(tw), :].
      const auto pack_weights = [&](std::int64_t k0, std::int64_t col0, MatrixView<T> panel) {
        for (std::int64_t r = 0; r < panel.rows; ++r) {
          const std::int64_t o = (k0 + r) % out;
          const std::int64_t tap = (k0 + r) / out;
          const std::int64_t kh = h.tap(tap / v.axis.taps);
          const std::int64_t kw = v.tap(tap % v.axis.taps);
          const std::int64_t row = (o * window.kernel_h + kh) * window.kernel_w + kw;
          std::copy_n(w.data() + row * in + col0, panel.cols, panel.row(r));
        }
      };
      const std::int64_t row_size = dx.extent(2) * in;
      const detail::PixelGrid<T> pixels{dx.data() + phase_h * row_size + phase_w * in,
                                        dx.extent(1) * row_size, window.stride_h * row_size,
                                        window.stride_w * in};
      const GemmOptions storing{.accumulate = !overwrites};
      detail::window_product(dy.data(), dx.extent(0), grid, in, pack_weights, pixels, storing,
                             Sums::fewest_products, options.products);
    }
  }
}

/// dw[o, kh, kw, i] += sum over images and outputs of dy[n, oh, ow, o] x[n, the tap's pixel, i].
///
/// Shapes as in `conv2d_forward`. Up to 16 chunks of images, a power of two, have a partial sum
/// each; they are added in order: the same bits for every thread count. Memory: 16 times the
/// weights, at most 64 MiB or twice the weights (float), from the thread's cached blocks. Where
/// that would be more than what is read, and for many weights of the windows below, there are no
/// partial sums: threads share the weights instead.
///
/// Where the rule of `Sums` holds, which here asks for stride 1 in both directions, a partial sum
/// takes half of the products: passes over some rows of an image, or over some images, make the
/// filter of six chains over groups of outputs and are added in order; a few MiB more for each
/// thread. Elsewhere it is one chain over images and
/// outputs in ascending order. bfloat16 products round dy and x, and take neighbouring pixels of a
/// row in pairs, the second one first; where half of the products are taken they round the
/// transforms, and take groups from the two halves of a row in pairs.
template <class T>
void conv2d_backward_weight(TensorView<T> dw, TensorView<const std::type_identity_t<T>> dy,
                            TensorView<const std::type_identity_t<T>> x, const Window& window,
                            Products products = Products::f32) {
  const Shape expected = conv2d_output_shape(x.shape(), dw.shape(), window);
  detail::require_shape("conv2d_backward_weight", "dw", dw, dw.shape());
  detail::require_shape("conv2d_backward_weight", "dy", dy, expected);
  detail::require_shape("conv2d_backward_weight", "x", x, x.shape());
  detail::all_weight_sums(dw, dy.data(), detail::StoredImages<T>{x.data()}, expected[0],
                          detail::patch_grid(x.shape(), window), products, {.accumulate = true});
}

}  // namespace bitdial::inline BITDIAL_ABI::ops
