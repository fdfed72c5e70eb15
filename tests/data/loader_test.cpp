// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <numeric>
#include <type_traits>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/core/rounding.hpp>
#include <bitdial/data/loader.hpp>
#include <bitdial/data/synthetic.hpp>

using bitdial::ConfigError;
using bitdial::Shape;
using bitdial::Tensor;
using bitdial::unit_value;
using bitdial::data::Batch;
using bitdial::data::BatchLoader;
using bitdial::data::Dataset;
using bitdial::data::LoaderOptions;
using bitdial::data::shuffled_order;

namespace {

/// `count` images of 2 x 2 pixels; all bytes of image i are i, its label is i mod 3.
Dataset counted(int count) {
  Tensor<std::uint8_t> images({count, 2, 2, 1});
  std::vector<std::int32_t> labels;
  for (int i = 0; i < count; ++i) {
    for (int j = 0; j < 4; ++j) images[4 * i + j] = static_cast<std::uint8_t>(i);
    labels.push_back(i % 3);
  }
  return {"counted", std::move(images), std::move(labels), {"a", "b", "c"}};
}

bool same(const Batch& a, const Batch& b) {
  return a.indices == b.indices && a.labels == b.labels &&
         std::ranges::equal(a.images.span(), b.images.span());
}

}  // namespace

TEST_CASE("every byte survives the way to the unit interval and back") {
  for (int u = 0; u < 256; ++u) {
    const float x = unit_value(static_cast<std::uint8_t>(u));
    CHECK(x >= 0.0F);
    CHECK(x <= 1.0F);
    CHECK(bitdial::round_half_even(x * 255.0F) == static_cast<float>(u));
  }
}

TEST_CASE("an order is a permutation that depends on seed and epoch") {
  std::vector<std::int64_t> order = shuffled_order(1000, 3, 4);
  CHECK(order == shuffled_order(1000, 3, 4));
  CHECK(order != shuffled_order(1000, 3, 5));
  CHECK(order != shuffled_order(1000, 4, 4));
  // A shuffle leaves about one image in its place and about half of the pairs in order.
  std::int64_t fixed_points = 0;
  std::int64_t ascending = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (order[i] == static_cast<std::int64_t>(i)) ++fixed_points;
    if (i > 0 && order[i] > order[i - 1]) ++ascending;
  }
  CHECK(fixed_points < 8);
  CHECK(std::abs(ascending - 500) < 60);
  std::ranges::sort(order);
  for (std::size_t i = 0; i < order.size(); ++i) CHECK(order[i] == static_cast<std::int64_t>(i));
  CHECK(shuffled_order(1, 1, 1) == std::vector<std::int64_t>{0});
}

TEST_CASE("all orders of three are equally likely") {
  std::vector<int> counts(6);
  for (int epoch = 0; epoch < 6000; ++epoch) {
    const auto order = shuffled_order(3, 1, epoch);
    ++counts[static_cast<std::size_t>(2 * order[0] + (order[1] > order[2] ? 1 : 0))];
  }
  for (const int count : counts) CHECK(std::abs(count - 1000) < 150);
}

TEST_CASE("an epoch shows every image once; the rest is dropped or kept") {
  const Dataset dataset = counted(23);
  for (const bool keep : {false, true}) {
    BatchLoader loader(dataset, {.batch_size = 5, .keep_partial = keep, .seed = 2});
    CHECK(loader.batches_per_epoch() == (keep ? 5 : 4));
    CHECK(loader.images_per_epoch() == (keep ? 23 : 20));
    std::vector<std::int64_t> seen;
    for (std::int64_t b = 0; b < loader.batches_per_epoch(); ++b) {
      const Batch batch = loader.load(7, b);
      CHECK(batch.size() == (b == 4 ? 3 : 5));
      CHECK(batch.images.shape() == Shape{batch.size(), 2, 2, 1});
      for (std::int64_t i = 0; i < batch.size(); ++i) {
        const std::int64_t index = batch.indices[static_cast<std::size_t>(i)];
        CHECK(batch.labels[static_cast<std::size_t>(i)] == index % 3);
        for (std::int64_t j = 0; j < 4; ++j) {
          CHECK(batch.images[4 * i + j] == unit_value(static_cast<std::uint8_t>(index)));
        }
        seen.push_back(index);
      }
    }
    std::ranges::sort(seen);
    CHECK(std::ranges::adjacent_find(seen) == seen.end());
    CHECK(static_cast<std::int64_t>(seen.size()) == loader.images_per_epoch());
  }
}

