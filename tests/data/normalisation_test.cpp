// SPDX-License-Identifier: Apache-2.0
#include <cstdint>

#include <doctest/doctest.h>
#include <bitdial/data/normalisation.hpp>

using bitdial::ConfigError;
using bitdial::unit_value;
using bitdial::data::ByteValues;
using bitdial::data::Normalisation;

TEST_CASE("the table holds (u / 255 - mean) / deviation, without a normalisation u / 255") {
  const Normalisation each{.mean = {0.5F, 0.25F}, .deviation = {2.0F, 0.125F}};
  const ByteValues values(each, 2);
  const ByteValues plain({}, 1);
  for (int u = 0; u < 256; ++u) {
    const float x = unit_value(static_cast<std::uint8_t>(u));
    const auto at = static_cast<std::size_t>(u);
    CHECK(values[0][at] == (x - 0.5F) / 2.0F);
    CHECK(values[1][at] == (x - 0.25F) / 0.125F);
    CHECK(each(x, 1) == values[1][at]);
    CHECK(plain[0][at] == x);
  }
}

TEST_CASE("means and deviations must fit the images") {
  const auto refused = [](const Normalisation& options, std::int64_t channels) {
    CHECK_THROWS_AS(ByteValues(options, channels), ConfigError);
  };
  refused({.mean = {0.5F}, .deviation = {1.0F, 1.0F}}, 2);
  refused({.mean = {0.5F}, .deviation = {}}, 1);
  refused({.mean = {0.5F}, .deviation = {0.0F}}, 1);
  refused(bitdial::data::imagenet_normalisation(), 1);
  CHECK(ByteValues(bitdial::data::imagenet_normalisation(), 3).channels() == 3);
  CHECK(ByteValues(bitdial::data::cifar100_normalisation(), 3).channels() == 3);
}
