// SPDX-License-Identifier: Apache-2.0
// Addition of two tensors of equal shape, and multiplication by a constant.
#pragma once

#include <type_traits>

#include <bitdial/ops/detail/check.hpp>
#include <bitdial/ops/detail/elementwise.hpp>

namespace bitdial::inline BITDIAL_ABI::ops {

/// y = a + b, one rounding per element. Shapes equal; `y` may be `a` or `b`.
template <class T>
void add_forward(TensorView<T> y, TensorView<const std::type_identity_t<T>> a,
                 TensorView<const std::type_identity_t<T>> b) {
  detail::require_shape("add", "a", a, a.shape());
  detail::require_shape("add", "b", b, a.shape());
  detail::require_shape("add", "y", y, a.shape());
  detail::map(
      a.size(), y.data(), [](T u, T v) { return u + v; }, a.data(), b.data());
}

/// dx += dy: the derivative of a sum for each of its terms.
template <class T>
void add_backward(TensorView<T> dx, TensorView<const std::type_identity_t<T>> dy) {
  detail::require_shape("add_backward", "dy", dy, dy.shape());
  detail::require_shape("add_backward", "dx", dx, dy.shape());
  detail::map(
      dy.size(), dx.data(), [](T u, T v) { return u + v; }, dx.data(), dy.data());
}

/// y = factor * x. Shapes equal; `y` may be `x`.
template <class T>
void scale_forward(TensorView<T> y, TensorView<const std::type_identity_t<T>> x,
                   std::type_identity_t<T> factor) {
  detail::require_shape("scale", "x", x, x.shape());
  detail::require_shape("scale", "y", y, x.shape());
  detail::map(
      x.size(), y.data(), [factor](T v) { return factor * v; }, x.data());
}

/// dx += factor * dy.
template <class T>
void scale_backward(TensorView<T> dx, TensorView<const std::type_identity_t<T>> dy,
                    std::type_identity_t<T> factor) {
  detail::require_shape("scale_backward", "dy", dy, dy.shape());
  detail::require_shape("scale_backward", "dx", dx, dy.shape());
  detail::map(
      dy.size(), dx.data(), [factor](T u, T v) { return u + factor * v; }, dx.data(), dy.data());
}

}  // namespace bitdial::inline BITDIAL_ABI::ops
