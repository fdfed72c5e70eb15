// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <string>
#include <utility>

#include <bitdial/switchable/bit_list.hpp>

using namespace bitdial;

static_assert(BitList<8, 4, 2>::values == std::array{8, 4, 2});
static_assert(BitList<8, 4, 2>::contains(4) && !BitList<8, 4, 2>::contains(3));
static_assert(BitList<8, 4, 2>::index_of(2) == 2);
static_assert(visit_bits(BitList<8, 4>{}, 4, []<int B>() { return B * 10; }) == 40);

TEST_CASE("visit_bits calls the visitor once, with the width of the list") {
  for (const int bits : {8, 4, 2, 1}) {
    int calls = 0;
    const std::string text = visit_bits(BitList<8, 4, 2, 1>{}, bits, [&]<int B>() {
      ++calls;
      return "bits " + std::to_string(B);
    });
    CHECK(text == "bits " + std::to_string(bits));
    CHECK(calls == 1);
  }
}

TEST_CASE("visit_bits passes references and void through") {
  int slots[9] = {};
  visit_bits(BitList<4, 2>{}, 2, [&]<int B>() -> int& { return slots[B]; }) = 7;
  CHECK(slots[2] == 7);
  visit_bits(BitList<4, 2>{}, 4, [&]<int B>() { slots[B] = 5; });
  CHECK(slots[4] == 5);
}

TEST_CASE("an absent width is an error that lists the present ones") {
  for (const int bits : {3, 0, -1, 32}) {
    const std::string expected =
        "bitdial: precision " + std::to_string(bits) + " is not in BitList<8, 4, 2>";
    CHECK_THROWS_WITH_AS(visit_bits(BitList<8, 4, 2>{}, bits, []<int>() {}), expected.c_str(),
                         PrecisionError);
    CHECK_THROWS_WITH_AS(static_cast<void>(BitList<8, 4, 2>::index_of(bits)), expected.c_str(),
                         PrecisionError);
  }
}
