// SPDX-License-Identifier: Apache-2.0
// Two-dimensional convolution of channels-last images, and its two derivatives.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include <bitdial/ops/detail/check.hpp>
#include <bitdial/ops/window.hpp>

namespace bitdial::inline BITDIAL_ABI::ops {

/// The output shape `[N, OH, OW, Cout]` of a convolution of x `[N, H, W, Cin]` with w
/// `[Cout, kh, kw, Cin]`; throws `ShapeError` when they do not fit together.
[[nodiscard]] inline Shape conv2d_output_shape(const Shape& x, const Shape& w,
                                               const Window& window) {
  if (x.rank() != 4) throw ShapeError(concat("conv2d: x must be [N, H, W, C], it is ", x));
  if (w.rank() != 4) {
    throw ShapeError(concat("conv2d: weight must be [Cout, kh, kw, Cin], it is ", w));
  }
  if (x[3] != w[3]) {
    throw ShapeError(
        concat("conv2d: weight ", w, " expects ", w[3], " input channels, x is ", x));
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

/// Calls f(pixel of y, pixel of x, tap) for every tap that lies inside the image.
template <class F>
void for_each_tap(const Shape& y, const Shape& x, const Window& window, F f) {
  for (std::int64_t n = 0; n < y[0]; ++n) {
    for (std::int64_t oh = 0; oh < y[1]; ++oh) {
      for (std::int64_t ow = 0; ow < y[2]; ++ow) {
        for (std::int64_t kh = 0; kh < window.kernel_h; ++kh) {
          const std::int64_t ih = oh * window.stride_h - window.padding_h + kh * window.dilation_h;
          if (ih < 0 || ih >= x[1]) continue;
          for (std::int64_t kw = 0; kw < window.kernel_w; ++kw) {
            const std::int64_t iw =
                ow * window.stride_w - window.padding_w + kw * window.dilation_w;
            if (iw < 0 || iw >= x[2]) continue;
            f((n * y[1] + oh) * y[2] + ow, (n * x[1] + ih) * x[2] + iw, kh * window.kernel_w + kw);
          }
        }
      }
    }
  }
}

}  // namespace detail

/// y[n, oh, ow, o] = sum over taps and i of
///   x[n, oh stride + kh dilation - padding, ..., i] w[o, kh, kw, i], zero outside the image.
///
/// Shapes: x [N, H, W, Cin], w [Cout, kh, kw, Cin], y as `conv2d_output_shape`; contiguous.
template <class T>
void conv2d_forward(TensorView<T> y, TensorView<const std::type_identity_t<T>> x,
                    TensorView<const std::type_identity_t<T>> w, const Window& window) {
  const Shape expected = conv2d_output_shape(x.shape(), w.shape(), window);
  detail::require_shape("conv2d", "y", y, expected);
  detail::require_shape("conv2d", "x", x, x.shape());
  detail::require_shape("conv2d", "weight", w, w.shape());
  const std::int64_t in = x.extent(3), out = y.extent(3), taps = window.taps();
  std::fill_n(y.data(), y.size(), T{0});
  detail::for_each_tap(expected, x.shape(), window,
                       [&](std::int64_t to, std::int64_t from, std::int64_t tap) {
                         for (std::int64_t o = 0; o < out; ++o)
                           for (std::int64_t i = 0; i < in; ++i)
                             y.data()[to * out + o] +=
                                 x.data()[from * in + i] * w.data()[(o * taps + tap) * in + i];
                       });
}

/// dx += the gradient of x, given dy and w. Shapes as in `conv2d_forward`.
template <class T>
void conv2d_backward_input(TensorView<T> dx, TensorView<const std::type_identity_t<T>> dy,
                           TensorView<const std::type_identity_t<T>> w, const Window& window) {
  const Shape expected = conv2d_output_shape(dx.shape(), w.shape(), window);
  detail::require_shape("conv2d_backward_input", "dy", dy, expected);
  const std::int64_t in = dx.extent(3), out = dy.extent(3), taps = window.taps();
  detail::for_each_tap(expected, dx.shape(), window,
                       [&](std::int64_t to, std::int64_t from, std::int64_t tap) {
                         for (std::int64_t o = 0; o < out; ++o)
                           for (std::int64_t i = 0; i < in; ++i)
                             dx.data()[from * in + i] +=
                                 dy.data()[to * out + o] * w.data()[(o * taps + tap) * in + i];
                       });
}

/// dw += the gradient of w, given dy and x. Shapes as in `conv2d_forward`.
template <class T>
void conv2d_backward_weight(TensorView<T> dw, TensorView<const std::type_identity_t<T>> dy,
                            TensorView<const std::type_identity_t<T>> x, const Window& window) {
  const Shape expected = conv2d_output_shape(x.shape(), dw.shape(), window);
  detail::require_shape("conv2d_backward_weight", "dy", dy, expected);
  const std::int64_t in = x.extent(3), out = dy.extent(3), taps = window.taps();
  detail::for_each_tap(expected, x.shape(), window,
                       [&](std::int64_t to, std::int64_t from, std::int64_t tap) {
                         for (std::int64_t o = 0; o < out; ++o)
                           for (std::int64_t i = 0; i < in; ++i)
                             dw.data()[(o * taps + tap) * in + i] +=
                                 dy.data()[to * out + o] * x.data()[from * in + i];
                       });
}

}  // namespace bitdial::inline BITDIAL_ABI::ops
