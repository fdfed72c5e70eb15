// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/data/prefetch.hpp>
#include <bitdial/data/synthetic.hpp>

using bitdial::concat;
using bitdial::ConfigError;
using bitdial::Error;
using bitdial::FileError;
using bitdial::Shape;
using bitdial::TensorView;
using bitdial::data::Batch;
using bitdial::data::BatchLoader;
using bitdial::data::Dataset;
using bitdial::data::ImageMemory;
using bitdial::data::ImageSource;
using bitdial::data::LoaderOptions;
using bitdial::data::PrefetchingLoader;

namespace {

/// Images of 2 x 3 pixels whose bytes follow from their number; some of them are damaged.
class Decoded final : public ImageSource {
 public:
  explicit Decoded(std::int64_t count, std::set<std::int64_t> damaged = {})
      : count_{count}, damaged_{std::move(damaged)} {}

  [[nodiscard]] const std::string& name() const noexcept override { return name_; }
  [[nodiscard]] std::int64_t size() const noexcept override { return count_; }
  [[nodiscard]] const std::vector<std::string>& class_names() const noexcept override {
    return classes_;
  }
  [[nodiscard]] std::int32_t label(std::int64_t index) const noexcept override {
    return static_cast<std::int32_t>(index % 3);
  }
  [[nodiscard]] Shape image_shape() const noexcept override { return {2, 3, 1}; }
  [[nodiscard]] TensorView<const std::uint8_t> read(std::int64_t index,
                                                    ImageMemory& memory) const override {
    ++reads;
    if (damaged_.contains(index)) throw FileError(concat("image-", index, ".jpg: is damaged"));
    memory.resize(6);
    for (std::size_t i = 0; i < 6; ++i) {
      memory[i] = static_cast<std::uint8_t>(static_cast<std::size_t>(index) * 7 + i);
    }
    return {memory.data(), image_shape()};
  }

  mutable std::atomic<std::int64_t> reads{0};

