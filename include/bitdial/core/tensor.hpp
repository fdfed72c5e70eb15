// SPDX-License-Identifier: Apache-2.0
// A tensor that owns its elements: contiguous, 64-byte aligned, a value like std::vector.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <bitdial/core/aligned_buffer.hpp>
#include <bitdial/core/error.hpp>
#include <bitdial/core/tensor_view.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Owned, contiguous elements with a shape; zero after construction. Copies are deep.
///
/// Throws `ShapeError` for negative extents, for more bytes than can be addressed, and when a
/// reshape changes the number of elements.
template <class T>
class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(const Shape& shape) : shape_{shape}, buffer_(elements(shape)) {}
  /// The elements hold anything: for results that are written whole before they are read.
  Tensor(const Shape& shape, Uninitialized tag) : shape_{shape}, buffer_(elements(shape), tag) {}
  Tensor(const Shape& shape, T value) : Tensor(shape, Uninitialized{}) { fill(value); }

  [[nodiscard]] const Shape& shape() const noexcept { return shape_; }
  [[nodiscard]] std::int64_t extent(int axis) const noexcept { return shape_[axis]; }
  [[nodiscard]] std::int64_t size() const noexcept {
    return static_cast<std::int64_t>(buffer_.size());
  }
  [[nodiscard]] bool empty() const noexcept { return buffer_.size() == 0; }

  [[nodiscard]] T* data() noexcept { return buffer_.data(); }
  [[nodiscard]] const T* data() const noexcept { return buffer_.data(); }
  [[nodiscard]] std::span<T> span() noexcept { return buffer_.span(); }
  [[nodiscard]] std::span<const T> span() const noexcept { return buffer_.span(); }
  [[nodiscard]] T& operator[](std::int64_t i) noexcept {
    return buffer_[static_cast<std::size_t>(i)];
  }
  [[nodiscard]] const T& operator[](std::int64_t i) const noexcept {
    return buffer_[static_cast<std::size_t>(i)];
  }

  [[nodiscard]] TensorView<T> view() noexcept { return {data(), shape_}; }
  [[nodiscard]] TensorView<const T> view() const noexcept { return {data(), shape_}; }
  [[nodiscard]] TensorView<const T> cview() const noexcept { return {data(), shape_}; }

  void fill(T value) noexcept {
    for (T& element : span()) element = value;
  }

  /// Another shape over the same elements.
  void reshape(const Shape& shape) {
    if (elements(shape) != buffer_.size()) {
      throw ShapeError(concat("reshape: ", shape_, " has ", size(), " elements, ", shape, " has ",
                              shape.size()));
    }
    shape_ = shape;
  }

 private:
  static constexpr std::int64_t max_size = PTRDIFF_MAX / std::int64_t{sizeof(T)};

  /// The size of the buffer for a shape that may be nonsense.
  [[nodiscard]] static std::size_t elements(const Shape& shape) {
    const std::int64_t count = shape.checked_size(max_size);
    if (count >= 0) return static_cast<std::size_t>(count);
    for (const std::int64_t extent : shape) {
      if (extent < 0) throw ShapeError(concat("tensor: negative extent in shape ", shape));
    }
    throw ShapeError(concat("tensor: shape ", shape, " has more than ", max_size, " elements of ",
                            sizeof(T), " bytes"));
  }

  Shape shape_{0};
  AlignedBuffer<T, CachedBlocks> buffer_;
};

}  // namespace bitdial::inline BITDIAL_ABI
