// SPDX-License-Identifier: Apache-2.0
// A non-owning look at a tensor: pointer, shape, strides.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include <bitdial/core/shape.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Pointer, extents and strides (in elements); trivially copyable, pass it by value.
///
/// A view built from a pointer and a shape is contiguous, last axis fastest. `TensorView<T>`
/// converts to `TensorView<const T>`.
template <class T>
class TensorView {
 public:
  constexpr TensorView() = default;
  constexpr TensorView(T* data, const Shape& shape) noexcept : data_{data}, shape_{shape} {
    std::int64_t stride = 1;
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      strides_[static_cast<std::size_t>(axis)] = stride;
      stride *= shape[axis];
    }
  }
  constexpr TensorView(T* data, const Shape& shape,
                       const std::array<std::int64_t, Shape::max_rank>& strides) noexcept
      : data_{data}, shape_{shape}, strides_{strides} {}

  constexpr operator TensorView<const T>() const noexcept requires(!std::is_const_v<T>) {
    return {data_, shape_, strides_};
  }

  [[nodiscard]] constexpr T* data() const noexcept { return data_; }
  [[nodiscard]] constexpr const Shape& shape() const noexcept { return shape_; }
  [[nodiscard]] constexpr std::int64_t extent(int axis) const noexcept { return shape_[axis]; }
  [[nodiscard]] constexpr std::int64_t stride(int axis) const noexcept {
    return strides_[static_cast<std::size_t>(axis)];
  }
  [[nodiscard]] constexpr std::int64_t size() const noexcept { return shape_.size(); }

  [[nodiscard]] constexpr bool is_contiguous() const noexcept {
    std::int64_t expected = 1;
    for (int axis = shape_.rank() - 1; axis >= 0; --axis) {
      if (shape_[axis] != 1 && stride(axis) != expected) return false;
      expected *= shape_[axis];
    }
    return true;
  }

  /// All elements in memory order; the view must be contiguous.
  [[nodiscard]] constexpr std::span<T> span() const noexcept {
    BITDIAL_ASSERT(is_contiguous());
    return {data_, static_cast<std::size_t>(size())};
  }

  /// The element at the given coordinates, one per axis.
  template <class... Index>
  [[nodiscard]] constexpr T& operator()(Index... index) const noexcept {
    BITDIAL_ASSERT(static_cast<int>(sizeof...(index)) == shape_.rank());
    std::int64_t offset = 0;
    std::size_t axis = 0;
    ((offset += static_cast<std::int64_t>(index) * strides_[axis++]), ...);
    return data_[offset];
  }

  /// The sub-tensors `begin .. end - 1` along the first axis.
  [[nodiscard]] constexpr TensorView slice(std::int64_t begin, std::int64_t end) const noexcept {
    BITDIAL_ASSERT(begin >= 0 && begin <= end && end <= shape_[0]);
    return {data_ + begin * strides_[0], shape_.with(0, end - begin), strides_};
  }

 private:
  T* data_ = nullptr;
  Shape shape_;
  std::array<std::int64_t, Shape::max_rank> strides_{};
};

}  // namespace bitdial::inline BITDIAL_ABI
