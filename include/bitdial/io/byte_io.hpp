// SPDX-License-Identifier: Apache-2.0
// Numbers and text to little-endian bytes and back, on any host; reading never leaves its bytes.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <bitdial/core/text.hpp>

namespace bitdial::inline BITDIAL_ABI::io {

/// Appends to a byte vector: integers and IEEE floats little-endian, text as u32 length and bytes.
class ByteWriter {
 public:
  /// An integer, its full width.
  template <std::integral T>
  void put(T value) {
    const auto bits = static_cast<std::make_unsigned_t<T>>(value);
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      bytes_.push_back(static_cast<std::byte>((bits >> (8 * i)) & 0xFFU));
    }
  }
  void put(float value) { put(std::bit_cast<std::uint32_t>(value)); }
  void put(double value) { put(std::bit_cast<std::uint64_t>(value)); }

  void put_text(std::string_view text) {
    put(static_cast<std::uint32_t>(text.size()));
    put_bytes(std::as_bytes(std::span{text.data(), text.size()}));
  }
  void put_bytes(std::span<const std::byte> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  /// u32 count, then the elements.
  template <class T>
  void put_array(std::span<const T> values) {
    put(static_cast<std::uint32_t>(values.size()));
    for (const T value : values) put(value);
  }
  /// Zero bytes up to the next multiple of `alignment`.
  void align(std::size_t alignment) {
    bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment);
  }

  [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::vector<std::byte> take() noexcept { return std::exchange(bytes_, {}); }

 private:
  std::vector<std::byte> bytes_;
};

/// Reads what `ByteWriter` wrote, from bytes that may be hostile.
///
/// The first failure sticks: every later read returns zero or nothing, so a parser may read a whole
/// record and ask `failed()` once. `fail(...)` lets the parser add its own reasons. A count is
/// accepted only when the bytes that are left can hold its elements, so that no allocation exceeds
/// the size of the input by more than a constant factor.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) noexcept : bytes_{bytes} {}

  template <class T>
  requires std::integral<T> || std::floating_point<T>
  [[nodiscard]] T get() {
    if constexpr (std::same_as<T, float>) {
      return std::bit_cast<float>(get<std::uint32_t>());
    } else if constexpr (std::same_as<T, double>) {
      return std::bit_cast<double>(get<std::uint64_t>());
    } else {
      const std::span<const std::byte> raw = get_bytes(sizeof(T));
      std::uint64_t bits = 0;
      for (std::size_t i = 0; i < raw.size(); ++i) {
        bits |= static_cast<std::uint64_t>(raw[i]) << (8 * i);
      }
      return static_cast<T>(bits);
    }
  }

  /// The next `count` bytes, in place; empty after a failure.
  [[nodiscard]] std::span<const std::byte> get_bytes(std::size_t count) {
    if (failed()) return {};
    if (count > remaining()) {
      fail(concat("ends early: needs ", count, " bytes at offset ", offset_, ", ", remaining(),
                  " are left"));
      return {};
    }
    offset_ += count;
    return bytes_.subspan(offset_ - count, count);
  }

  [[nodiscard]] std::string get_text() {
    const std::span<const std::byte> raw = get_bytes(get_count(1));
    return {reinterpret_cast<const char*>(raw.data()), raw.size()};
  }

  /// A u32 count of elements that take at least `element_bytes` each.
  [[nodiscard]] std::size_t get_count(std::size_t element_bytes) {
    const std::size_t at = offset_;
    const auto count = static_cast<std::size_t>(get<std::uint32_t>());
    if (failed()) return 0;
    if (count > remaining() / element_bytes) {
      fail(concat("ends early: announces ", count, " elements of at least ", element_bytes,
                  " bytes at offset ", at, ", ", remaining(), " bytes are left"));
      return 0;
    }
    return count;
  }

  template <class T>
  [[nodiscard]] std::vector<T> get_array() {
    std::vector<T> values(get_count(sizeof(T)));
    for (T& value : values) value = get<T>();
    return values;
  }

  /// Records a reason, if it is the first, and stops reading.
  void fail(std::string reason) {
    if (failed()) return;
    error_ = std::move(reason);
  }
  [[nodiscard]] bool failed() const noexcept { return !error_.empty(); }
  /// The first reason; empty while all is well.
  [[nodiscard]] const std::string& error() const noexcept { return error_; }

  [[nodiscard]] std::size_t offset() const noexcept { return offset_; }
  [[nodiscard]] std::size_t remaining() const noexcept { return bytes_.size() - offset_; }

 private:
  std::span<const std::byte> bytes_;
  std::size_t offset_ = 0;
  std::string error_;
};

}  // namespace bitdial::inline BITDIAL_ABI::io
