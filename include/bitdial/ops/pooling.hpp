// SPDX-License-Identifier: Apache-2.0
// Maximum, average and global average pooling of channels-last images, and their derivatives.
// The order of every sum is part of the contract: packed networks repeat it bit for bit.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string_view>
#include <type_traits>

#include <bitdial/core/parallel.hpp>
#include <bitdial/ops/detail/check.hpp>
#include <bitdial/ops/detail/elementwise.hpp>
#include <bitdial/ops/window.hpp>

namespace bitdial::inline BITDIAL_ABI::ops {

/// The output shape `[N, OH, OW, C]` of a pool over x `[N, H, W, C]`.
[[nodiscard]] inline Shape pool2d_output_shape(std::string_view op, const Shape& x,
                                               const Window& window) {
  if (x.rank() != 4) throw ShapeError(concat(op, ": x must be [N, H, W, C], it is ", x));
  const Shape y{x[0], window.output_h(x[1]), window.output_w(x[2]), x[3]};
  if (!window.valid() || y[1] < 1 || y[2] < 1) {
    throw ShapeError(concat(op, ": a ", window.kernel_h, " x ", window.kernel_w,
                            " window with stride ", window.stride_h, " x ", window.stride_w,
                            " and padding ", window.padding_h, " x ", window.padding_w,
                            " does not fit into x ", x));
  }
  return y;
}

namespace detail {

/// For each output row, over threads: row(first output pixel of the row, n, oh).
template <class Row>
void for_each_output_row(const Shape& y, Row row) {
  for_each_row(y[0] * y[1], y[2] * y[3],
               [&](std::int64_t r) { row(r * y[2], r / y[1], r % y[1]); });
}

/// For each image, over threads: image(n).
template <class Image>
void for_each_image(const Shape& x, Image image) {
  for_each_row(x[0], x[1] * x[2] * x[3], image);
}

/// Calls f(ih * W + iw) for the taps of output (oh, ow) inside the image, kh slowest.
template <class F>
void for_each_valid_tap(const Window& window, const Shape& x, std::int64_t oh, std::int64_t ow,
                        F f) {
  for (std::int64_t kh = 0; kh < window.kernel_h; ++kh) {
    const std::int64_t ih = oh * window.stride_h - window.padding_h + kh * window.dilation_h;
    if (ih < 0 || ih >= x[1]) continue;
    for (std::int64_t kw = 0; kw < window.kernel_w; ++kw) {
      const std::int64_t iw = ow * window.stride_w - window.padding_w + kw * window.dilation_w;
      if (iw >= 0 && iw < x[2]) f(ih * x[2] + iw);
    }
  }
}

}  // namespace detail

/// y = the maximum over the taps inside the image; argmax = its pixel ih * W + iw, the first one
/// (kh slowest) of equals. A window with no tap inside gives -infinity and argmax -1. NaN is below
/// every number: it is the result, and the first one the argmax, only where all taps are NaN.
///
/// Shapes: x [N, H, W, C], y and argmax [N, OH, OW, C].
template <class T>
void max_pool2d_forward(TensorView<T> y, TensorView<std::int32_t> argmax,
                        TensorView<const std::type_identity_t<T>> x, const Window& window) {
  const Shape shape = pool2d_output_shape("max_pool2d", x.shape(), window);
  detail::require_shape("max_pool2d", "x", x, x.shape());
  detail::require_shape("max_pool2d", "y", y, shape);
  detail::require_shape("max_pool2d", "argmax", argmax, shape);
  const std::int64_t channels = shape[3];
  const std::int64_t image = x.extent(1) * x.extent(2);
  detail::for_each_output_row(shape, [&](std::int64_t pixel, std::int64_t n, std::int64_t oh) {
    for (std::int64_t ow = 0; ow < shape[2]; ++ow, ++pixel) {
      T* const best = y.data() + pixel * channels;
      std::int32_t* const where = argmax.data() + pixel * channels;
      for (std::int64_t c = 0; c < channels; ++c) {
        best[c] = -std::numeric_limits<T>::infinity();
        where[c] = -1;
      }
      detail::for_each_valid_tap(window, x.shape(), oh, ow, [&](std::int64_t from) {
        const T* const in = x.data() + (n * image + from) * channels;
        const auto index = static_cast<std::int32_t>(from);
        for (std::int64_t c = 0; c < channels; ++c) {
          if (in[c] > best[c] || where[c] < 0 || (std::isnan(best[c]) && !std::isnan(in[c]))) {
            best[c] = in[c];
            where[c] = index;
          }
        }
      });
    }
  });
}

/// dx[argmax] += dy.
template <class T>
void max_pool2d_backward(TensorView<T> dx, TensorView<const std::type_identity_t<T>> dy,
                         TensorView<const std::int32_t> argmax) {
  detail::require_rank("max_pool2d_backward", "dx", dx, 4, "[N, H, W, C]");
  detail::require_rank("max_pool2d_backward", "dy", dy, 4, "[N, OH, OW, C]");
  detail::require_shape("max_pool2d_backward", "argmax", argmax, dy.shape());
  if (dx.extent(0) != dy.extent(0) || dx.extent(3) != dy.extent(3)) {
    throw ShapeError(
        concat("max_pool2d_backward: dx ", dx.shape(), " does not fit dy ", dy.shape()));
  }
  const std::int64_t channels = dx.extent(3);
  const std::int64_t in = dx.extent(1) * dx.extent(2);
  const std::int64_t out = dy.extent(1) * dy.extent(2);
  detail::for_each_image(dx.shape(), [&](std::int64_t n) {
    T* const image = dx.data() + n * in * channels;
    for (std::int64_t pixel = n * out; pixel < (n + 1) * out; ++pixel) {
      for (std::int64_t c = 0; c < channels; ++c) {
        const std::int32_t from = argmax.data()[pixel * channels + c];
        if (from >= 0) image[from * channels + c] += dy.data()[pixel * channels + c];
      }
    }
  });
}

/// y = (sum of the taps inside the image) / (kernel_h kernel_w): padding counts as zeros. The sum
/// starts at 0 and runs over the taps one by one, kh slowest; then one division.
///
/// Shapes: x [N, H, W, C], y [N, OH, OW, C].
template <class T>
void average_pool2d_forward(TensorView<T> y, TensorView<const std::type_identity_t<T>> x,
                            const Window& window) {
  const Shape shape = pool2d_output_shape("average_pool2d", x.shape(), window);
  detail::require_shape("average_pool2d", "x", x, x.shape());
  detail::require_shape("average_pool2d", "y", y, shape);
  const std::int64_t channels = shape[3];
  const std::int64_t image = x.extent(1) * x.extent(2);
  const T taps = static_cast<T>(window.taps());
  detail::for_each_output_row(shape, [&](std::int64_t pixel, std::int64_t n, std::int64_t oh) {
    for (std::int64_t ow = 0; ow < shape[2]; ++ow, ++pixel) {
      T* const sum = y.data() + pixel * channels;
      std::fill_n(sum, channels, T{0});
      detail::for_each_valid_tap(window, x.shape(), oh, ow, [&](std::int64_t from) {
        detail::map_span(
            channels, sum, [](T a, T b) { return a + b; }, sum,
            x.data() + (n * image + from) * channels);
      });
      detail::map_span(
          channels, sum, [taps](T a) { return a / taps; }, sum);
    }
  });
}

/// dx[tap] += dy / (kernel_h kernel_w) for every tap inside the image.
template <class T>
void average_pool2d_backward(TensorView<T> dx, TensorView<const std::type_identity_t<T>> dy,
                             const Window& window) {
  const Shape shape = pool2d_output_shape("average_pool2d_backward", dx.shape(), window);
  detail::require_shape("average_pool2d_backward", "dx", dx, dx.shape());
  detail::require_shape("average_pool2d_backward", "dy", dy, shape);
  const std::int64_t channels = shape[3];
  const std::int64_t image = dx.extent(1) * dx.extent(2);
  const T taps = static_cast<T>(window.taps());
  detail::for_each_image(dx.shape(), [&](std::int64_t n) {
    const T* g = dy.data() + n * shape[1] * shape[2] * channels;
    for (std::int64_t oh = 0; oh < shape[1]; ++oh) {
      for (std::int64_t ow = 0; ow < shape[2]; ++ow, g += channels) {
        detail::for_each_valid_tap(window, dx.shape(), oh, ow, [&](std::int64_t from) {
          T* const out = dx.data() + (n * image + from) * channels;
          detail::map_span(
              channels, out, [taps](T a, T b) { return a + b / taps; }, out, g);
        });
      }
    }
  });
}

/// y[n, c] = (sum of x[n, h, w, c] over pixels in order, one by one) / (H W).
///
/// Shapes: x [N, H, W, C], y [N, C].
template <class T>
void global_average_pool_forward(TensorView<T> y, TensorView<const std::type_identity_t<T>> x) {
  detail::require_rank("global_average_pool", "x", x, 4, "[N, H, W, C]");
  const std::int64_t channels = x.extent(3);
  const std::int64_t pixels = x.extent(1) * x.extent(2);
  detail::require_shape("global_average_pool", "y", y, {x.extent(0), channels});
  if (pixels < 1) {
    throw ShapeError(concat("global_average_pool: x ", x.shape(), " has no pixels"));
  }
  const T count = static_cast<T>(pixels);
  detail::for_each_image(x.shape(), [&](std::int64_t n) {
    T* const sum = y.data() + n * channels;
    std::fill_n(sum, channels, T{0});
    for (std::int64_t pixel = n * pixels; pixel < (n + 1) * pixels; ++pixel) {
      detail::map_span(
          channels, sum, [](T a, T b) { return a + b; }, sum, x.data() + pixel * channels);
    }
    detail::map_span(
        channels, sum, [count](T a) { return a / count; }, sum);
  });
}

/// dx[n, h, w, c] += dy[n, c] / (H W).
template <class T>
void global_average_pool_backward(TensorView<T> dx, TensorView<const std::type_identity_t<T>> dy) {
  detail::require_rank("global_average_pool_backward", "dx", dx, 4, "[N, H, W, C]");
  const std::int64_t channels = dx.extent(3);
  const std::int64_t pixels = dx.extent(1) * dx.extent(2);
  detail::require_shape("global_average_pool_backward", "dy", dy, {dx.extent(0), channels});
  const T count = static_cast<T>(pixels);
  detail::for_each_row(dx.extent(0) * pixels, channels, [&](std::int64_t pixel) {
    T* const out = dx.data() + pixel * channels;
    detail::map_span(
        channels, out, [count](T a, T b) { return a + b / count; }, out,
        dy.data() + (pixel / pixels) * channels);
  });
}

}  // namespace bitdial::inline BITDIAL_ABI::ops