 private:
  std::int64_t count_;
  std::set<std::int64_t> damaged_;
  std::string name_ = "decoded";
  std::vector<std::string> classes_{"a", "b", "c"};
};

bool same(const Batch& a, const Batch& b) {
  return a.indices == b.indices && a.labels == b.labels && a.damaged == b.damaged &&
         a.images.shape() == b.images.shape() &&
         std::ranges::equal(a.images.span(), b.images.span());
}

template <class Function>
std::string error_text(Function function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("the batches are those of the loader for every number of workers and every depth") {
  const Dataset images = bitdial::data::make_synthetic({.count = 103, .size = 12});
  const LoaderOptions options{
      .batch_size = 20, .keep_partial = true, .augment = {.shift = 2, .flip = true}, .seed = 5};
  BatchLoader plain(images, options);
  for (const int workers : {0, 1, 2, 5}) {
    for (const int depth : {1, 2, 7}) {
      CAPTURE(workers);
      CAPTURE(depth);
      PrefetchingLoader ahead(BatchLoader(images, options), {.workers = workers, .depth = depth});
      for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
        for (std::int64_t batch = 0; batch < plain.batches_per_epoch(); ++batch) {
          CHECK(same(ahead.get(epoch, batch), plain.load(epoch, batch)));
        }
      }
    }
  }
}

TEST_CASE("any batch may be asked for, again or out of order") {
  const Decoded images(100);
  const LoaderOptions options{.batch_size = 10, .seed = 3};
  BatchLoader plain(images, options);
  PrefetchingLoader ahead(BatchLoader(images, options), {.workers = 2, .depth = 3});
  const std::vector<std::pair<std::int64_t, std::int64_t>> order{
      {0, 4}, {0, 5}, {0, 5}, {0, 4}, {7, 0}, {0, 0}, {0, 1}, {0, 9}, {1, 0}, {1, 0}, {0, 9}};
  for (const auto& [epoch, batch] : order) {
    CHECK(same(ahead.get(epoch, batch), plain.load(epoch, batch)));
  }
}

TEST_CASE("never more than the depth is prepared ahead, in buffers that go round") {
  const Decoded images(1000);
  std::set<const float*> buffers;
  {
    PrefetchingLoader ahead(BatchLoader(images, {.batch_size = 10}), {.workers = 3, .depth = 4});
    for (std::int64_t batch = 0; batch < 50; ++batch) {
      buffers.insert(ahead.get(0, batch).images.data());
      CHECK(images.reads <= 10 * (batch + 1 + 4));
    }
  }
  CHECK(buffers.size() <= 5);
  CHECK(images.reads <= 10 * (50 + 4));
}

TEST_CASE("nothing is read before the first batch is asked for") {
  const Decoded images(100);
  { const PrefetchingLoader ahead(BatchLoader(images, {.batch_size = 10}), {.workers = 4}); }
  CHECK(images.reads == 0);
}

TEST_CASE("a damaged image stops the one who asks for its batch, again and again") {
  const Decoded images(60, {23, 25});
  const LoaderOptions options{.batch_size = 20, .shuffle = false};
  BatchLoader plain(images, options);
  for (const int workers : {0, 1, 3}) {
    CAPTURE(workers);
    PrefetchingLoader ahead(BatchLoader(images, options), {.workers = workers, .depth = 2});
    CHECK(same(ahead.get(0, 0), plain.load(0, 0)));
    for (int again = 0; again < 2; ++again) {
      CHECK(error_text([&] { ahead.get(0, 1); }) == "image-23.jpg: is damaged");
    }
    CHECK(same(ahead.get(0, 2), plain.load(0, 2)));
  }
}

TEST_CASE("damaged images are left out and named where that is asked for") {
  const Decoded images(60, {0, 23, 39, 57});
  for (const int workers : {0, 1, 3}) {
    CAPTURE(workers);
    PrefetchingLoader ahead(
        BatchLoader(images, {.batch_size = 20, .shuffle = false, .skip_damaged = true}),
        {.workers = workers});
    const Batch& batch = ahead.get(0, 1);
    CHECK(batch.damaged ==
          std::vector<std::string>{"image-23.jpg: is damaged", "image-39.jpg: is damaged"});
    REQUIRE(batch.size() == 18);
    CHECK(batch.images.shape() == Shape{18, 2, 3, 1});
    for (std::int64_t i = 0; i < 18; ++i) {
      const std::int64_t index = 20 + i + (i >= 3 ? 1 : 0);
      CHECK(batch.indices[static_cast<std::size_t>(i)] == index);
      CHECK(batch.labels[static_cast<std::size_t>(i)] == index % 3);
      CHECK(batch.images[i * 6 + 5] == bitdial::unit_value(static_cast<std::uint8_t>(
                                           static_cast<std::size_t>(index) * 7 + 5)));
    }
    CHECK(ahead.get(0, 2).size() == 19);
    CHECK(ahead.get(0, 0).size() == 19);
    CHECK(ahead.get(1, 0).damaged.size() == 1);
  }
}

TEST_CASE("a batch of damaged images alone is empty where damage is skipped") {
  const Decoded images(4, {2, 3});
  for (const int workers : {0, 2}) {
    PrefetchingLoader ahead(
        BatchLoader(images, {.batch_size = 2, .shuffle = false, .skip_damaged = true}),
        {.workers = workers});
    for (int again = 0; again < 2; ++again) {
      const Batch& batch = ahead.get(0, 1);
      CHECK(batch.size() == 0);
      CHECK(batch.images.shape() == Shape{0, 2, 3, 1});
      CHECK(batch.damaged.size() == 2);
      CHECK(ahead.get(0, 0).size() == 2);
    }
  }
}

TEST_CASE("the end of a loader that is at work") {
  const Decoded images(100000);
  for (int i = 0; i < 50; ++i) {
    PrefetchingLoader ahead(BatchLoader(images, {.batch_size = 100}), {.workers = 3, .depth = 8});
    ahead.get(0, i);
  }
}

TEST_CASE("options out of range") {
  const Decoded images(10);
  const BatchLoader loader(images, {.batch_size = 5});
  CHECK(error_text([&] { PrefetchingLoader(loader, {.workers = -1}); }) ==
        "prefetch: expected workers >= 0 and a depth >= 1, found -1 workers and depth 2");
  CHECK_THROWS_AS(PrefetchingLoader(loader, {.depth = 0}), ConfigError);
  for (const int workers : {0, 1}) {
    PrefetchingLoader ahead(loader, {.workers = workers});
    CHECK_THROWS_AS(ahead.get(0, 2), ConfigError);
    CHECK_THROWS_AS(ahead.get(0, -1), ConfigError);
    CHECK_THROWS_AS(ahead.get(-1, 0), ConfigError);
    CHECK(ahead.get(0, 1).size() == 5);
  }
}
