// SPDX-License-Identifier: Apache-2.0
// Numbers and times as people read them, independent of the locale.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include <bitdial/core/text.hpp>

namespace bitdial::inline BITDIAL_ABI::train {

/// `fixed(91.2345, 2)` is `"91.23"`: `digits` places, 0 .. 20; `"nan"`, `"inf"` as such.
[[nodiscard]] inline std::string fixed(double value, int digits) {
  char text[400];  // the largest double has 309 digits before the point
  const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::fixed,
                                 std::clamp(digits, 0, 20))
                       .ptr;
  return {text, end};
}

/// A share in 0 .. 1 as `"91.23 %"`.
[[nodiscard]] inline std::string percent(double share, int digits) {
  return fixed(100.0 * share, digits) + " %";
}

/// `grouped(1234567)` is `"1,234,567"`.
[[nodiscard]] inline std::string grouped(std::int64_t value) {
  std::string text = concat(value);
  const std::size_t sign = value < 0 ? 1 : 0;
  for (std::size_t at = text.size(); at > 3 + sign; at -= 3) text.insert(at - 3, 1, ',');
  return text;
}

/// Seconds as `"4.2 s"`, `"1:02"` (from one minute on) or `"1:01:05"`; `"-"` where unknown (NaN,
/// infinite or negative).
[[nodiscard]] inline std::string duration(double seconds) {
  if (!(seconds >= 0.0) || seconds > 1e9) return "-";
  if (seconds < 59.95) return fixed(seconds, 1) + " s";
  const std::int64_t total = std::llround(seconds);
  const auto two = [](std::int64_t n) { return (n < 10 ? "0" : "") + concat(n); };
  const std::string tail = two(total % 60);
  if (total < 3600) return concat(total / 60, ":", tail);
  return concat(total / 3600, ":", two(total / 60 % 60), ":", tail);
}

/// The number of characters of UTF-8 text, each one column wide; combining and double-width
/// characters are not looked up.
[[nodiscard]] inline int display_width(std::string_view text) noexcept {
  return static_cast<int>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

}  // namespace bitdial::inline BITDIAL_ABI::train
