// SPDX-License-Identifier: Apache-2.0
// Tensors as Eigen expressions and back, without copying where Eigen allows it. Needs Eigen 3.4 or
// newer; no other header of bitdial includes this one.
#pragma once

#include <cstdint>
#include <type_traits>

#include <Eigen/Core>
#include <bitdial/core/error.hpp>
#include <bitdial/core/tensor.hpp>
#include <bitdial/core/tensor_view.hpp>
#include <bitdial/core/text.hpp>

namespace bitdial::inline BITDIAL_ABI::interop {

namespace detail {

template <class T, int Rows, int Columns>
using RowMajor = Eigen::Matrix<std::remove_const_t<T>, Rows, Columns,
                               Columns == 1 ? Eigen::ColMajor : Eigen::RowMajor>;

// Eigen::Map takes a const matrix type for memory that it must not write.
template <class T, class Matrix>
using MapOf = Eigen::Map<std::conditional_t<std::is_const_v<T>, const Matrix, Matrix>, 0,
                         Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>>;

template <class T>
void require_rank(const TensorView<T>& x, int rank, const char* name) {
  if (x.shape().rank() != rank) {
    throw ShapeError(concat("interop::", name, ": expects rank ", rank, ", x is ", x.shape()));
  }
}

}  // namespace detail

/// A matrix of Eigen over the memory of `x` [rows, columns], whatever its strides; no copy.
///
/// The view must outlive the map. Throws `ShapeError` unless the rank is 2.
template <class T>
[[nodiscard]] auto as_matrix(TensorView<T> x) {
  using Map = detail::MapOf<T, detail::RowMajor<T, Eigen::Dynamic, Eigen::Dynamic>>;
  detail::require_rank(x, 2, "as_matrix");
  return Map(x.data(), x.extent(0), x.extent(1), {x.stride(0), x.stride(1)});
}

/// A column vector of Eigen over the memory of `x` [n]; no copy. Throws `ShapeError` unless the
/// rank is 1.
template <class T>
[[nodiscard]] auto as_vector(TensorView<T> x) {
  using Map = detail::MapOf<T, detail::RowMajor<T, Eigen::Dynamic, 1>>;
  detail::require_rank(x, 1, "as_vector");
  return Map(x.data(), x.extent(0), 1, {0, x.stride(0)});
}

/// All but the last axis as rows, the last axis as columns: activations `[N, H, W, C]` become
/// N*H*W pixels of C channels. No copy. Throws `ShapeError` for rank 0 or a view with gaps.
template <class T>
[[nodiscard]] auto as_rows(TensorView<T> x) {
  if (x.shape().rank() == 0 || !x.is_contiguous()) {
    throw ShapeError(concat("interop::as_rows: expects a contiguous view of rank 1 or more, x is ",
                            x.shape(), x.is_contiguous() ? "" : " with gaps"));
  }
  std::int64_t rows = 1;
  for (int axis = 0; axis + 1 < x.shape().rank(); ++axis) rows *= x.extent(axis);
  return as_matrix(TensorView<T>(x.data(), Shape{rows, x.shape().back()}));
}

/// A copy of a matrix or matrix expression as a tensor [rows, columns].
template <class Derived>
[[nodiscard]] Tensor<typename Derived::Scalar> to_tensor(const Eigen::MatrixBase<Derived>& x) {
  Tensor<typename Derived::Scalar> copy(
      Shape{static_cast<std::int64_t>(x.rows()), static_cast<std::int64_t>(x.cols())});
  as_matrix(copy.view()) = x;
  return copy;
}

}  // namespace bitdial::inline BITDIAL_ABI::interop
