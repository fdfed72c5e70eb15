// SPDX-License-Identifier: Apache-2.0
// Lines of comma-separated values as RFC 4180 has them: fields in quotes only where they need them.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <bitdial/core/config.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// The field that says `text`: in quotes, its own doubled, where it holds a comma, a quote or a
/// line end.
[[nodiscard]] inline std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string{text};
  std::string field = "\"";
  for (const char c : text) field += c == '"' ? std::string{"\"\""} : std::string{c};
  return field + "\"";
}

/// What the fields of `line` say; none where a quote is not closed or stands inside a field that
/// does not begin with one. `line` has no line end.
[[nodiscard]] inline std::optional<std::vector<std::string>> csv_fields(std::string_view line) {
  std::vector<std::string> fields(1);
  bool inside = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (inside) {
      const bool closes = c == '"' && !line.substr(i + 1).starts_with('"');
      inside = !closes;
      if (!closes) fields.back() += c;
      if (!closes && c == '"') ++i;  // the second of a pair
      if (closes && i + 1 < line.size() && line[i + 1] != ',') return std::nullopt;
    } else if (c == ',') {
      fields.emplace_back();
    } else if (c != '"') {
      fields.back() += c;
    } else if (i == 0 || line[i - 1] == ',') {
      inside = true;
    } else {
      return std::nullopt;
    }
  }
  if (inside) return std::nullopt;
  return fields;
}

}  // namespace bitdial::inline BITDIAL_ABI
