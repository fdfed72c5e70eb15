// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <numeric>

#include <doctest/doctest.h>
#include <bitdial/core/shape.hpp>

using bitdial::Shape;

TEST_CASE("extents, rank and size") {
  constexpr Shape shape{8, 32, 16, 4};
  static_assert(shape.rank() == 4);
  static_assert(shape.size() == 8 * 32 * 16 * 4);
  CHECK(shape[0] == 8);
  CHECK(shape[2] == 16);
  CHECK(shape.back() == 4);
  CHECK(std::accumulate(shape.begin(), shape.end(), std::int64_t{0}) == 60);
}

TEST_CASE("a scalar has one element, an empty axis none") {
  CHECK(Shape{}.rank() == 0);
  CHECK(Shape{}.size() == 1);
  CHECK(Shape{3, 0, 2}.size() == 0);
  CHECK(Shape{1, 2, 3, 4, 5, 6}.rank() == Shape::max_rank);
}

TEST_CASE("sizes beyond 32 bits") {
  CHECK(Shape{65536, 65536, 4}.size() == 17179869184);
}

TEST_CASE("equality looks at rank and extents") {
  CHECK(Shape{2, 3} == Shape{2, 3});
  CHECK(Shape{2, 3} != Shape{3, 2});
  CHECK(Shape{2, 3} != Shape{2, 3, 1});
  CHECK(Shape{2} != Shape{2, 0});
}

TEST_CASE("with replaces one extent") {
  CHECK(Shape{8, 32, 4}.with(0, 2) == Shape{2, 32, 4});
  CHECK(Shape{8, 32, 4}.with(2, 5) == Shape{8, 32, 5});
}

TEST_CASE("text shows the extents, also inside a sentence") {
  CHECK(Shape{8, 32, 32, 4}.text() == "[8, 32, 32, 4]");
  CHECK(Shape{}.text() == "[]");
  CHECK(bitdial::concat("x is ", Shape{1, 2}) == "x is [1, 2]");
}
