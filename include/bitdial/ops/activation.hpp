// SPDX-License-Identifier: Apache-2.0
// The rectifier and its derivative.
#pragma once

#include <type_traits>

#include <bitdial/ops/detail/check.hpp>
#include <bitdial/ops/detail/elementwise.hpp>

namespace bitdial::inline BITDIAL_ABI::ops {

/// max(x, 0), also for x = -0 and NaN (both give 0), and where its derivative is 1.
struct Rectifier {
  template <class T>
  [[nodiscard]] static constexpr T map(T x) noexcept {
    return x > T{0} ? x : T{0};
  }
  template <class T>
  [[nodiscard]] static constexpr bool passes(T x) noexcept {
    return x > T{0};
  }
};

/// y = max(x, 0) as `Rectifier` says. Shapes: y like x. `y` may be `x`.
template <class T>
void relu_forward(TensorView<T> y, TensorView<const std::type_identity_t<T>> x) {
  detail::require_shape("relu", "x", x, x.shape());
  detail::require_shape("relu", "y", y, x.shape());
  detail::map(
      x.size(), y.data(), [](T v) { return Rectifier::map(v); }, x.data());
}

/// dx += dy where y > 0. The forward *result* decides, so that x need not be kept: y > 0 exactly
/// where x > 0.
template <class T>
void relu_backward(TensorView<T> dx, TensorView<const std::type_identity_t<T>> dy,
                   TensorView<const std::type_identity_t<T>> y) {
  detail::require_shape("relu_backward", "y", y, y.shape());
  detail::require_shape("relu_backward", "dy", dy, y.shape());
  detail::require_shape("relu_backward", "dx", dx, y.shape());
  detail::map(
      y.size(), dx.data(), [](T sum, T g, T v) { return sum + (Rectifier::passes(v) ? g : T{0}); },
      dx.data(), dy.data(), y.data());
}

}  // namespace bitdial::inline BITDIAL_ABI::ops
