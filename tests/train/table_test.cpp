// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <bitdial/train/table.hpp>

using bitdial::ConfigError;
using bitdial::train::Align;
using bitdial::train::Table;
using bitdial::train::to_csv;
using bitdial::train::to_markdown;
using bitdial::train::to_text;

namespace {

Table results() {
  Table table({{"precision", Align::left}, {"top-1"}, {"note", Align::left}});
  table.add_row({"w8a8", "91.42 %", "µ|\\"});
  table.add_row({"w1a1", "3 %", ""});
  return table;
}

}  // namespace

TEST_CASE("text is aligned by characters and ends its lines without spaces") {
  CHECK(to_text(results()) ==
        "precision    top-1  note\n"
        "---------  -------  ----\n"
        "w8a8       91.42 %  µ|\\\n"
        "w1a1           3 %\n");
}

TEST_CASE("Markdown escapes what would break the table") {
  CHECK(to_markdown(results()) ==
        "| precision |   top-1 | note  |\n"
        "| --------- | ------: | ----- |\n"
        "| w8a8      | 91.42 % | µ\\|\\\\ |\n"
        "| w1a1      |     3 % |       |\n");
}

TEST_CASE("CSV quotes only where needed") {
  Table table({{"a,b"}, {"c"}});
  table.add_row({"say \"hi\"", "1"});
  table.add_row({"two\nlines", ""});
  CHECK(to_csv(table) == "\"a,b\",c\n\"say \"\"hi\"\"\",1\n\"two\nlines\",\n");
}

TEST_CASE("a table without rows has its titles") {
  const Table table({{"a"}, {"long title"}});
  CHECK(to_text(table) == "a  long title\n-  ----------\n");
  CHECK(to_csv(table) == "a,long title\n");
  CHECK(to_markdown(Table({{"a"}})) == "|   a |\n| --: |\n");
}

TEST_CASE("a row of another length is refused") {
  Table table({{"a"}, {"b"}});
  CHECK_THROWS_WITH_AS(table.add_row({"1"}), "table: expected 2 cells in a row, found 1",
                       ConfigError);
  CHECK_THROWS_AS(table.add_row({"1", "2", "3"}), ConfigError);
  CHECK(table.rows().empty());
}
