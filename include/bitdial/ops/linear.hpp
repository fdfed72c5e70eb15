// SPDX-License-Identifier: Apache-2.0
// The fully connected layer, and its derivatives.
#pragma once

#include <cstdint>
#include <type_traits>

#include <bitdial/ops/detail/check.hpp>
#include <bitdial/ops/detail/elementwise.hpp>

namespace bitdial::inline BITDIAL_ABI::ops {

namespace detail {

inline void require_linear_shapes(const Shape& y, const Shape& x, const Shape& w) {
  if (x.rank() != 2 || w.rank() != 2 || x[1] != w[1]) {
    throw ShapeError(concat("linear: weight ", w, " must be [out, in] and x [N, in], x is ", x));
  }
  if (y != Shape{x[0], w[0]}) {
    throw ShapeError(
        concat("linear: y must be ", Shape{x[0], w[0]}, " for x ", x, ", it is ", y));
  }
}

}  // namespace detail

/// y[n, o] = bias[o] + sum_i x[n, i] w[o, i]. An empty bias counts as zeros.
///
/// Shapes: x [N, in], w [out, in], bias [out], y [N, out].
template <class T>
void linear_forward(TensorView<T> y, TensorView<const std::type_identity_t<T>> x,
                    TensorView<const std::type_identity_t<T>> w,
                    TensorView<const std::type_identity_t<T>> bias = {}) {
  detail::require_linear_shapes(y.shape(), x.shape(), w.shape());
  if (bias.data() != nullptr) detail::require_shape("linear", "bias", bias, {w.extent(0)});
  for (std::int64_t n = 0; n < y.extent(0); ++n) {
    for (std::int64_t o = 0; o < y.extent(1); ++o) {
      T sum = bias.data() != nullptr ? bias.data()[o] : T{0};
      for (std::int64_t i = 0; i < x.extent(1); ++i) sum += x(n, i) * w(o, i);
      y(n, o) = sum;
    }
  }
}

/// dx += dy w.
template <class T>
void linear_backward_input(TensorView<T> dx, TensorView<const std::type_identity_t<T>> dy,
                           TensorView<const std::type_identity_t<T>> w) {
  detail::require_linear_shapes(dy.shape(), dx.shape(), w.shape());
  for (std::int64_t n = 0; n < dy.extent(0); ++n)
    for (std::int64_t o = 0; o < dy.extent(1); ++o)
      for (std::int64_t i = 0; i < dx.extent(1); ++i) dx(n, i) += dy(n, o) * w(o, i);
}

/// dw += dy^T x.
template <class T>
void linear_backward_weight(TensorView<T> dw, TensorView<const std::type_identity_t<T>> dy,
                            TensorView<const std::type_identity_t<T>> x) {
  detail::require_linear_shapes(dy.shape(), x.shape(), dw.shape());
  for (std::int64_t n = 0; n < dy.extent(0); ++n)
    for (std::int64_t o = 0; o < dy.extent(1); ++o)
      for (std::int64_t i = 0; i < x.extent(1); ++i) dw(o, i) += dy(n, o) * x(n, i);
}

/// dbias[o] += sum_n dy[n, o].
template <class T>
void linear_backward_bias(TensorView<T> dbias, TensorView<const std::type_identity_t<T>> dy) {
  const auto [rows, channels] = detail::channels_last("linear_backward_bias", "dy", dy);
  detail::require_shape("linear_backward_bias", "dbias", dbias, {channels});
  for (std::int64_t c = 0; c < channels; ++c) {
    double sum = 0.0;
    for (std::int64_t r = 0; r < rows; ++r) {
      sum += static_cast<double>(dy.data()[r * channels + c]);
    }
    dbias.data()[c] += static_cast<T>(sum);
  }
}

}  // namespace bitdial::inline BITDIAL_ABI::ops
