// SPDX-License-Identifier: Apache-2.0
// Owned memory that starts on a 64-byte boundary, whatever the compiler flags.
#pragma once

#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

#include <bitdial/core/block_cache.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Asks for memory with whatever it holds, for a caller that writes every element before it reads.
struct Uninitialized {};

/// `size` elements of a trivially copyable type, aligned to a cache line; zero unless constructed
/// with `Uninitialized`. `Blocks` provides the memory.
template <class T, class Blocks = HeapBlocks>
class AlignedBuffer {
  static_assert(std::is_trivially_copyable_v<T>,
                "bitdial: AlignedBuffer<T>: T must be trivially copyable.");

 public:
  static constexpr std::size_t alignment = HeapBlocks::alignment;

  AlignedBuffer() = default;
  explicit AlignedBuffer(std::size_t size) : AlignedBuffer(size, Uninitialized{}) {
    for (T& element : span()) element = T{};
  }
  AlignedBuffer(std::size_t size, Uninitialized) : data_{allocate(size)}, size_{size} {}
  AlignedBuffer(const AlignedBuffer& other) : data_{allocate(other.size_)}, size_{other.size_} {
    for (std::size_t i = 0; i < size_; ++i) data_[i] = other.data_[i];
  }
  AlignedBuffer(AlignedBuffer&& other) noexcept
      : data_{std::exchange(other.data_, nullptr)}, size_{std::exchange(other.size_, 0)} {}
  AlignedBuffer& operator=(AlignedBuffer other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~AlignedBuffer() {
    if (data_ != nullptr) Blocks::give(data_, size_ * sizeof(T));
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] T* data() noexcept { return data_; }
  [[nodiscard]] const T* data() const noexcept { return data_; }
  [[nodiscard]] T& operator[](std::size_t i) noexcept { return data_[i]; }
  [[nodiscard]] const T& operator[](std::size_t i) const noexcept { return data_[i]; }
  [[nodiscard]] std::span<T> span() noexcept { return {data_, size_}; }
  [[nodiscard]] std::span<const T> span() const noexcept { return {data_, size_}; }

 private:
  [[nodiscard]] static T* allocate(std::size_t size) {
    return size == 0 ? nullptr : static_cast<T*>(Blocks::take(size * sizeof(T)));
  }

  T* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace bitdial::inline BITDIAL_ABI
