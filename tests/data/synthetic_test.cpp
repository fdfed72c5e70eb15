// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/data/synthetic.hpp>

using bitdial::ConfigError;
using bitdial::Shape;
using bitdial::data::Dataset;
using bitdial::data::make_synthetic;
using bitdial::data::SyntheticOptions;

namespace {

bool same_bytes(const Dataset& a, const Dataset& b) {
  return std::ranges::equal(a.images().span(), b.images().span());
}

/// FNV-1a over all bytes: the golden value pins the pictures on every machine.
std::uint64_t digest(const Dataset& dataset) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const std::uint8_t byte : dataset.images().span()) hash = (hash ^ byte) * 0x100000001b3;
  return hash;
}

}  // namespace

TEST_CASE("images depend on seed and index alone") {
  const Dataset twenty = make_synthetic({.count = 20, .seed = 5});
  CHECK(same_bytes(twenty, make_synthetic({.count = 20, .seed = 5})));
  CHECK(same_bytes(twenty.subset(7, 6), make_synthetic({.count = 6, .first = 7, .seed = 5})));
  CHECK_FALSE(same_bytes(twenty, make_synthetic({.count = 20, .seed = 6})));
  CHECK_FALSE(same_bytes(twenty, make_synthetic({.count = 20, .first = 20, .seed = 5})));
  CHECK(make_synthetic({.count = 6, .first = 7}).label(0) == 7);
}

TEST_CASE("images do not depend on the number of threads") {
  const Dataset reference = make_synthetic({.count = 300});
  for (const int threads : {1, 2, 7}) {
    bitdial::set_thread_count(threads);
    CHECK(same_bytes(reference, make_synthetic({.count = 300})));
  }
  bitdial::set_thread_count(0);
}

TEST_CASE("the pictures are the same on every machine") {
  CHECK(digest(make_synthetic({.count = 50, .size = 28, .channels = 1, .seed = 1})) ==
        11022782612819494040U);
  CHECK(digest(make_synthetic({.count = 50, .size = 33, .channels = 3, .seed = 2})) ==
        9259254215838807598U);
}

TEST_CASE("classes are balanced and named") {
  const Dataset dataset = make_synthetic({.count = 100});
  CHECK(dataset.class_counts() == std::vector<std::int64_t>(10, 10));
  CHECK(dataset.classes() == 10);
  CHECK(dataset.class_names()[1] == "ring");
  CHECK(make_synthetic({.count = 3, .size = 40, .channels = 3}).image_shape() == Shape{40, 40, 3});
}

TEST_CASE("no two images of a class are alike, and none is flat") {
  const Dataset dataset = make_synthetic({.count = 50, .noise = 0});
  for (std::int64_t i = 0; i < dataset.size(); ++i) {
    const auto image = dataset.image(i);
    CHECK(*std::ranges::max_element(image) - *std::ranges::min_element(image) >= 40);
    for (std::int64_t j = i + 10; j < dataset.size(); j += 10) {
      CHECK_FALSE(std::ranges::equal(image, dataset.image(j)));
    }
  }
}

TEST_CASE("noise has the standard deviation that was asked for") {
  const SyntheticOptions quiet{.count = 40, .noise = 0};
  SyntheticOptions loud = quiet;
  loud.noise = 20;
  const Dataset a = make_synthetic(quiet);
  const Dataset b = make_synthetic(loud);
  double sum = 0.0;
  double squares = 0.0;
  double count = 0.0;
  for (std::int64_t i = 0; i < a.images().size(); ++i) {
    const int without = a.images()[i];
    if (without < 80 || without > 175) continue;  // out of reach of the clamp at 0 and 255
    const double noise = b.images()[i] - without;
    sum += noise;
    squares += noise * noise;
    count += 1.0;
  }
  REQUIRE(count > 5000);
  CHECK(std::abs(sum / count) < 1.0);
  CHECK(squares / count == doctest::Approx(20.0 * 20.0).epsilon(0.05));
}

TEST_CASE("the shapes are what their names say") {
  using bitdial::data::detail::inside_shape;
  // Centre, corner, middle of the right and of the lower side.
  const auto at = [](int shape) {
    return std::vector<bool>{inside_shape(shape, 0, 0), inside_shape(shape, 210, 210),
                             inside_shape(shape, 215, 0), inside_shape(shape, 0, 205)};
  };
  using Four = std::vector<bool>;
  CHECK(at(0) == Four{true, false, true, true});   // disc
  CHECK(at(1) == Four{false, false, true, true});  // ring
  CHECK(at(2) == Four{true, true, true, true});    // square
  CHECK(at(3) == Four{false, true, true, true});   // frame
  CHECK(at(4) == Four{true, true, false, true});   // triangle: wide below
  CHECK_FALSE(inside_shape(4, 60, -200));          // and narrow above
  CHECK(at(5) == Four{true, false, true, true});   // plus
  CHECK(at(6) == Four{true, true, false, false});  // saltire
  CHECK(inside_shape(7, -230, 0) == inside_shape(7, 230, 0));
  CHECK(inside_shape(7, 0, 0) != inside_shape(7, 0, 93));
  CHECK(inside_shape(8, 0, 0) != inside_shape(8, 93, 0));
  CHECK(inside_shape(8, 0, 93) == inside_shape(8, 0, 0));
  CHECK(inside_shape(9, 0, 0) != inside_shape(9, 93, 0));
  CHECK(inside_shape(9, 0, 0) == inside_shape(9, 93, 93));
}

TEST_CASE("options out of range are refused") {
  for (const SyntheticOptions& options :
       {SyntheticOptions{.count = 0}, SyntheticOptions{.first = -1}, SyntheticOptions{.size = 11},
        SyntheticOptions{.size = 257}, SyntheticOptions{.channels = 0},
        SyntheticOptions{.channels = 5}, SyntheticOptions{.noise = -1},
        SyntheticOptions{.contrast = 7}, SyntheticOptions{.contrast = 129}}) {
    CHECK_THROWS_AS(static_cast<void>(make_synthetic(options)), ConfigError);
  }
  CHECK_THROWS_WITH(static_cast<void>(make_synthetic({.size = 300})),
                    "make_synthetic: expected size 12 .. 256, found 300");
}
