// SPDX-License-Identifier: Apache-2.0
// Where the bits of a packed matrix of codes lie: the two storage layouts and plain packing loops.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <bitdial/core/assert.hpp>
#include <bitdial/core/config.hpp>
#include <bitdial/core/rounding.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Rows of packed codes start on multiples of 64 bytes; what fills them up is zero.
inline constexpr std::int64_t row_alignment = 64;

/// The bytes of `bits` bits, rounded up to whole aligned rows.
[[nodiscard]] constexpr std::int64_t padded_row_bytes(std::int64_t bits) noexcept {
  return round_up((bits + 7) / 8, row_alignment);
}

/// Codes one after another, little-endian: bit b of the code at column c of a row is bit
/// c * bits + b of the row, and bit i of a row is bit i % 8 of its byte i / 8. Serves byte kernels.
///
///     2 bits, codes 1 2 3 0 | 2 ...  ->  byte 0 = 0b00'11'10'01, byte 1 = 0b......10
struct Interleaved {
  static constexpr std::string_view name = "interleaved";
  /// No prefix of the bytes is the matrix at fewer bits.
  static constexpr bool has_plane_prefixes = false;

  std::int64_t rows = 0;
  std::int64_t cols = 0;
  int bits = 1;

  /// Distance of two rows in bytes.
  [[nodiscard]] constexpr std::int64_t row_bytes() const noexcept {
    return padded_row_bytes(cols * bits);
  }
  [[nodiscard]] constexpr std::int64_t bytes() const noexcept { return rows * row_bytes(); }

  /// Position of bit `bit` (0 = least significant) of the code at (row, col), in bits from the
  /// start.
  [[nodiscard]] constexpr std::int64_t bit_offset(std::int64_t row, std::int64_t col,
                                                  int bit) const noexcept {
    BITDIAL_ASSERT(row >= 0 && row < rows && col >= 0 && col < cols && bit >= 0 && bit < bits);
    return row * row_bytes() * 8 + col * bits + bit;
  }

  friend constexpr bool operator==(const Interleaved&, const Interleaved&) = default;
};

/// One bit matrix per bit of the code, the most significant first: plane p holds bit
/// bits - 1 - p of every code, row after row, column c in bit c % 8 of byte c / 8 of the row.
///
/// The first k planes are the matrix of the codes' top k bits: a contiguous prefix, so one stored
/// 8-bit matrix of a nested policy serves every width. Serves popcount kernels.
struct BitPlanes {
  static constexpr std::string_view name = "bit planes";
  static constexpr bool has_plane_prefixes = true;

  std::int64_t rows = 0;
  std::int64_t cols = 0;
  int bits = 1;

  /// Distance of two rows of one plane in bytes.
  [[nodiscard]] constexpr std::int64_t row_bytes() const noexcept { return padded_row_bytes(cols); }
  [[nodiscard]] constexpr std::int64_t plane_bytes() const noexcept { return rows * row_bytes(); }
  [[nodiscard]] constexpr std::int64_t bytes() const noexcept { return bits * plane_bytes(); }

  /// Position of bit `bit` (0 = least significant) of the code at (row, col), in bits from the
  /// start.
  [[nodiscard]] constexpr std::int64_t bit_offset(std::int64_t row, std::int64_t col,
                                                  int bit) const noexcept {
    BITDIAL_ASSERT(row >= 0 && row < rows && col >= 0 && col < cols && bit >= 0 && bit < bits);
    const std::int64_t plane = bits - 1 - bit;
    return (plane * plane_bytes() + row * row_bytes()) * 8 + col;
  }

  /// The layout of the first `fewer` planes: the same rows and columns at fewer bits.
  [[nodiscard]] constexpr BitPlanes prefix(int fewer) const noexcept {
    BITDIAL_ASSERT(fewer >= 1 && fewer <= bits);
    return {rows, cols, fewer};
  }

  friend constexpr bool operator==(const BitPlanes&, const BitPlanes&) = default;
};

/// A bijection from (row, col, bit) into the bits of `bytes()` bytes; what it does not reach is
/// padding. A value type with the extents inside, as an mdspan mapping.
template <class L>
concept BitLayout = std::regular<L> && requires(const L layout, std::int64_t i, int bit) {
  { L::name } -> std::convertible_to<std::string_view>;
  { L::has_plane_prefixes } -> std::convertible_to<bool>;
  L{i, i, bit};
  { layout.rows } -> std::convertible_to<std::int64_t>;
  { layout.cols } -> std::convertible_to<std::int64_t>;
  { layout.bits } -> std::convertible_to<int>;
  { layout.row_bytes() }
  noexcept->std::same_as<std::int64_t>;
  { layout.bytes() }
  noexcept->std::same_as<std::int64_t>;
  { layout.bit_offset(i, i, bit) }
  noexcept->std::same_as<std::int64_t>;
};

/// The code at (row, col) of packed bytes.
template <BitLayout L>
[[nodiscard]] constexpr std::uint8_t code_at(const L& layout, std::span<const std::uint8_t> packed,
                                             std::int64_t row, std::int64_t col) noexcept {
  unsigned code = 0;
  for (int bit = 0; bit < layout.bits; ++bit) {
    const auto offset = static_cast<std::uint64_t>(layout.bit_offset(row, col, bit));
    code |= ((packed[offset / 8] >> (offset % 8)) & 1U) << bit;
  }
  return static_cast<std::uint8_t>(code);
}

/// Packs rows * cols codes, row-major, one per byte, into `layout.bytes()` bytes. Padding becomes
/// zero. Codes must be below 2^bits.
template <BitLayout L>
constexpr void pack_codes(const L& layout, std::span<const std::uint8_t> codes,
                          std::span<std::uint8_t> packed) noexcept {
  BITDIAL_ASSERT(static_cast<std::int64_t>(codes.size()) == layout.rows * layout.cols);
  BITDIAL_ASSERT(static_cast<std::int64_t>(packed.size()) == layout.bytes());
  std::ranges::fill(packed, std::uint8_t{0});
  const std::uint8_t* code = codes.data();
  for (std::int64_t row = 0; row < layout.rows; ++row) {
    for (std::int64_t col = 0; col < layout.cols; ++col, ++code) {
      BITDIAL_ASSERT((*code >> layout.bits) == 0);
      for (int bit = 0; bit < layout.bits; ++bit) {
        const auto offset = static_cast<std::uint64_t>(layout.bit_offset(row, col, bit));
        const unsigned value = (static_cast<unsigned>(*code) >> bit) & 1U;
        std::uint8_t& byte = packed[offset / 8];
        byte = static_cast<std::uint8_t>(byte | (value << (offset % 8)));
      }
    }
  }
}

/// The inverse of `pack_codes`.
template <BitLayout L>
constexpr void unpack_codes(const L& layout, std::span<const std::uint8_t> packed,
                            std::span<std::uint8_t> codes) noexcept {
  BITDIAL_ASSERT(static_cast<std::int64_t>(codes.size()) == layout.rows * layout.cols);
  BITDIAL_ASSERT(static_cast<std::int64_t>(packed.size()) == layout.bytes());
  std::uint8_t* code = codes.data();
  for (std::int64_t row = 0; row < layout.rows; ++row) {
    for (std::int64_t col = 0; col < layout.cols; ++col)
      *code++ = code_at(layout, packed, row, col);
  }
}

}  // namespace bitdial::inline BITDIAL_ABI