TEST_CASE("without shuffling the order is that of the data") {
  const Dataset dataset = counted(10);
  BatchLoader loader(dataset, {.batch_size = 4, .shuffle = false, .keep_partial = true});
  CHECK(loader.load(3, 1).indices == std::vector<std::int64_t>{4, 5, 6, 7});
  CHECK(loader.load(0, 2).indices == std::vector<std::int64_t>{8, 9});
}

TEST_CASE("a batch does not depend on what was loaded before, nor on threads") {
  const Dataset dataset = bitdial::data::make_synthetic({.count = 100});
  const bitdial::data::LoaderOptions options{
      .batch_size = 32, .augment = {.shift = 3, .flip = true}, .seed = 11};
  BatchLoader wandering(dataset, options);
  Batch batch;
  wandering.load(0, 0, batch);
  wandering.load(5, 2, batch);
  wandering.load(1, 1, batch);
  for (const int threads : {1, 2, 7}) {
    bitdial::set_thread_count(threads);
    CHECK(same(batch, BatchLoader(dataset, options).load(1, 1)));
  }
  bitdial::set_thread_count(0);
  CHECK_FALSE(same(batch, wandering.load(2, 1)));
}

TEST_CASE("augmentation reaches the batch, with the draw of its epoch and image") {
  const Dataset dataset = bitdial::data::make_synthetic({.count = 12});
  const bitdial::data::AugmentOptions augment{.shift = 5, .flip = true, .padding = 200};
  BatchLoader loader(dataset, {.batch_size = 12, .augment = augment, .seed = 4});
  const Batch batch = loader.load(3, 0);
  std::vector<std::uint8_t> expected(784);
  for (std::int64_t i = 0; i < 12; ++i) {
    const std::int64_t index = batch.indices[static_cast<std::size_t>(i)];
    const auto drawn = bitdial::data::draw_augmentation(augment, 4, 3, index);
    bitdial::data::apply_augmentation(drawn, dataset.image_shape(), 200, dataset.image(index),
                                      expected);
    for (std::int64_t j = 0; j < 784; ++j) {
      REQUIRE(batch.images[784 * i + j] == unit_value(expected[static_cast<std::size_t>(j)]));
    }
  }
}

TEST_CASE("requests and sizes out of range are refused") {
  const Dataset dataset = counted(10);
  BatchLoader loader(dataset, {.batch_size = 5});
  CHECK_THROWS_AS(static_cast<void>(loader.load(0, 2)), ConfigError);
  CHECK_THROWS_AS(static_cast<void>(loader.load(0, -1)), ConfigError);
  CHECK_THROWS_AS(static_cast<void>(loader.load(-1, 0)), ConfigError);
  CHECK_THROWS_AS(BatchLoader(dataset, {.batch_size = 0}), ConfigError);
  CHECK_THROWS_AS(BatchLoader(dataset, {.batch_size = 11}), ConfigError);
  CHECK(BatchLoader(dataset, {.batch_size = 11, .keep_partial = true}).batches_per_epoch() == 1);
  static_assert(!std::is_constructible_v<BatchLoader, Dataset>, "a temporary would dangle");
}

TEST_CASE("the parts of a shared batch make up the batch of one loader") {
  const Dataset dataset = counted(50);
  const LoaderOptions together{.batch_size = 12, .augment = {.shift = 1}, .seed = 2};
  BatchLoader one(dataset, together);
  for (std::int64_t batch = 0; batch < one.batches_per_epoch(); ++batch) {
    const Batch whole = one.load(3, batch);
    for (int part = 0; part < 3; ++part) {
      LoaderOptions options = together;
      options.batch_size = 4;
      options.part = part;
      options.parts = 3;
      BatchLoader share(dataset, options);
      CHECK(share.batches_per_epoch() == one.batches_per_epoch());
      const Batch mine = share.load(3, batch);
      for (std::size_t i = 0; i < 4; ++i) {
        const std::size_t place = static_cast<std::size_t>(part) * 4 + i;
        CHECK(mine.indices[i] == whole.indices[place]);
        CHECK(mine.labels[i] == whole.labels[place]);
      }
      CHECK(
          std::equal(mine.images.data(), mine.images.data() + 16, whole.images.data() + part * 16));
    }
  }
  CHECK_THROWS_AS(BatchLoader(dataset, {.part = 2, .parts = 2}), ConfigError);
  CHECK_THROWS_AS(BatchLoader(dataset, {.keep_partial = true, .parts = 2}), ConfigError);
  CHECK_THROWS_AS(BatchLoader(dataset, {.batch_size = 26, .parts = 2}), ConfigError);
}
