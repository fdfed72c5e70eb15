// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/data/dataset.hpp>

using bitdial::ConfigError;
using bitdial::Shape;
using bitdial::ShapeError;
using bitdial::Tensor;
using bitdial::data::Dataset;

namespace {

/// Five images of 2 x 3 pixels; byte j of image i is 10 i + j.
Tensor<std::uint8_t> five_images() {
  Tensor<std::uint8_t> images({5, 2, 3, 1});
  for (int i = 0; i < 30; ++i) images[i] = static_cast<std::uint8_t>(10 * (i / 6) + i % 6);
  return images;
}

Dataset five() {
  return {"five", five_images(), {0, 1, 2, 1, 1}, {"a", "b", "c"}};
}

}  // namespace

TEST_CASE("a data set gives back what it was made of") {
  const Dataset dataset = five();
  CHECK(dataset.name() == "five");
  CHECK(dataset.size() == 5);
  CHECK(dataset.classes() == 3);
  CHECK(dataset.class_names()[2] == "c");
  CHECK(dataset.image_shape() == Shape{2, 3, 1});
  CHECK(dataset.image(3).size() == 6);
  CHECK(dataset.image(3)[0] == 30);
  CHECK(dataset.image(4)[5] == 45);
  CHECK(dataset.label(2) == 2);
  CHECK(dataset.class_counts() == std::vector<std::int64_t>{1, 3, 1});
}

TEST_CASE("a subset is the images in the middle") {
  const Dataset middle = five().subset(1, 3);
  CHECK(middle.size() == 3);
  CHECK(middle.image(0)[0] == 10);
  CHECK(middle.image(2)[5] == 35);
  CHECK(middle.label(0) == 1);
  CHECK(middle.label(1) == 2);
  CHECK(middle.classes() == 3);
  CHECK(five().subset(0, 5).size() == 5);
  CHECK(five().subset(4, 1).image(0)[0] == 40);
}

TEST_CASE("a subset outside the data is an error") {
  const Dataset dataset = five();
  const std::int64_t huge = INT64_MAX;
  for (const auto& [first, count] : std::vector<std::pair<std::int64_t, std::int64_t>>{
           {0, 6}, {5, 1}, {-1, 2}, {0, 0}, {2, -1}, {huge, huge}, {1, huge}}) {
    CHECK_THROWS_AS(static_cast<void>(dataset.subset(first, count)), ConfigError);
  }
  CHECK_THROWS_WITH(static_cast<void>(dataset.subset(3, 3)),
                    "dataset 'five': subset of 3 images from 3 does not lie in its 5 images");
}

TEST_CASE("parts that do not fit are refused with both sides") {
  CHECK_THROWS_WITH_AS((Dataset{"d", five_images(), {0, 1}, {"a", "b"}}),
                       "dataset 'd': expected 5 labels, one per image, found 2", ShapeError);
  CHECK_THROWS_WITH_AS((Dataset{"d", five_images(), {0, 1, 2, 1, 1}, {"a", "b"}}),
                       "dataset 'd': expected labels 0 .. 1, image 2 has label 2", ConfigError);
  CHECK_THROWS_WITH_AS((Dataset{"d", five_images(), {0, 1, 0, 1, -1}, {"a", "b"}}),
                       "dataset 'd': expected labels 0 .. 1, image 4 has label -1", ConfigError);
  CHECK_THROWS_AS((Dataset{"d", Tensor<std::uint8_t>({0, 2, 3, 1}), {}, {"a"}}), ShapeError);
  CHECK_THROWS_AS((Dataset{"d", Tensor<std::uint8_t>({2, 3, 1}), {0, 0}, {"a"}}), ShapeError);
}

TEST_CASE("classes without names are numbered") {
  CHECK(bitdial::data::numbered_classes(3) == std::vector<std::string>{"0", "1", "2"});
  CHECK(bitdial::data::numbered_classes(0).empty());
}
