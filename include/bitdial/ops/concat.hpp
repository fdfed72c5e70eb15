// SPDX-License-Identifier: Apache-2.0
// Concatenation of channels: where one part lies in the whole, and back.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include <bitdial/ops/detail/check.hpp>
#include <bitdial/ops/detail/elementwise.hpp>

namespace bitdial::inline BITDIAL_ABI::ops {

namespace detail {

/// Throws `ShapeError` unless `part` is `whole` but for its channels, which are channels `first` ..
/// of the whole.
inline void require_channels(std::string_view op, const Shape& part, const Shape& whole,
                             std::int64_t first) {
  bool fits = part.rank() == whole.rank() && part.rank() > 0 && first >= 0;
  for (int axis = 0; fits && axis + 1 < part.rank(); ++axis) fits = part[axis] == whole[axis];
  if (!fits || first + part.back() > whole.back()) {
    throw ShapeError(
        concat(op, ": a part ", part, " from channel ", first, " on does not fit into ", whole));
  }
}

}  // namespace detail

/// y[..., first + c] = x[..., c]: puts one part of a concatenation in its place.
///
/// Shapes: x [..., C], y the same with at least first + C channels; contiguous. Cost: one copy.
template <class T>
void concat_forward(TensorView<T> y, TensorView<const std::type_identity_t<T>> x,
                    std::int64_t first) {
  detail::require_channels("concat", x.shape(), y.shape(), first);
  detail::require_shape("concat", "x", x, x.shape());
  detail::require_shape("concat", "y", y, y.shape());
  const std::int64_t channels = x.shape().back(), all = y.shape().back();
  detail::for_each_row(channels == 0 ? 0 : x.size() / channels, channels, [&](std::int64_t row) {
    std::copy_n(x.data() + row * channels, channels, y.data() + row * all + first);
  });
}

/// dx[..., c] += dy[..., first + c]: the part's share of the gradient. Shapes as in
/// `concat_forward`.
template <class T>
void concat_backward(TensorView<T> dx, TensorView<const std::type_identity_t<T>> dy,
                     std::int64_t first) {
  detail::require_channels("concat_backward", dx.shape(), dy.shape(), first);
  detail::require_shape("concat_backward", "dx", dx, dx.shape());
  detail::require_shape("concat_backward", "dy", dy, dy.shape());
  const std::int64_t channels = dx.shape().back(), all = dy.shape().back();
  detail::for_each_row(channels == 0 ? 0 : dx.size() / channels, channels, [&](std::int64_t row) {
    T* const sum = dx.data() + row * channels;
    detail::map_span(
        channels, sum, [](T a, T b) { return a + b; }, sum, dy.data() + row * all + first);
  });
}

}  // namespace bitdial::inline BITDIAL_ABI::ops
