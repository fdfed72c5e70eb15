// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <string>
#include <unordered_set>

#include <bitdial/quant/precision.hpp>

using namespace bitdial;

static_assert(Precision{} == Precision{.w = 32, .a = 32});
static_assert(Precision{2, 4} < Precision{2, 8} && Precision{2, 8} < Precision{4, 1});
static_assert(Precision{1, 32}.valid() && !Precision{0, 4}.valid() && !Precision{4, 9}.valid());
static_assert(!Precision{16, 4}.valid() && !Precision{4, -1}.valid());
static_assert(PrecisionLiteral{"w2a32"}.value == Precision{2, 32});

TEST_CASE("every legal precision survives text and parse") {
  std::unordered_set<Precision> seen;
  for (const int w : {1, 2, 3, 4, 5, 6, 7, 8, 32}) {
    for (const int a : {1, 2, 3, 4, 5, 6, 7, 8, 32}) {
      const Precision precision{w, a};
      CHECK(precision.valid());
      const auto parsed = Precision::parse(precision.text());
      REQUIRE(parsed);
      CHECK(*parsed == precision);
      seen.insert(precision);
    }
  }
  CHECK(seen.size() == 81);
  CHECK(Precision{2, 4}.text() == "w2a4");
}

TEST_CASE("anything else is refused with the text in the reason") {
  for (const std::string text : {"",
                                 "w",
                                 "w4",
                                 "w4a",
                                 "a4w4",
                                 "4a4",
                                 "w4a4 ",
                                 " w4a4",
                                 "W4A4",
                                 "w04a4",
                                 "w4a04",
                                 "w0a4",
                                 "w9a4",
                                 "w4a9",
                                 "w16a16",
                                 "w-1a4",
                                 "w+4a4",
                                 "w4b4",
                                 "w4a4a4",
                                 "w320a4",
                                 "w032a4",
                                 "w4a4.0",
                                 "w99999999999999999999a4"}) {
    CAPTURE(text);
    const auto parsed = Precision::parse(text);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error() ==
          "precision: expected a precision such as w2a4 (bits 1..8 or 32), got \"" + text + "\"");
  }
  const std::string with_nul("w4a4\0", 5);
  CHECK_FALSE(Precision::parse(with_nul));
  const auto endless = Precision::parse(std::string(100000, 'w'));
  CHECK(endless.error().size() < 200);
}
