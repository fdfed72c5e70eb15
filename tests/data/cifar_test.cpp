// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/data/cifar.hpp>

#include "scratch_file.hpp"

using bitdial::ConfigError;
using bitdial::FileError;
using bitdial::Shape;
using bitdial::data::CifarKind;
using bitdial::data::parse_cifar;
using bitdial::data::read_cifar;
using Bytes = std::vector<std::byte>;

namespace {

/// Byte `pixel` of plane `channel` of record `i`.
int pixel_value(std::size_t i, std::size_t channel, std::size_t pixel) {
  return static_cast<int>((i * 31 + channel * 85 + pixel * 7) % 256);
}

/// One record per row of label bytes.
Bytes records(const std::vector<std::vector<int>>& labels) {
  Bytes out;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    for (const int label : labels[i]) out.push_back(static_cast<std::byte>(label));
    for (std::size_t channel = 0; channel < 3; ++channel) {
      for (std::size_t pixel = 0; pixel < 1024; ++pixel) {
        out.push_back(static_cast<std::byte>(pixel_value(i, channel, pixel)));
      }
    }
  }
  return out;
}

}  // namespace

TEST_CASE("planes become interleaved channels") {
  const auto parsed = parse_cifar(records({{3}, {9}}), "x", CifarKind::cifar10);
  CHECK(parsed.labels == std::vector<std::int32_t>{3, 9});
  REQUIRE(parsed.images.shape() == Shape{2, 32, 32, 3});
  const auto view = parsed.images.view();
  for (std::size_t i = 0; i < 2; ++i) {
    for (std::size_t pixel : {0U, 1U, 31U, 32U, 500U, 1023U}) {
      for (std::size_t channel = 0; channel < 3; ++channel) {
        CHECK(view(i, pixel / 32, pixel % 32, channel) == pixel_value(i, channel, pixel));
      }
    }
  }
}

TEST_CASE("CIFAR-100 has a coarse and a fine label") {
  const Bytes two = records({{19, 99}, {0, 42}});
  CHECK(parse_cifar(two, "x", CifarKind::cifar100_fine).labels ==
        std::vector<std::int32_t>{99, 42});
  CHECK(parse_cifar(two, "x", CifarKind::cifar100_coarse).labels ==
        std::vector<std::int32_t>{19, 0});
  CHECK(parse_cifar(two, "x", CifarKind::cifar100_fine).images[3] == pixel_value(0, 0, 1));
}

TEST_CASE("labels out of range name file, record and value") {
  CHECK_THROWS_WITH_AS(
      static_cast<void>(parse_cifar(records({{3}, {10}}), "f", CifarKind::cifar10)),
      "f: expected labels below 10, record 1 has label 10", FileError);
  for (const CifarKind kind : {CifarKind::cifar100_fine, CifarKind::cifar100_coarse}) {
    CHECK_THROWS_WITH_AS(static_cast<void>(parse_cifar(records({{20, 0}}), "f", kind)),
                         "f: expected labels below 20, record 0 has label 20", FileError);
    CHECK_THROWS_WITH_AS(static_cast<void>(parse_cifar(records({{19, 100}}), "f", kind)),
                         "f: expected labels below 100, record 0 has label 100", FileError);
  }
}

TEST_CASE("a file cut anywhere but between records is refused") {
  const Bytes whole = records({{1}, {2}});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    if (size == 3073) continue;
    CAPTURE(size);
    CHECK_THROWS_AS(
        static_cast<void>(parse_cifar(std::span{whole}.first(size), "f", CifarKind::cifar10)),
        FileError);
  }
  CHECK_THROWS_WITH(static_cast<void>(parse_cifar({}, "f", CifarKind::cifar10)),
                    "f: expected whole records of 3073 bytes, found 0 bytes (empty file)");
  CHECK_THROWS_WITH(
      static_cast<void>(parse_cifar(std::span{whole}.first(3080), "f", CifarKind::cifar100_fine)),
      "f: expected whole records of 3074 bytes, found 3080 bytes = 1 records and 6 bytes");
}

