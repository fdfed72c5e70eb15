// SPDX-License-Identifier: Apache-2.0
// Convolution in groups: channels are split, every group of outputs sees one group of inputs.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include <bitdial/core/parallel.hpp>
#include <bitdial/core/tensor.hpp>
#include <bitdial/ops/conv2d.hpp>
#include <bitdial/ops/depthwise_conv2d.hpp>

namespace bitdial::inline BITDIAL_ABI::ops {

/// The output shape `[N, OH, OW, Cout]` of a convolution of x `[N, H, W, Cin]` with w
/// `[Cout, kh, kw, Cin / groups]`; throws `ShapeError` when they do not fit together.
[[nodiscard]] inline Shape grouped_conv2d_output_shape(const Shape& x, const Shape& w,
                                                       const Window& window, std::int64_t groups) {
  if (groups == 1) return conv2d_output_shape(x, w, window);
  if (x.rank() != 4 || w.rank() != 4) {
    throw ShapeError(concat("grouped_conv2d: x must be [N, H, W, Cin] and weight [Cout, kh, kw, ",
                            "Cin / groups], they are ", x, " and ", w));
  }
  if (groups < 1 || x[3] != w[3] * groups || w[0] % groups != 0) {
    throw ShapeError(concat("grouped_conv2d: weight ", w, " in ", groups, " groups expects ",
                            w[3] * groups, " input channels and output channels in ", groups,
                            " equal groups, x is ", x));
  }
  return conv2d_output_shape({x[0], x[1], x[2], w[3]}, w, window);
}

/// True for one input and one output channel per group, the case with kernels of its own.
[[nodiscard]] inline bool is_depthwise(const Shape& w, std::int64_t groups) noexcept {
  return groups > 1 && w[0] == groups && w[3] == 1;
}

namespace detail {

/// Columns first .. first + count - 1 of a channels-last tensor, as a tensor of their own.
template <class T>
[[nodiscard]] Tensor<T> channel_slice(TensorView<const T> x, std::int64_t first,
                                      std::int64_t count) {
  Tensor<T> slice(x.shape().with(3, count), Uninitialized{});
  const std::int64_t channels = x.extent(3);
  for_each_row(x.size() / channels, count, [&](std::int64_t row) {
    std::copy_n(x.data() + row * channels + first, count, slice.data() + row * count);
  });
  return slice;
}

/// Writes a slice back, or adds it.
template <class T, class F>
void merge_slice(TensorView<T> x, const Tensor<T>& slice, std::int64_t first, F f) {
  const std::int64_t channels = x.extent(3);
  const std::int64_t count = slice.extent(3);
  for_each_row(x.size() / channels, count, [&](std::int64_t row) {
    T* const to = x.data() + row * channels + first;
    map_span(count, to, f, to, slice.data() + row * count);
  });
}

/// The filters of one group, which are neighbours.
template <class T>
[[nodiscard]] TensorView<T> group_filters(TensorView<T> w, std::int64_t group,
                                          std::int64_t groups) {
  return {w.data() + group * (w.size() / groups), w.shape().with(0, w.extent(0) / groups)};
}

}  // namespace detail

/// y[.., group g] = conv2d(x[.., group g], w[group g]) for groups of neighbouring channels.
///
/// Shapes: x [N, H, W, Cin], w [Cout, kh, kw, Cin / groups], y as `grouped_conv2d_output_shape`.
/// One group is `conv2d_forward`; Cin = Cout = groups is `depthwise_conv2d_forward`; other numbers
/// of groups are convolved one after the other on copies of their channels.
template <class T>
void grouped_conv2d_forward(TensorView<T> y, TensorView<const std::type_identity_t<T>> x,
                            TensorView<const std::type_identity_t<T>> w, const Window& window,
                            std::int64_t groups) {
  if (groups == 1) return conv2d_forward(y, x, w, window);
  const Shape expected = grouped_conv2d_output_shape(x.shape(), w.shape(), window, groups);
  if (is_depthwise(w.shape(), groups)) return depthwise_conv2d_forward(y, x, w, window);
  detail::require_shape("grouped_conv2d", "y", y, expected);
  detail::require_shape("grouped_conv2d", "x", x, x.shape());
  detail::require_shape("grouped_conv2d", "weight", w, w.shape());
  const std::int64_t in = w.extent(3);
  const std::int64_t out = w.extent(0) / groups;
  Tensor<T> slice(expected.with(3, out), Uninitialized{});
  for (std::int64_t group = 0; group < groups; ++group) {
    conv2d_forward(slice.view(), detail::channel_slice<T>(x, group * in, in).view(),
                   detail::group_filters(w, group, groups), window);
    detail::merge_slice(y, slice, group * out, [](T, T sum) { return sum; });
  }
}

/// `conv2d_backward_input` of every group.
template <class T>
void grouped_conv2d_backward_input(TensorView<T> dx, TensorView<const std::type_identity_t<T>> dy,
                                   TensorView<const std::type_identity_t<T>> w,
                                   const Window& window, std::int64_t groups,
                                   GradientOptions options = {}) {
  if (groups == 1) return conv2d_backward_input(dx, dy, w, window, options);
  const Shape expected = grouped_conv2d_output_shape(dx.shape(), w.shape(), window, groups);
  if (is_depthwise(w.shape(), groups)) {
    return depthwise_conv2d_backward_input(dx, dy, w, window, options);
  }
  detail::require_shape("grouped_conv2d_backward_input", "dy", dy, expected);
  detail::require_shape("grouped_conv2d_backward_input", "dx", dx, dx.shape());
  const std::int64_t in = w.extent(3);
  const std::int64_t out = w.extent(0) / groups;
  for (std::int64_t group = 0; group < groups; ++group) {
    Tensor<T> slice(dx.shape().with(3, in), Uninitialized{});
    conv2d_backward_input(slice.view(), detail::channel_slice<T>(dy, group * out, out).view(),
                          detail::group_filters(w, group, groups), window,
                          {.accumulate = false, .products = options.products});
    detail::merge_slice(dx, slice, group * in,
                        [adds = options.accumulate](T a, T b) { return adds ? a + b : b; });
  }
}

/// `conv2d_backward_weight` of every group; products of depthwise convolutions are f32.
template <class T>
void grouped_conv2d_backward_weight(TensorView<T> dw, TensorView<const std::type_identity_t<T>> dy,
                                    TensorView<const std::type_identity_t<T>> x,
                                    const Window& window, std::int64_t groups,
                                    Products products = Products::f32) {
  if (groups == 1) return conv2d_backward_weight(dw, dy, x, window, products);
  const Shape expected = grouped_conv2d_output_shape(x.shape(), dw.shape(), window, groups);
  if (is_depthwise(dw.shape(), groups)) return depthwise_conv2d_backward_weight(dw, dy, x, window);
  detail::require_shape("grouped_conv2d_backward_weight", "dy", dy, expected);
  detail::require_shape("grouped_conv2d_backward_weight", "dw", dw, dw.shape());
  const std::int64_t in = dw.extent(3);
  const std::int64_t out = dw.extent(0) / groups;
  for (std::int64_t group = 0; group < groups; ++group) {
    conv2d_backward_weight(detail::group_filters(dw, group, groups),
                           detail::channel_slice<T>(dy, group * out, out).view(),
                           detail::channel_slice<T>(x, group * in, in).view(), window, products);
  }
}

}  // namespace bitdial::inline BITDIAL_ABI::ops
