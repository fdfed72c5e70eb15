// SPDX-License-Identifier: Apache-2.0
// A strided window on a matrix in memory: pointer, extents, strides; owns nothing.
#pragma once

#include <cstdint>
#include <type_traits>

#include <bitdial/core/assert.hpp>

namespace bitdial::inline BITDIAL_ABI::ops {

/// Element (i, j) is data[i * row_stride + j * col_stride]; strides count elements.
template <class T>
struct MatrixView {
  T* data = nullptr;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t row_stride = 0;
  std::int64_t col_stride = 1;

  constexpr MatrixView() = default;

  /// A row-major matrix without gaps.
  constexpr MatrixView(T* data_, std::int64_t rows_, std::int64_t cols_) noexcept
      : MatrixView(data_, rows_, cols_, cols_, 1) {}

  constexpr MatrixView(T* data_, std::int64_t rows_, std::int64_t cols_, std::int64_t row_stride_,
                       std::int64_t col_stride_ = 1) noexcept
      : data{data_}, rows{rows_}, cols{cols_}, row_stride{row_stride_}, col_stride{col_stride_} {}

  /// A view that may not write.
  constexpr operator MatrixView<const T>() const noexcept requires(!std::is_const_v<T>) {
    return {data, rows, cols, row_stride, col_stride};
  }

  [[nodiscard]] constexpr T& operator()(std::int64_t i, std::int64_t j) const noexcept {
    BITDIAL_ASSERT(i >= 0 && i < rows && j >= 0 && j < cols);
    return data[i * row_stride + j * col_stride];
  }

  /// The start of row i.
  [[nodiscard]] constexpr T* row(std::int64_t i) const noexcept { return data + i * row_stride; }

  /// The same memory with rows and columns exchanged.
  [[nodiscard]] constexpr MatrixView transposed() const noexcept {
    return {data, cols, rows, col_stride, row_stride};
  }

  /// The block of `block_rows` x `block_cols` that starts at (row0, col0).
  [[nodiscard]] constexpr MatrixView block(std::int64_t row0, std::int64_t col0,
                                           std::int64_t block_rows,
                                           std::int64_t block_cols) const noexcept {
    BITDIAL_ASSERT(row0 >= 0 && block_rows >= 0 && row0 + block_rows <= rows);
    BITDIAL_ASSERT(col0 >= 0 && block_cols >= 0 && col0 + block_cols <= cols);
    return {data + row0 * row_stride + col0 * col_stride, block_rows, block_cols, row_stride,
            col_stride};
  }
};

}  // namespace bitdial::inline BITDIAL_ABI::ops
