// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <filesystem>
#include <string>

#include <doctest/doctest.h>
#include <bitdial/data/fashion_mnist.hpp>
#include <bitdial/data/gzip.hpp>

using bitdial::FileError;
using bitdial::Shape;
using bitdial::data::FashionMnistPart;
using bitdial::data::read_fashion_mnist;
using bitdial::data::read_file_or_gzip;

TEST_CASE("the real Fashion-MNIST") {
  const std::string folder{bitdial::data::fashion_mnist_debian_directory};
  if (!std::filesystem::exists(folder)) {
    MESSAGE("skipped: " << folder << " is absent (Debian package dataset-fashion-mnist)");
    return;
  }
  const auto train = read_fashion_mnist(folder, FashionMnistPart::train, read_file_or_gzip);
  CHECK(train.name() == "fashion-mnist-train");
  CHECK(train.size() == 60000);
  CHECK(train.image_shape() == Shape{28, 28, 1});
  CHECK(train.classes() == 10);
  for (const std::int64_t count : train.class_counts()) CHECK(count == 6000);
  CHECK(train.label(0) == 9);  // an ankle boot opens the set
  CHECK(train.class_names()[9] == "ankle boot");
  double sum = 0.0;
  for (const std::uint8_t byte : train.images().span()) sum += byte;
  CHECK(sum / (60000.0 * 784.0 * 255.0) == doctest::Approx(0.2860).epsilon(0.001));

  const auto test = read_fashion_mnist(folder, FashionMnistPart::test, read_file_or_gzip);
  CHECK(test.size() == 10000);
  for (const std::int64_t count : test.class_counts()) CHECK(count == 1000);

  CHECK_THROWS_WITH_AS(static_cast<void>(read_fashion_mnist(folder, FashionMnistPart::test,
                                                            bitdial::data::read_file)),
                       doctest::Contains("gzip"), FileError);
}

TEST_CASE("a folder without the files is an error that names the file") {
  CHECK_THROWS_WITH_AS(
      static_cast<void>(read_fashion_mnist("/nowhere", FashionMnistPart::train, read_file_or_gzip)),
      "/nowhere/train-images-idx3-ubyte.gz: cannot open: No such file or directory", FileError);
}
