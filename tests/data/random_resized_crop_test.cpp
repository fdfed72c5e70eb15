// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstdint>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/data/random_resized_crop.hpp>

using bitdial::ConfigError;
using bitdial::Random;
using bitdial::data::Box;
using bitdial::data::draw_crop;
using bitdial::data::RandomResizedCrop;

TEST_CASE("a crop lies in the image with area and ratio in range, and covers all of the range") {
  const RandomResizedCrop options{};
  constexpr std::int64_t height = 300;
  constexpr std::int64_t width = 400;
  double smallest = 1.0;
  double largest = 0.0;
  double area_sum = 0.0;
  int wide = 0;
  constexpr int count = 4000;
  for (std::uint64_t i = 0; i < count; ++i) {
    Random random(3, i);
    const Box box = draw_crop(options, height, width, random);
    REQUIRE(box.y >= 0);
    REQUIRE(box.x >= 0);
    REQUIRE(box.height >= 1);
    REQUIRE(box.width >= 1);
    REQUIRE(box.y + box.height <= height);
    REQUIRE(box.x + box.width <= width);
    const double area = static_cast<double>(box.height * box.width) / (300.0 * 400.0);
    const double ratio = static_cast<double>(box.width) / static_cast<double>(box.height);
    CHECK(area > 0.075);
    CHECK(ratio > 0.74);
    CHECK(ratio < 1.35);
    smallest = std::min(smallest, area);
    largest = std::max(largest, area);
    area_sum += area;
    wide += ratio > 1.0 ? 1 : 0;
  }
  CHECK(smallest < 0.09);
  CHECK(largest > 0.95);
  CHECK(area_sum / count > 0.38);
  CHECK(area_sum / count < 0.58);
  CHECK(wide > count * 0.45);  // the logarithm of the ratio is uniform, so its sign is even
  CHECK(wide < count * 0.62);
}

TEST_CASE("places are uniform") {
  std::vector<int> rows(11);
  for (std::uint64_t i = 0; i < 11000; ++i) {
    Random random(8, i);
    const Box box =
        draw_crop({.min_area = 0.25F, .max_area = 0.25F, .min_ratio = 1.0F, .max_ratio = 1.0F}, 20,
                  20, random);
    REQUIRE(box.height == 10);
    REQUIRE(box.width == 10);
    ++rows[static_cast<std::size_t>(box.y)];
  }
  for (const int times : rows) CHECK(std::abs(times - 1000) < 150);
}

TEST_CASE("an image that no draw fits is seen in the middle") {
  Random random(1, 1);
  CHECK(draw_crop({.min_area = 1.0F}, 10, 1000, random) ==
        Box{.y = 0, .x = 493, .height = 10, .width = 13});
  CHECK(draw_crop({.min_area = 1.0F}, 900, 9, random) ==
        Box{.y = 444, .x = 0, .height = 12, .width = 9});
  CHECK(draw_crop({}, 1, 1, random) == Box{.y = 0, .x = 0, .height = 1, .width = 1});
}

TEST_CASE("options out of range") {
  const auto refused = [](const RandomResizedCrop& options) {
    Random random(1, 1);
    CHECK_THROWS_AS(static_cast<void>(draw_crop(options, 9, 9, random)), ConfigError);
  };
  refused({.min_area = 0.0F});
  refused({.min_area = 0.5F, .max_area = 0.4F});
  refused({.max_area = 1.5F});
  refused({.min_ratio = 0.0F});
  refused({.min_ratio = 2.0F});
  refused({.max_ratio = std::nanf("")});
}
