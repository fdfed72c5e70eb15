// SPDX-License-Identifier: Apache-2.0
// The lines of a text file with their numbers, for readers of small formats.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include <bitdial/core/text.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Walks over the lines of a text; line ends are "\n" or "\r\n", and the last line may lack one.
///
///     for (TextLines lines{text}; lines.next();) use(lines.number(), lines.line());
class TextLines {
 public:
  explicit TextLines(std::string_view text) noexcept : rest_{text} {}

  /// Goes on to the next line; false at the end.
  [[nodiscard]] bool next() noexcept {
    if (rest_.empty()) return false;
    line_ = take_piece(rest_, '\n');
    if (line_.ends_with('\r')) line_.remove_suffix(1);
    ++number_;
    return true;
  }

  [[nodiscard]] std::string_view line() const noexcept { return line_; }
  /// Counted from 1.
  [[nodiscard]] std::size_t number() const noexcept { return number_; }

 private:
  std::string_view rest_;
  std::string_view line_;
  std::size_t number_ = 0;
};

/// The pieces of `line` between single `separator`s, as in a line of CSV without quotes.
[[nodiscard]] inline std::vector<std::string_view> split(std::string_view line, char separator) {
  std::vector<std::string_view> pieces;
  for (std::size_t begin = 0; begin <= line.size();) {
    const std::size_t end = line.find(separator, begin);
    pieces.push_back(line.substr(begin, end - begin));
    if (end == std::string_view::npos) break;
    begin = end + 1;
  }
  return pieces;
}

/// The words of `line` between runs of blanks and tabs.
[[nodiscard]] inline std::vector<std::string_view> words(std::string_view line) {
  constexpr std::string_view blanks = " \t";
  std::vector<std::string_view> found;
  while (true) {
    const std::size_t begin = line.find_first_not_of(blanks);
    if (begin == std::string_view::npos) return found;
    line.remove_prefix(begin);
    found.push_back(line.substr(0, line.find_first_of(blanks)));
    line.remove_prefix(found.back().size());
  }
}

}  // namespace bitdial::inline BITDIAL_ABI
