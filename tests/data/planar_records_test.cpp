// SPDX-License-Identifier: Apache-2.0
#include <bitdial/data/planar_records.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "scratch_file.hpp"
#include "support/tensors.hpp"

using namespace bitdial;
using data::RecordLayout;

namespace {

/// One label of 4 classes, two planes of 2 x 3 pixels.
const RecordLayout small{.height = 2, .width = 3, .channels = 2, .classes = {4}};
const auto two_records = scratch::bytes({3, 1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16,  //
                                         0, 7, 7, 7, 7, 7, 7, 0,  0,  0,  0,  0,  9});

}  // namespace

TEST_CASE("records of any geometry: planes become interleaved channels") {
  CHECK(small.bytes() == 13);
  const auto records = data::parse_records(two_records, "x", small);
  CHECK(records.labels == std::vector<std::int32_t>{3, 0});
  REQUIRE(records.images.shape() == Shape{2, 2, 3, 2});
  const std::vector<int> first{1, 11, 2, 12, 3, 13, 4, 14, 5, 15, 6, 16};
  for (std::int64_t i = 0; i < 12; ++i) {
    CHECK(records.images[i] == first[static_cast<std::size_t>(i)]);
  }
  CHECK(records.images[23] == 9);
}

TEST_CASE("the default is a record of SVHN: a digit and 32 x 32 RGB") {
  CHECK(RecordLayout{}.bytes() == 3073);
  std::vector<std::byte> bytes(2 * 3073);
  bytes[0] = std::byte{9};
  const scratch::File train(bytes), extra(bytes);
  const data::Dataset svhn =
      data::read_records({.files = {train.path(), extra.path()}, .name = "SVHN"});
  CHECK(svhn.name() == "SVHN");
  CHECK(svhn.size() == 4);
  CHECK(svhn.image_shape() == Shape{32, 32, 3});
  CHECK(svhn.classes() == 10);
  CHECK(svhn.class_names()[9] == "9");
  CHECK(svhn.label(2) == 9);
}

TEST_CASE("several labels stand before the image, one of them counts") {
  RecordLayout layout{.height = 1, .width = 1, .channels = 1, .classes = {2, 5, 3}, .label = 1};
  const auto records = data::parse_records(scratch::bytes({1, 4, 2, 77}), "x", layout);
  CHECK(records.labels == std::vector<std::int32_t>{4});
  CHECK(records.images[0] == 77);
  CHECK(test::error_text<FileError>([&] {
          static_cast<void>(data::parse_records(scratch::bytes({1, 4, 3, 77}), "x", layout));
        }) == "x: expected labels below 3, record 0 has label 3");
}

TEST_CASE("files and layouts that make no sense are refused with what was found") {
  auto cut = two_records;
  cut.pop_back();
  CHECK(test::error_text<FileError>([&] {
          static_cast<void>(data::parse_records(cut, "x", small));
        }) == "x: expected whole records of 13 bytes, found 25 bytes = 1 records and 12 bytes");
  CHECK(test::error_text<FileError>([&] {
          static_cast<void>(data::parse_records({}, "x", small));
        }) == "x: expected whole records of 13 bytes, found 0 bytes (empty file)");
  CHECK_THROWS_AS(static_cast<void>(data::parse_records(two_records, "x", {.height = 0})),
                  ConfigError);
  CHECK_THROWS_AS(static_cast<void>(data::parse_records(two_records, "x", {.classes = {}})),
                  ConfigError);
  CHECK_THROWS_AS(static_cast<void>(data::read_records({})), ConfigError);
  const scratch::File file(two_records);
  CHECK(test::error_text<ConfigError>([&] {
          static_cast<void>(data::read_records(
              {.layout = small, .files = {file.path()}, .class_names = {"a"}, .name = "toy"}));
        }) == "read_records: expected 4 class names for 'toy', got 1");
}
