// SPDX-License-Identifier: Apache-2.0
// Batches for training and evaluation with random access: batch b of epoch e is a pure function of
// the data set and the options, so resuming a run needs no loader state.
#pragma once

#include <cstdint>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include <bitdial/core/image_byte.hpp>
#include <bitdial/core/parallel.hpp>
#include <bitdial/core/random.hpp>
#include <bitdial/data/augment.hpp>
#include <bitdial/data/dataset.hpp>

namespace bitdial::inline BITDIAL_ABI::data {

/// Images as the networks take them, `[B, H, W, C]` in [0, 1], with labels and their places in the
/// data set.
struct Batch {
  Tensor<float> images;
  std::vector<std::int32_t> labels;
  std::vector<std::int64_t> indices;

  [[nodiscard]] std::int64_t size() const noexcept {
    return static_cast<std::int64_t>(labels.size());
  }
};

/// The permutation of 0 .. count - 1 for an epoch: Fisher-Yates with the stream (seed, epoch).
[[nodiscard]] inline std::vector<std::int64_t> shuffled_order(std::int64_t count,
                                                              std::uint64_t seed,
                                                              std::int64_t epoch) {
  constexpr std::uint64_t purpose = 0x73687566666c6500;  // "shuffle", apart from other streams
  Random random(seed ^ purpose, static_cast<std::uint64_t>(epoch));
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  for (std::size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[random.below(static_cast<std::uint32_t>(i))]);
  }
  return order;
}

struct LoaderOptions {
  std::int64_t batch_size = 128;
  bool shuffle = true;        ///< a new order in every epoch; otherwise the order of the data set
  bool keep_partial = false;  ///< whether the last batch of an epoch may be smaller
  AugmentOptions augment{};   ///< nothing by default
  std::uint64_t seed = 1;
};

/// Cuts a data set into batches. The data set must outlive the loader.
///
/// Throws `ConfigError` for a batch size below 1 or, without `keep_partial`, above the data set.
class BatchLoader {
 public:
  explicit BatchLoader(const Dataset& dataset, const LoaderOptions& options = {})
      : dataset_{&dataset}, options_{options} {
    if (options.batch_size < 1 || batches_per_epoch() < 1) {
      throw ConfigError(concat("loader: expected a batch size of 1 .. ", dataset.size(), " for '",
                               dataset.name(), "', found ", options.batch_size));
    }
  }
  BatchLoader(const Dataset&&, const LoaderOptions& = {}) = delete;

  [[nodiscard]] const Dataset& dataset() const noexcept { return *dataset_; }
  [[nodiscard]] const LoaderOptions& options() const noexcept { return options_; }
  [[nodiscard]] std::int64_t batches_per_epoch() const noexcept {
    const std::int64_t whole = dataset_->size() / options_.batch_size;
    const bool partial = options_.keep_partial && dataset_->size() % options_.batch_size != 0;
    return whole + (partial ? 1 : 0);
  }
  /// The number of images that one epoch shows.
  [[nodiscard]] std::int64_t images_per_epoch() const noexcept {
    return std::min(dataset_->size(), batches_per_epoch() * options_.batch_size);
  }

  /// Fills `out` with batch `batch` of epoch `epoch`, both from 0; its memory is reused.
  ///
  /// Batches may be asked for in any order; a new epoch costs one shuffle. Throws `ConfigError`
  /// outside `0 .. batches_per_epoch() - 1`.
  void load(std::int64_t epoch, std::int64_t batch, Batch& out) {
    if (epoch < 0 || batch < 0 || batch >= batches_per_epoch()) {
      throw ConfigError(concat("loader: expected batch 0 .. ", batches_per_epoch() - 1,
                               " of an epoch from 0, found batch ", batch, " of epoch ", epoch));
    }
    const std::int64_t first = batch * options_.batch_size;
    const std::int64_t count = std::min(options_.batch_size, dataset_->size() - first);
    choose(epoch, first, count, out);
    const Shape image = dataset_->image_shape();
    const Shape shape{count, image[0], image[1], image[2]};
    if (out.images.shape() != shape) out.images = Tensor<float>(shape);
    parallel_for(count, 16, [&](std::int64_t begin, std::int64_t end) {
      std::vector<std::uint8_t> moved(static_cast<std::size_t>(image.size()));
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t index = out.indices[static_cast<std::size_t>(i)];
        std::span<const std::uint8_t> bytes = dataset_->image(index);
        const Augmentation drawn = draw_augmentation(options_.augment, options_.seed, epoch, index);
        if (drawn != Augmentation{}) {
          apply_augmentation(drawn, image, options_.augment.padding, bytes, moved);
          bytes = moved;
        }
        float* to = out.images.data() + i * image.size();
        for (const std::uint8_t byte : bytes) *to++ = unit_value(byte);
      }
    });
  }

  /// The same as a new batch.
  [[nodiscard]] Batch load(std::int64_t epoch, std::int64_t batch) {
    Batch loaded;
    load(epoch, batch, loaded);
    return loaded;
  }

 private:
  /// Writes the indices and labels of the images at `first .. first + count - 1` of the order.
  void choose(std::int64_t epoch, std::int64_t first, std::int64_t count, Batch& out) {
    out.indices.resize(static_cast<std::size_t>(count));
    if (options_.shuffle) {
      if (order_epoch_ != epoch) {
        order_ = shuffled_order(dataset_->size(), options_.seed, epoch);
        order_epoch_ = epoch;
      }
      std::copy_n(order_.begin() + static_cast<std::ptrdiff_t>(first), count, out.indices.begin());
    } else {
      std::iota(out.indices.begin(), out.indices.end(), first);
    }
    out.labels.clear();
    for (const std::int64_t index : out.indices) out.labels.push_back(dataset_->label(index));
  }

  const Dataset* dataset_;
  LoaderOptions options_;
  std::vector<std::int64_t> order_;
  std::int64_t order_epoch_ = -1;
};

}  // namespace bitdial::inline BITDIAL_ABI::data
