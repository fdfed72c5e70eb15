// SPDX-License-Identifier: Apache-2.0
// What containers take from the heap.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <bitdial/core/config.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Bytes that the elements of a vector take, without what the elements take in turn.
template <class T>
[[nodiscard]] std::size_t heap_bytes(const std::vector<T>& values) noexcept {
  return values.capacity() * sizeof(T);
}

/// Bytes that a text takes: none where it fits into the string itself.
[[nodiscard]] inline std::size_t heap_bytes(const std::string& text) noexcept {
  static const std::size_t inside = std::string{}.capacity();
  return text.capacity() > inside ? text.capacity() + 1 : 0;
}

}  // namespace bitdial::inline BITDIAL_ABI
