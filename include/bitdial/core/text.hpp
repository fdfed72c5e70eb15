// SPDX-License-Identifier: Apache-2.0
// Text for error messages: pieces in, one string out, independent of the locale.
#pragma once

#include <charconv>
#include <concepts>
#include <string>
#include <string_view>

#include <bitdial/core/config.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// A type that can tell its own text.
template <class T>
concept HasText = requires(const T& value) {
  { value.text() } -> std::convertible_to<std::string>;
};

namespace detail {

template <class T>
void append_piece(std::string& out, const T& piece) {
  if constexpr (std::convertible_to<const T&, std::string_view>) {
    out += std::string_view{piece};
  } else if constexpr (std::same_as<T, char>) {
    out += piece;
  } else if constexpr (std::same_as<T, bool>) {
    out += piece ? "true" : "false";
  } else if constexpr (HasText<T>) {
    out += piece.text();
  } else {
    static_assert(std::integral<T> || std::floating_point<T>,
                  "bitdial: concat: a piece must be text, a number, or have `text()`.");
    char digits[48];
    const auto end = std::to_chars(digits, digits + sizeof digits, piece).ptr;
    out.append(digits, end);
  }
}

}  // namespace detail

/// Joins the pieces: `concat("expected ", 3, " channels, x is ", shape)`.
template <class... Pieces>
[[nodiscard]] std::string concat(const Pieces&... pieces) {
  std::string out;
  (detail::append_piece(out, pieces), ...);
  return out;
}

/// `"8, 4, 2"` from any range of pieces.
template <class Range>
[[nodiscard]] std::string join(const Range& pieces, std::string_view separator = ", ") {
  std::string out;
  bool first = true;
  for (const auto& piece : pieces) {
    if (!first) out += separator;
    first = false;
    detail::append_piece(out, piece);
  }
  return out;
}

}  // namespace bitdial::inline BITDIAL_ABI
