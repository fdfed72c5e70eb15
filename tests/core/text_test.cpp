// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/core/text.hpp>

namespace {

struct Named {
  [[nodiscard]] std::string text() const { return "named"; }
};

}  // namespace

TEST_CASE("concat joins text, numbers and things that have text") {
  const std::string owned = "owned";
  const std::string_view viewed = "viewed";
  CHECK(bitdial::concat() == "");
  CHECK(bitdial::concat("a", owned, viewed, 'c', Named{}) == "aownedviewedcnamed");
  CHECK(bitdial::concat("expected ", 3, " channels, found ", -4) ==
        "expected 3 channels, found -4");
  const char* const pointed = "pointed";
  CHECK(bitdial::concat(pointed, true, std::uint8_t{200}, std::int8_t{-5}, 1.5F) ==
        "pointedtrue200-51.5");
  CHECK(bitdial::concat(INT64_MIN, ' ', UINT64_MAX) == "-9223372036854775808 18446744073709551615");
  CHECK(bitdial::concat(std::string_view{"a\0b", 3}).size() == 3);
}

TEST_CASE("a list of quoted pieces shows where each of them ends") {
  CHECK(bitdial::join_quoted(std::vector<std::string>{"w1a1", "w8a8,w4a5"}) ==
        "'w1a1', 'w8a8,w4a5'");
  CHECK(bitdial::join_quoted(std::vector<std::string_view>{"one"}) == "'one'");
  CHECK(bitdial::join_quoted(std::vector<std::string>{}) == "");
}

TEST_CASE("pieces between separators, until nothing is left") {
  std::string_view rest = "a,,bc";
  CHECK(bitdial::take_piece(rest, ',') == "a");
  CHECK(rest == ",bc");
  CHECK(bitdial::take_piece(rest, ',') == "");
  CHECK(bitdial::take_piece(rest, ',') == "bc");
  CHECK(rest.empty());
  CHECK(bitdial::take_piece(rest, ',') == "");
  rest = "last,";
  CHECK(bitdial::take_piece(rest, ',') == "last");
  CHECK(rest.empty());
}

TEST_CASE("a number is all of the text, or nothing happens") {
  double real = 7.0;
  CHECK(bitdial::parse_number("-2.5e3", real));
  CHECK(real == -2500.0);
  std::uint8_t small = 9;
  for (const char* const wrong : {"", " 1", "1 ", "1x", "x", "-1", "256", "1.0"}) {
    CAPTURE(wrong);
    CHECK_FALSE(bitdial::parse_number(wrong, small));
  }
  CHECK(small == 9);
  CHECK(bitdial::parse_number("255", small));
  CHECK(small == 255);
}

TEST_CASE("concat writes numbers completely") {
  CHECK(bitdial::concat(std::int64_t{-9223372036854775807} - 1) == "-9223372036854775808");
  CHECK(bitdial::concat(~std::uint64_t{0}) == "18446744073709551615");
  CHECK(bitdial::concat(std::uint8_t{200}) == "200");
  CHECK(bitdial::concat(true, false) == "truefalse");
}

TEST_CASE("concat writes floating-point numbers in their shortest exact form") {
  CHECK(bitdial::concat(0.1F) == "0.1");
  CHECK(bitdial::concat(0.1) == "0.1");
  CHECK(bitdial::concat(-2.5) == "-2.5");
  CHECK(bitdial::concat(1.7976931348623157e308).size() < 48);
}

TEST_CASE("join separates the pieces of a range") {
  CHECK(bitdial::join(std::vector<int>{}) == "");
  CHECK(bitdial::join(std::array{8}) == "8");
  CHECK(bitdial::join(std::array{8, 4, 2}) == "8, 4, 2");
  CHECK(bitdial::join(std::vector<std::string>{"", "b"}, "|") == "|b");
}
