// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstdio>
#include <memory>
#include <string>

#include <doctest/doctest.h>
#include <bitdial/train/terminal.hpp>

TEST_CASE("a file is no terminal, has the fallback width, and receives the text") {
  std::FILE* file = std::tmpfile();
  REQUIRE(file != nullptr);
  CHECK_FALSE(bitdial::train::is_terminal(file));
  CHECK(bitdial::train::terminal_width(file) == 80);
  CHECK(bitdial::train::terminal_width(file, 132) == 132);
  const bitdial::train::TextSink sink = bitdial::train::stream_sink(file);
  sink("one ");
  sink("two");
  std::rewind(file);
  std::array<char, 16> read{};
  CHECK(std::fread(read.data(), 1, read.size(), file) == 7);
  CHECK(std::string(read.data()) == "one two");
  static_cast<void>(std::fclose(file));
}
