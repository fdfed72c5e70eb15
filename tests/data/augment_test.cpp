// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/data/augment.hpp>

using bitdial::ConfigError;
using bitdial::Shape;
using bitdial::data::apply_augmentation;
using bitdial::data::Augmentation;
using bitdial::data::AugmentOptions;
using bitdial::data::draw_augmentation;
using Bytes = std::vector<std::uint8_t>;

namespace {

Bytes apply(const Augmentation& augmentation, const Shape& shape, const Bytes& in,
            std::uint8_t padding = 0) {
  Bytes out(in.size(), 77);
  apply_augmentation(augmentation, shape, padding, in, out);
  return out;
}

}  // namespace

TEST_CASE("a draw is a pure function of seed, epoch and image") {
  const AugmentOptions options{.shift = 4, .flip = true};
  CHECK(draw_augmentation(options, 1, 2, 3) == draw_augmentation(options, 1, 2, 3));
  // Changing one argument changes the sequence of draws.
  const auto draws = [&](std::uint64_t seed, std::int64_t epoch, std::int64_t first) {
    std::vector<std::pair<int, int>> out;
    for (std::int64_t i = 0; i < 20; ++i) {
      const Augmentation drawn = draw_augmentation(options, seed, epoch, first + i);
      out.emplace_back(drawn.dy, drawn.dx);
    }
    return out;
  };
  const auto reference = draws(1, 0, 0);
  CHECK(reference != draws(2, 0, 0));
  CHECK(reference != draws(1, 1, 0));
  CHECK(reference != draws(1, 0, 20));
}

TEST_CASE("shifts are uniform within their range, flips come half the time") {
  std::map<int, int> rows;
  std::map<int, int> columns;
  int flips = 0;
  constexpr int count = 14000;
  for (int i = 0; i < count; ++i) {
    const Augmentation drawn = draw_augmentation({.shift = 3, .flip = true}, 9, 0, i);
    ++rows[drawn.dy];
    ++columns[drawn.dx];
    flips += drawn.flip ? 1 : 0;
  }
  REQUIRE(rows.size() == 7);
  REQUIRE(columns.size() == 7);
  CHECK(rows.begin()->first == -3);
  CHECK(columns.rbegin()->first == 3);
  for (const auto& [place, times] : rows) CHECK(std::abs(times - 2000) < 250);
  for (const auto& [place, times] : columns) CHECK(std::abs(times - 2000) < 250);
  CHECK(std::abs(flips - count / 2) < 350);
}

TEST_CASE("nothing is drawn where nothing is asked for") {
  for (int i = 0; i < 100; ++i) {
    CHECK(draw_augmentation({}, 1, 0, i) == Augmentation{});
    CHECK_FALSE(draw_augmentation({.shift = 2}, 1, 0, i).flip);
  }
  CHECK_THROWS_AS(static_cast<void>(draw_augmentation({.shift = -1}, 1, 0, 0)), ConfigError);
}

TEST_CASE("a shift takes from below and right, padding moves in") {
  const Bytes in{1, 2, 3, 4, 5, 6};  // 2 rows, 3 columns
  const Shape shape{2, 3, 1};
  CHECK(apply({}, shape, in) == in);
  CHECK(apply({.dx = 1}, shape, in) == Bytes{2, 3, 0, 5, 6, 0});
  CHECK(apply({.dx = -1}, shape, in, 9) == Bytes{9, 1, 2, 9, 4, 5});
  CHECK(apply({.dy = 1}, shape, in) == Bytes{4, 5, 6, 0, 0, 0});
  CHECK(apply({.dy = -1, .dx = 2}, shape, in) == Bytes{0, 0, 0, 3, 0, 0});
  CHECK(apply({.dy = 7, .dx = -9}, shape, in, 8) == Bytes(6, 8));
}

TEST_CASE("a flip mirrors before the shift and keeps channels together") {
  const Bytes in{1, 2, 3, 4, 5, 6};
  CHECK(apply({.flip = true}, {2, 3, 1}, in) == Bytes{3, 2, 1, 6, 5, 4});
  CHECK(apply({.flip = true}, {1, 3, 2}, in) == Bytes{5, 6, 3, 4, 1, 2});
  CHECK(apply({.dx = 1, .flip = true}, {2, 3, 1}, in) == Bytes{2, 1, 0, 5, 4, 0});
}
