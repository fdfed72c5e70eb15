// SPDX-License-Identifier: Apache-2.0
// A small table, written as aligned text, Markdown, CSV.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <bitdial/core/csv.hpp>
#include <bitdial/core/error.hpp>
#include <bitdial/train/format.hpp>

namespace bitdial::inline BITDIAL_ABI::train {

enum class Align { left, right };

struct TableColumn {
  std::string title = {};
  Align align = Align::right;
};

/// Columns with titles and rows of cells; every row has one cell per column.
class Table {
 public:
  Table() = default;
  explicit Table(std::vector<TableColumn> columns) : columns_{std::move(columns)} {}

  /// Throws `ConfigError` when the number of cells differs from the number of columns.
  void add_row(std::vector<std::string> cells) {
    if (cells.size() != columns_.size()) {
      throw ConfigError(
          concat("table: expected ", columns_.size(), " cells in a row, found ", cells.size()));
    }
    rows_.push_back(std::move(cells));
  }

  [[nodiscard]] const std::vector<TableColumn>& columns() const noexcept { return columns_; }
  [[nodiscard]] const std::vector<std::vector<std::string>>& rows() const noexcept { return rows_; }

 private:
  std::vector<TableColumn> columns_;
  std::vector<std::vector<std::string>> rows_;
};

namespace detail {

[[nodiscard]] inline std::vector<std::string> titles(const Table& table) {
  std::vector<std::string> titles;
  for (const TableColumn& column : table.columns()) titles.push_back(column.title);
  return titles;
}

/// The width of the widest cell of each column, at least `least`.
[[nodiscard]] inline std::vector<int> column_widths(const Table& table, int least) {
  std::vector<int> widths;
  for (std::size_t c = 0; c < table.columns().size(); ++c) {
    int width = std::max(least, display_width(table.columns()[c].title));
    for (const auto& row : table.rows()) width = std::max(width, display_width(row[c]));
    widths.push_back(width);
  }
  return widths;
}

[[nodiscard]] inline std::string padded(std::string_view cell, int width, Align align) {
  const std::string gap(static_cast<std::size_t>(std::max(0, width - display_width(cell))), ' ');
  return align == Align::left ? concat(cell, gap) : concat(gap, cell);
}

/// `cell` with `\` before what Markdown would read as markup of the table; line ends as spaces.
[[nodiscard]] inline std::string markdown_cell(std::string_view cell) {
  std::string out;
  for (const char c : cell) {
    if (c == '|' || c == '\\') out += '\\';
    out += c == '\n' || c == '\r' ? ' ' : c;
  }
  return out;
}

}  // namespace detail

/// Columns two spaces apart, a line of dashes under the titles, no spaces at line ends.
[[nodiscard]] inline std::string to_text(const Table& table) {
  const std::vector<int> widths = detail::column_widths(table, 1);
  std::string out;
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string text;
    for (std::size_t c = 0; c < cells.size(); ++c) {
      if (c != 0) text += "  ";
      text += detail::padded(cells[c], widths[c], table.columns()[c].align);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + '\n';
  };
  line(detail::titles(table));
  std::vector<std::string> rule;
  for (const int width : widths) rule.emplace_back(static_cast<std::size_t>(width), '-');
  line(rule);
  for (const auto& row : table.rows()) line(row);
  return out;
}

/// A GitHub-flavoured Markdown table, aligned in the source too; `|` and `\` are escaped.
[[nodiscard]] inline std::string to_markdown(const Table& table) {
  Table escaped([&] {
    std::vector<TableColumn> columns = table.columns();
    for (TableColumn& column : columns) column.title = detail::markdown_cell(column.title);
    return columns;
  }());
  for (std::vector<std::string> row : table.rows()) {
    for (std::string& cell : row) cell = detail::markdown_cell(cell);
    escaped.add_row(std::move(row));
  }
  const std::vector<int> widths = detail::column_widths(escaped, 3);
  std::string out;
  const auto line = [&](const std::vector<std::string>& cells) {
    out += '|';
    for (std::size_t c = 0; c < cells.size(); ++c) {
      out += concat(" ", detail::padded(cells[c], widths[c], escaped.columns()[c].align), " |");
    }
    out += '\n';
  };
  line(detail::titles(escaped));
  std::vector<std::string> rule;
  for (std::size_t c = 0; c < widths.size(); ++c) {
    std::string dashes(static_cast<std::size_t>(widths[c]), '-');
    if (escaped.columns()[c].align == Align::right) dashes.back() = ':';
    rule.push_back(std::move(dashes));
  }
  line(rule);
  for (const auto& row : escaped.rows()) line(row);
  return out;
}

/// Comma-separated values as RFC 4180 has them: titles first, quotes only where needed; lines end
/// in a line feed alone.
[[nodiscard]] inline std::string to_csv(const Table& table) {
  std::string out;
  const auto line = [&](const std::vector<std::string>& cells) {
    for (std::size_t c = 0; c < cells.size(); ++c) {
      if (c != 0) out += ',';
      out += csv_field(cells[c]);
    }
    out += '\n';
  };
  line(detail::titles(table));
  for (const auto& row : table.rows()) line(row);
  return out;
}

}  // namespace bitdial::inline BITDIAL_ABI::train