TEST_CASE("several files are read in order") {
  const scratch::File first(records({{1}, {2}}));
  const scratch::File second(records({{7}}));
  const auto dataset = read_cifar({.files = {first.path(), second.path()}});
  CHECK(dataset.size() == 3);
  CHECK(dataset.label(1) == 2);
  CHECK(dataset.label(2) == 7);
  CHECK(dataset.image(1)[1] == pixel_value(1, 1, 0));
  CHECK(dataset.image(2)[1] == pixel_value(0, 1, 0));
  CHECK(dataset.class_names()[9] == "truck");
  CHECK_THROWS_AS(static_cast<void>(read_cifar({.files = {}})), ConfigError);
}

TEST_CASE("class names come from a text file of any system") {
  const scratch::File file(records({{1}}));
  const scratch::File names(scratch::bytes("a\nb\r\nc\nd\ne\nf g\n\nh\ni\nj\nk"));
  const auto dataset = read_cifar({.files = {file.path()}, .class_names = names.path()});
  CHECK(dataset.class_names()[1] == "b");
  CHECK(dataset.class_names()[5] == "f g");
  CHECK(dataset.class_names()[9] == "k");
  const scratch::File short_list(scratch::bytes("a\nb\n"));
  CHECK_THROWS_WITH_AS(
      static_cast<void>(read_cifar({.files = {file.path()}, .class_names = short_list.path()})),
      (short_list.path() + ": expected 10 class names, found 2").c_str(), FileError);
}

TEST_CASE("the real CIFAR-100 test set") {
  const char* folder = std::getenv("BITDIAL_SHARED");
  const std::string archive =
      std::string(folder != nullptr ? folder : BITDIAL_SOURCE_DIR "/../shared") +
      "/data/cifar-100-binary.tar.xz";
  if (!std::filesystem::exists(archive)) {
    MESSAGE("skipped: " << archive << " is absent");
    return;
  }
  const auto scratch_folder =
      std::filesystem::temp_directory_path() / ("bitdial-cifar-" + std::to_string(getpid()));
  std::filesystem::create_directories(scratch_folder);
  // The test set comes early in the archive, so tar may stop there.
  const std::string unpack = "tar -xJf '" + archive + "' -C '" + scratch_folder.string() +
                             "' --occurrence=1 cifar-100-binary/test.bin "
                             "cifar-100-binary/fine_label_names.txt 2>/dev/null";
  if (std::system(unpack.c_str()) != 0) {
    MESSAGE("skipped: tar cannot unpack " << archive);
    std::filesystem::remove_all(scratch_folder);
    return;
  }
  const std::string base = (scratch_folder / "cifar-100-binary").string();
  const auto dataset = read_cifar({.kind = CifarKind::cifar100_fine,
                                   .files = {base + "/test.bin"},
                                   .class_names = base + "/fine_label_names.txt"});
  std::filesystem::remove_all(scratch_folder);

  CHECK(dataset.size() == 10000);
  CHECK(dataset.class_names()[0] == "apple");
  CHECK(dataset.class_names()[99] == "worm");
  for (const std::int64_t count : dataset.class_counts()) CHECK(count == 100);
  // The training set has mean .50708 .48655 .44092; the test set lies close to it.
  const double train_mean[3] = {.50708, .48655, .44092};
  double sum[3] = {};
  const auto bytes = dataset.images().span();
  for (std::size_t i = 0; i < bytes.size(); ++i) sum[i % 3] += bytes[i];
  for (std::size_t channel = 0; channel < 3; ++channel) {
    const double mean = sum[channel] / 255.0 / (10000.0 * 1024.0);
    CHECK(mean == doctest::Approx(train_mean[channel]).epsilon(0.01));
  }
}
