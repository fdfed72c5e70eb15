// SPDX-License-Identifier: Apache-2.0
// Text in pieces, independent of the locale: joined for error messages, taken apart for lists.
#pragma once

#include <charconv>
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>

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
    const auto number = [&] {  // integers of all sizes share one function
      if constexpr (std::signed_integral<T>) return static_cast<long long>(piece);
      if constexpr (std::unsigned_integral<T>) return static_cast<unsigned long long>(piece);
      if constexpr (!std::integral<T>) return piece;
    }();
    const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    out.append(digits, end);
  }
}

/// A piece without its type, so that all calls of `concat` share one loop: sentences about errors
/// are many, and code of their own for each would be a tenth of a small program.
struct TextPiece {
  const void* at = nullptr;
  void (*append)(std::string& out, const void* at) = nullptr;
};

inline void append_characters(std::string& out, const void* at) {
  out += static_cast<const char*>(at);
}
template <class T>
void append_value(std::string& out, const void* at) {
  append_piece(out, *static_cast<const T*>(at));
}

/// Lengths of arrays are no part of the type, or each would have a function of its own.
template <std::size_t Size>
[[nodiscard]] constexpr TextPiece text_piece(const char (&text)[Size]) noexcept {
  return {text, append_characters};
}
template <class T>
[[nodiscard]] constexpr TextPiece text_piece(const T& piece) noexcept {
  return {&piece, append_value<T>};
}

[[nodiscard, gnu::cold, gnu::noinline]] inline std::string join_pieces(const TextPiece* pieces,
                                                                       std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) pieces[i].append(out, pieces[i].at);
  return out;
}

}  // namespace detail

/// Joins the pieces: `concat("expected ", 3, " channels, x is ", shape)`.
template <class... Pieces>
[[nodiscard]] std::string concat(const Pieces&... pieces) {
  if constexpr (sizeof...(Pieces) == 0) {
    return {};
  } else {
    const detail::TextPiece parts[] = {detail::text_piece(pieces)...};
    return detail::join_pieces(parts, sizeof...(Pieces));
  }
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

/// `"'w4a4', 'w8a8,w2a4'"`: pieces that may hold commas themselves.
template <class Range>
[[nodiscard]] std::string join_quoted(const Range& pieces) {
  return pieces.empty() ? std::string{} : concat('\'', join(pieces, "', '"), '\'');
}

/// The text before the first `separator`, or all of it; `rest` loses that and the separator.
[[nodiscard]] inline std::string_view take_piece(std::string_view& rest, char separator) noexcept {
  const std::size_t end = rest.find(separator);
  const std::string_view piece = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return piece;
}

/// Reads `text`, all of which must be one number. Returns false, and leaves `value`, where it is
/// not, or does not fit.
template <class Number>
[[nodiscard]] bool parse_number(std::string_view text, Number& value) noexcept {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return false;
  value = number;
  return true;
}

}  // namespace bitdial::inline BITDIAL_ABI
