// SPDX-License-Identifier: Apache-2.0
// The shape checks that the public functions of ops share.
#pragma once

#include <string_view>

#include <bitdial/core/error.hpp>
#include <bitdial/core/shape.hpp>
#include <bitdial/core/tensor_view.hpp>
#include <bitdial/core/text.hpp>

namespace bitdial::inline BITDIAL_ABI::ops::detail {

/// Throws `ShapeError` "op: name must be [expected], it is [actual]" unless they are equal and the
/// view is contiguous.
template <class T>
void require_shape(std::string_view op, std::string_view name, const TensorView<T>& view,
                   const Shape& expected) {
  if (view.shape() != expected) {
    throw ShapeError(concat(op, ": ", name, " must be ", expected, ", it is ", view.shape()));
  }
  if (!view.is_contiguous()) {
    throw ShapeError(
        concat(op, ": ", name, " must be contiguous, ", view.shape(), " has other strides"));
  }
}

/// The same for a rank instead of a shape; `layout` is its text, such as "[N, H, W, C]".
template <class T>
void require_rank(std::string_view op, std::string_view name, const TensorView<T>& view, int rank,
                  std::string_view layout) {
  if (view.shape().rank() != rank) {
    throw ShapeError(concat(op, ": ", name, " must be ", layout, ", it is ", view.shape()));
  }
  require_shape(op, name, view, view.shape());
}

/// Rows times channels of a channels-last tensor.
struct Rows {
  std::int64_t rows = 0;
  std::int64_t channels = 0;
};

template <class T>
[[nodiscard]] Rows channels_last(std::string_view op, std::string_view name,
                                 const TensorView<T>& view) {
  if (view.shape().rank() < 1 || view.shape().back() < 1) {
    throw ShapeError(concat(op, ": ", name, " must be [..., C] with C >= 1, it is ", view.shape()));
  }
  require_shape(op, name, view, view.shape());
  return {view.size() / view.shape().back(), view.shape().back()};
}

}  // namespace bitdial::inline BITDIAL_ABI::ops::detail
