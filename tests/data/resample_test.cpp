// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/core/random.hpp>
#include <bitdial/data/resample.hpp>

using bitdial::Random;
using bitdial::Shape;
using bitdial::TensorView;
using bitdial::data::Box;
using bitdial::data::centre_box;
using bitdial::data::ResampleMemory;
using Bytes = std::vector<std::uint8_t>;

namespace {

Bytes draw(const Bytes& image, const Shape& shape, const Box& box, std::int64_t height,
           std::int64_t width) {
  static ResampleMemory memory;  // used again from case to case, as a worker does
  Bytes out(static_cast<std::size_t>(height * width * shape[2]), 99);
  bitdial::data::resample(TensorView<const std::uint8_t>{image.data(), shape}, box, height, width,
                          memory, out);
  return out;
}

Bytes noise(const Shape& shape, std::uint64_t seed) {
  Random random(seed, 0);
  Bytes bytes(static_cast<std::size_t>(shape.size()));
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random.below(256));
  return bytes;
}

/// The definition in double, both axes at once.
double expected(const Bytes& image, const Shape& shape, const Box& box, std::int64_t height,
                std::int64_t width, std::int64_t y, std::int64_t x, std::int64_t c) {
  const auto weight = [](std::int64_t source, std::int64_t drawn, std::int64_t i, std::int64_t k) {
    const double scale = static_cast<double>(source) / static_cast<double>(drawn);
    const double distance =
        std::abs(static_cast<double>(k) + 0.5 - (static_cast<double>(i) + 0.5) * scale);
    return std::max(0.0, 1.0 - distance / std::max(1.0, scale));
  };
  double sum = 0.0;
  double total = 0.0;
  for (std::int64_t k = 0; k < box.height; ++k) {
    for (std::int64_t l = 0; l < box.width; ++l) {
      const double w = weight(box.height, height, y, k) * weight(box.width, width, x, l);
      const std::int64_t at = ((box.y + k) * shape[1] + box.x + l) * shape[2] + c;
      sum += w * static_cast<double>(image[static_cast<std::size_t>(at)]);
      total += w;
    }
  }
  return sum / total;
}

}  // namespace

TEST_CASE("every pixel is the weighted mean of the definition, to less than one level") {
  Random random(7, 0);
  for (int round = 0; round < 60; ++round) {
    const auto extent = [&](std::uint32_t most) {
      return static_cast<std::int64_t>(1 + random.below(most));
    };
    const Shape shape{extent(20), extent(20), extent(4)};
    Box box{.height = extent(static_cast<std::uint32_t>(shape[0])),
            .width = extent(static_cast<std::uint32_t>(shape[1]))};
    box.y = static_cast<std::int64_t>(
        random.below(static_cast<std::uint32_t>(shape[0] - box.height + 1)));
    box.x = static_cast<std::int64_t>(
        random.below(static_cast<std::uint32_t>(shape[1] - box.width + 1)));
    const std::int64_t height = extent(25);
    const std::int64_t width = extent(25);
    const Bytes image = noise(shape, static_cast<std::uint64_t>(round));
    const Bytes drawn = draw(image, shape, box, height, width);
    std::size_t at = 0;
    double worst = 0.0;
    for (std::int64_t y = 0; y < height; ++y) {
      for (std::int64_t x = 0; x < width; ++x) {
        for (std::int64_t c = 0; c < shape[2]; ++c) {
          const double difference = static_cast<double>(drawn[at++]) -
                                    expected(image, shape, box, height, width, y, x, c);
          worst = std::max(worst, std::abs(difference));
        }
      }
    }
    CHECK(worst < 0.55);
  }
}

TEST_CASE("equal sizes copy the box") {
  const Shape shape{5, 7, 3};
  const Bytes image = noise(shape, 1);
  CHECK(draw(image, shape, {.height = 5, .width = 7}, 5, 7) == image);
  const Bytes part = draw(image, shape, {.y = 2, .x = 3, .height = 2, .width = 3}, 2, 3);
  for (std::size_t i = 0; i < part.size(); ++i) {
    const std::size_t y = 2 + i / 9;
    CHECK(part[i] == image[(y * 7 + 3) * 3 + i % 9]);
  }
}

TEST_CASE("one colour stays one colour, at any size; nothing outside the box is seen") {
  for (const int level : {0, 1, 127, 128, 254, 255}) {
    Bytes image(21 * 17 * 2, static_cast<std::uint8_t>(255 - level));
    const Box box{.y = 3, .x = 4, .height = 13, .width = 9};
    for (std::int64_t y = box.y; y < box.y + box.height; ++y) {
      std::fill_n(image.begin() + (y * 17 + box.x) * 2, box.width * 2,
                  static_cast<std::uint8_t>(level));
    }
    for (const auto& [height, width] : {std::pair{1, 1}, {3, 50}, {40, 2}, {13, 10}, {64, 64}}) {
      for (const std::uint8_t byte : draw(image, {21, 17, 2}, box, height, width)) {
        CHECK(byte == level);
      }
    }
  }
}

TEST_CASE("halving averages, mirrored images give mirrored results") {
  // Shrinking 4 to 2: distances 1/2, 1/2, 3/2 of reach 2 weigh 3, 3, 1 (and 1 outside, cut off).
  CHECK(draw({0, 0, 70, 140}, {1, 4, 1}, {.height = 1, .width = 4}, 1, 2) == Bytes{10, 90});
  const Shape shape{1, 31, 1};
  const Bytes image = noise(shape, 3);
  const Bytes mirrored(image.rbegin(), image.rend());
  for (const std::int64_t width : {5, 30, 64}) {
    Bytes back = draw(mirrored, shape, {.height = 1, .width = 31}, 1, width);
    std::ranges::reverse(back);
    const Bytes drawn = draw(image, shape, {.height = 1, .width = 31}, 1, width);
    for (std::size_t i = 0; i < drawn.size(); ++i) CHECK(std::abs(drawn[i] - back[i]) <= 1);
  }
}

TEST_CASE("the middle of an image") {
  CHECK(centre_box(256, 256, 0.875F) == Box{.y = 16, .x = 16, .height = 224, .width = 224});
  CHECK(centre_box(375, 500, 1.0F) == Box{.y = 0, .x = 62, .height = 375, .width = 375});
  CHECK(centre_box(1, 9, 0.01F) == Box{.y = 0, .x = 4, .height = 1, .width = 1});
  CHECK_THROWS_AS(static_cast<void>(centre_box(5, 5, 0.0F)), bitdial::ConfigError);
  CHECK_THROWS_AS(static_cast<void>(centre_box(5, 5, 1.1F)), bitdial::ConfigError);
}
