// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/data/idx.hpp>

#include "scratch_file.hpp"

using bitdial::FileError;
using bitdial::Shape;
using bitdial::data::parse_idx_images;
using bitdial::data::parse_idx_labels;
using bitdial::data::read_idx;
using Bytes = std::vector<std::byte>;

namespace {

/// Two images of 2 x 3 pixels, bytes 1 .. 12.
Bytes two_images() {
  return scratch::bytes({0, 0, 8, 3, 0, 0, 0, 2, 0, 0,  0,  2, 0, 0, 0, 3,  //
                         1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
}

Bytes two_labels() {
  return scratch::bytes({0, 0, 8, 1, 0, 0, 0, 2, 1, 0});
}

Bytes with(Bytes bytes, std::size_t position, int value) {
  bytes[position] = static_cast<std::byte>(value);
  return bytes;
}

}  // namespace

TEST_CASE("images are rows of bytes, big-endian extents") {
  const auto images = parse_idx_images(two_images(), "x");
  CHECK(images.shape() == Shape{2, 2, 3, 1});
  for (std::int64_t i = 0; i < 12; ++i) CHECK(images[i] == i + 1);

  Bytes wide(16 + 0x0102);
  const Bytes header = scratch::bytes({0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 2});
  std::copy(header.begin(), header.end(), wide.begin());
  CHECK(parse_idx_images(wide, "x").shape() == Shape{1, 1, 0x0102, 1});
}

TEST_CASE("labels are bytes") {
  CHECK(parse_idx_labels(two_labels(), "x") == std::vector<std::int32_t>{1, 0});
  CHECK(parse_idx_labels(with(two_labels(), 9, 255), "x") == std::vector<std::int32_t>{1, 255});
}

TEST_CASE("a file cut at any byte, or too long, is refused and named") {
  for (std::size_t size = 0; size < two_images().size(); ++size) {
    Bytes cut = two_images();
    cut.resize(size);
    CAPTURE(size);
    CHECK_THROWS_WITH_AS(static_cast<void>(parse_idx_images(cut, "cut.idx")),
                         doctest::Contains("cut.idx: expected "), FileError);
  }
  for (std::size_t size = 0; size < two_labels().size(); ++size) {
    Bytes cut = two_labels();
    cut.resize(size);
    CAPTURE(size);
    CHECK_THROWS_WITH_AS(static_cast<void>(parse_idx_labels(cut, "cut.idx")),
                         doctest::Contains("cut.idx: expected "), FileError);
  }
  Bytes longer = two_images();
  longer.push_back(std::byte{});
  CHECK_THROWS_WITH_AS(static_cast<void>(parse_idx_images(longer, "f")),
                       "f: expected 2 images of 2 x 3 = 12 bytes after the header, found 13",
                       FileError);
  longer = two_labels();
  longer.push_back(std::byte{});
  CHECK_THROWS_WITH_AS(static_cast<void>(parse_idx_labels(longer, "f")),
                       "f: expected 2 labels after the header, found 3", FileError);
}

TEST_CASE("headers that lie are refused with both sides") {
  CHECK_THROWS_WITH_AS(static_cast<void>(parse_idx_images({}, "f")),
                       "f: expected an IDX header of 16 bytes, found 0 (empty file)", FileError);
  CHECK_THROWS_WITH_AS(
      static_cast<void>(parse_idx_images(two_labels(), "f")),
      "f: expected magic 0x00000803 (IDX images), found magic 0x00000801 (IDX labels)", FileError);
  CHECK_THROWS_WITH_AS(
      static_cast<void>(parse_idx_labels(two_images(), "f")),
      "f: expected magic 0x00000801 (IDX labels), found magic 0x00000803 (IDX images)", FileError);
  CHECK_THROWS_WITH_AS(
      static_cast<void>(parse_idx_images(scratch::bytes({0x1f, 0x8b, 8, 0, 0, 0, 0, 0}), "f")),
      doctest::Contains("(gzip: read it through data/gzip.hpp)"), FileError);
  for (const std::size_t extent : {7U, 11U, 15U}) {  // no images, no rows, no columns
    CHECK_THROWS_AS(static_cast<void>(parse_idx_images(with(two_images(), extent, 0), "f")),
                    FileError);
  }
  CHECK_THROWS_AS(static_cast<void>(parse_idx_labels(with(two_labels(), 7, 0), "f")), FileError);
}

TEST_CASE("extents whose product overflows do not wrap around") {
  // 2^32 - 1 to the third power, and 2^22 * 2^21 * 2^21 = 2^64 = 0 in 64 bits.
  Bytes huge = two_images();
  for (std::size_t i = 4; i < 16; ++i) huge[i] = std::byte{0xff};
  CHECK_THROWS_WITH_AS(static_cast<void>(parse_idx_images(huge, "f")),
                       doctest::Contains("= more than 2^64 bytes"), FileError);
  Bytes zero = scratch::bytes({0, 0, 8, 3, 0, 0x40, 0, 0, 0, 0x20, 0, 0, 0, 0x20, 0, 0});
  CHECK_THROWS_AS(static_cast<void>(parse_idx_images(zero, "f")), FileError);
}

TEST_CASE("a data set is read from its two files") {
  const scratch::File images(two_images());
  const scratch::File labels(two_labels());
  const auto dataset = read_idx({.name = "tiny",
                                 .images = images.path(),
                                 .labels = labels.path(),
                                 .class_names = {"left", "right"}});
  CHECK(dataset.name() == "tiny");
  CHECK(dataset.size() == 2);
  CHECK(dataset.label(0) == 1);
  CHECK(dataset.image(1)[0] == 7);

  CHECK_THROWS_WITH_AS(
      static_cast<void>(
          read_idx({.images = images.path(), .labels = labels.path(), .class_names = {"only"}})),
      (labels.path() + ": expected labels below 1, label 0 is 1").c_str(), FileError);
  CHECK_THROWS_AS(static_cast<void>(read_idx({.images = images.path(),
                                              .labels = labels.path(),
                                              .class_names = {"a", "b"},
                                              .max_bytes = 20})),
                  FileError);

  const scratch::File three(scratch::bytes({0, 0, 8, 1, 0, 0, 0, 3, 1, 0, 1}));
  CHECK_THROWS_WITH_AS(
      static_cast<void>(
          read_idx({.images = images.path(), .labels = three.path(), .class_names = {"a", "b"}})),
      (three.path() + ": expected 2 labels, one for each image of " + images.path() + ", found 3")
          .c_str(),
      FileError);
}

TEST_CASE("any function can be the reader") {
  const auto from_memory = [](const std::string& path, std::uint64_t) {
    return path == "images" ? two_images() : two_labels();
  };
  const auto dataset =
      read_idx({.images = "images", .labels = "labels", .class_names = {"a", "b"}}, from_memory);
  CHECK(dataset.size() == 2);
}
