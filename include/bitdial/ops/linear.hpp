// SPDX-License-Identifier: Apache-2.0
// The fully connected layer, and its derivatives.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include <bitdial/core/parallel.hpp>
#include <bitdial/ops/detail/check.hpp>
#include <bitdial/ops/detail/elementwise.hpp>
#include <bitdial/ops/gemm.hpp>

namespace bitdial::inline BITDIAL_ABI::ops {

namespace detail {

/// Rows and columns of a product per parallel chunk.
inline constexpr std::int64_t linear_row_grain = 96;
inline constexpr std::int64_t linear_col_grain = 128;

template <class T>
[[nodiscard]] MatrixView<T> matrix(TensorView<T> view) noexcept {
  return {view.data(), view.extent(0), view.extent(1)};
}

/// Calls body(row, col, block) for blocks of y, which start at (row, col), over threads.
template <class T, class Body>
void for_each_linear_block(MatrixView<T> y, Body body) {
  const std::int64_t across = (y.cols + linear_col_grain - 1) / linear_col_grain;
  const std::int64_t down = (y.rows + linear_row_grain - 1) / linear_row_grain;
  parallel_for(down * across, 1, [&](std::int64_t item, std::int64_t) {
    const std::int64_t row = item / across * linear_row_grain;
    const std::int64_t col = item % across * linear_col_grain;
    body(row, col,
         y.block(row, col, std::min(linear_row_grain, y.rows - row),
                 std::min(linear_col_grain, y.cols - col)));
  });
}

inline void require_linear_shapes(const Shape& y, const Shape& x, const Shape& w) {
  if (x.rank() != 2 || w.rank() != 2 || x[1] != w[1]) {
    throw ShapeError(concat("linear: weight ", w, " must be [out, in] and x [N, in], x is ", x));
  }
  if (y != Shape{x[0], w[0]}) {
    throw ShapeError(concat("linear: y must be ", Shape{x[0], w[0]}, " for x ", x, ", it is ", y));
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
  detail::require_shape("linear", "x", x, x.shape());
  detail::require_shape("linear", "weight", w, w.shape());
  detail::require_shape("linear", "y", y, y.shape());
  detail::for_each_linear_block(
      detail::matrix(y), [&](std::int64_t row, std::int64_t col, MatrixView<T> block) {
        gemm<T>(detail::matrix(x).block(row, 0, block.rows, w.extent(1)),
                detail::matrix(w).block(col, 0, block.cols, w.extent(1)).transposed(), block);
        for (std::int64_t n = 0; n < block.rows && bias.data() != nullptr; ++n) {
          detail::map_span(
              block.cols, block.row(n), [](T a, T b) { return a + b; }, block.row(n),
              bias.data() + col);
        }
      });
}

/// dx += dy w.
template <class T>
void linear_backward_input(TensorView<T> dx, TensorView<const std::type_identity_t<T>> dy,
                           TensorView<const std::type_identity_t<T>> w) {
  detail::require_linear_shapes(dy.shape(), dx.shape(), w.shape());
  detail::require_shape("linear_backward_input", "dx", dx, dx.shape());
  detail::require_shape("linear_backward_input", "dy", dy, dy.shape());
  detail::require_shape("linear_backward_input", "weight", w, w.shape());
  detail::for_each_linear_block(detail::matrix(dx), [&](std::int64_t row, std::int64_t col,
                                                        MatrixView<T> block) {
    gemm<T>(detail::matrix(dy).block(row, 0, block.rows, w.extent(0)),
            detail::matrix(w).block(0, col, w.extent(0), block.cols), block, {.accumulate = true});
  });
}

/// dw += dy^T x.
template <class T>
void linear_backward_weight(TensorView<T> dw, TensorView<const std::type_identity_t<T>> dy,
                            TensorView<const std::type_identity_t<T>> x) {
  detail::require_linear_shapes(dy.shape(), x.shape(), dw.shape());
  detail::require_shape("linear_backward_weight", "dw", dw, dw.shape());
  detail::require_shape("linear_backward_weight", "dy", dy, dy.shape());
  detail::require_shape("linear_backward_weight", "x", x, x.shape());
  parallel_for(dw.extent(0), detail::linear_row_grain, [&](std::int64_t begin, std::int64_t end) {
    gemm<T>(detail::matrix(dy).transposed().block(begin, 0, end - begin, dy.extent(0)),
            detail::matrix(x), detail::matrix(dw).block(begin, 0, end - begin, dw.extent(1)),
            {.accumulate = true});
  });
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
