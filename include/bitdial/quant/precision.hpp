// SPDX-License-Identifier: Apache-2.0
// The precision of one quantized layer: weight bits and activation bits, written `w2a4`.
#pragma once

#include <compare>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <bitdial/core/config.hpp>
#include <bitdial/core/result.hpp>
#include <bitdial/core/text.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Codes have 1 to `max_code_bits` bits: one code fits in a byte.
inline constexpr int max_code_bits = 8;

/// The bit width that stands for "not quantized": the real-valued path of a quantizer.
inline constexpr int real_valued_bits = 32;

/// True for the widths of a code, 1..8.
[[nodiscard]] constexpr bool is_code_bits(int bits) noexcept {
  return bits >= 1 && bits <= max_code_bits;
}

/// True for 1..8 and for 32.
[[nodiscard]] constexpr bool is_precision_bits(int bits) noexcept {
  return is_code_bits(bits) || bits == real_valued_bits;
}

/// Weight bits `w` and activation bits `a` of one layer, each 1..8 or 32 (real-valued).
///
/// A plain value, ordered by (w, a): `Precision{.w = 2, .a = 4}`, text `w2a4`.
struct Precision {
  int w = real_valued_bits;
  int a = real_valued_bits;

  [[nodiscard]] constexpr bool valid() const noexcept {
    return is_precision_bits(w) && is_precision_bits(a);
  }

  /// `"w2a4"`; `parse` reads it back.
  [[nodiscard]] std::string text() const { return concat('w', w, 'a', a); }

  /// Reads `w2a4`: lower case, no spaces, no leading zeros. Fails with the text and what is legal.
  [[nodiscard]] static Result<Precision> parse(std::string_view text);

  friend constexpr auto operator<=>(const Precision&, const Precision&) = default;
};

namespace detail {

// The digits at the front of `text`, which is advanced past them; 0 where there are none, where
// they begin with a zero and where they are no legal width.
[[nodiscard]] constexpr int take_bits(std::string_view& text) noexcept {
  int bits = 0;
  std::size_t length = 0;
  while (length < text.size() && length < 3 && text[length] >= '0' && text[length] <= '9') {
    bits = bits * 10 + (text[length++] - '0');
  }
  const bool leading_zero = length > 0 && text[0] == '0';
  text.remove_prefix(length);
  return is_precision_bits(bits) && !leading_zero ? bits : 0;
}

[[nodiscard]] constexpr std::optional<Precision> parse_precision(std::string_view text) noexcept {
  if (!text.starts_with('w')) return std::nullopt;
  text.remove_prefix(1);
  const int w = take_bits(text);
  if (!text.starts_with('a')) return std::nullopt;
  text.remove_prefix(1);
  const int a = take_bits(text);
  if (w == 0 || a == 0 || !text.empty()) return std::nullopt;
  return Precision{w, a};
}

// Quotes a token of user input for an error text: long ones are cut, so that a foreign file does
// not end up whole in the message.
[[nodiscard]] inline std::string quoted(std::string_view token) {
  constexpr std::size_t longest = 40;
  if (token.size() <= longest) return concat('"', token, '"');
  return concat('"', token.substr(0, longest), "...\"");
}

[[nodiscard]] inline std::string precision_expected(std::string_view token) {
  return concat("expected a precision such as w2a4 (bits 1..8 or 32), got ", quoted(token));
}

// Not constexpr on purpose: a `PrecisionLiteral` that is no precision calls it, and the compiler
// reports its name.
inline void a_precision_literal_must_look_like_w2a4_with_bits_1_to_8_or_32() noexcept {}

}  // namespace detail

inline Result<Precision> Precision::parse(std::string_view text) {
  if (const auto parsed = detail::parse_precision(text)) return *parsed;
  return Failure{concat("precision: ", detail::precision_expected(text))};
}

/// A string literal that is checked by the compiler: lets an interface accept `"w2a4"` without a
/// run-time error path. Text that is known only at run time goes through `Precision::parse`.
struct PrecisionLiteral {
  Precision value;

  consteval PrecisionLiteral(const char* text) {
    const auto parsed = detail::parse_precision(text);
    if (!parsed) detail::a_precision_literal_must_look_like_w2a4_with_bits_1_to_8_or_32();
    value = *parsed;
  }
};

}  // namespace bitdial::inline BITDIAL_ABI

template <>
struct std::hash<bitdial::Precision> {
  std::size_t operator()(const bitdial::Precision& precision) const noexcept {
    return std::hash<int>{}(precision.w * 64 + precision.a);
  }
};
