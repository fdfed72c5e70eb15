// SPDX-License-Identifier: Apache-2.0
#include <csignal>
#include <cstdint>
#include <limits>
#include <numeric>

#include <sys/wait.h>
#include <unistd.h>

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

TEST_CASE("checked_size finds what is no size") {
  constexpr std::int64_t large = std::int64_t{1} << 32;
  constexpr std::int64_t max = std::numeric_limits<std::int64_t>::max();
  CHECK(Shape{}.checked_size() == 1);
  CHECK(Shape{3, 4, 5}.checked_size() == 60);
  CHECK(Shape{3, 0, 5}.checked_size() == 0);
  CHECK(Shape{3, -1}.checked_size() == -1);
  CHECK(Shape{0, -1}.checked_size() == -1);
  CHECK(Shape{large, large}.checked_size() == -1);
  CHECK(Shape{0, large, large}.checked_size() == -1);
  CHECK(Shape{large, large, 0}.checked_size() == -1);
  CHECK(Shape{large, large / 2}.checked_size() == -1);
  CHECK(Shape{large, large / 4}.checked_size() == max / 2 + 1);
  CHECK(Shape{max, 1}.checked_size() == max);
  CHECK(Shape{3, 4}.checked_size(12) == 12);
  CHECK(Shape{3, 4}.checked_size(11) == -1);
}

TEST_CASE("a seventh extent stops the program in every build") {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    // The handlers of the test runner would report the signal as a failure.
    for (const int number : {SIGILL, SIGTRAP, SIGABRT}) std::signal(number, SIG_DFL);
    const Shape shape{1, 2, 3, 4, 5, 6, 7};
    _exit(shape.rank() == 7 ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
}
