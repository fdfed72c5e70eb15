// SPDX-License-Identifier: Apache-2.0
// Batches for training and evaluation with random access: batch b of epoch e is a pure function of
// the data set and the options, so resuming a run needs no loader state.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <bitdial/core/parallel.hpp>
#include <bitdial/core/random.hpp>
#include <bitdial/core/tensor.hpp>
#include <bitdial/data/preparation.hpp>

namespace bitdial::inline BITDIAL_ABI::data {

/// Images as the networks take them, `[B, H, W, C]`, with labels and their places in the data set.
struct Batch {
  Tensor<float> images;
  std::vector<std::int32_t> labels;
  std::vector<std::int64_t> indices;
  /// What was wrong with the images that were left out (`LoaderOptions::skip_damaged`).
  std::vector<std::string> damaged;

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
  ImageOptions images{};      ///< size and normalisation
  AugmentOptions augment{};   ///< nothing by default
  std::uint64_t seed = 1;
  /// Leaves damaged images out of their batch and reports them there; otherwise they are errors. A
  /// batch of damaged images alone is empty.
  bool skip_damaged = false;
  /// One of `parts` processes that share each batch of `parts * batch_size` images: this loader
  /// shows images `part * batch_size` and on.
  int part = 0;
  int parts = 1;
};

/// Cuts the images of a source into batches. The source must outlive the loader.
///
/// Throws `ConfigError` for a batch size below 1 or, without `keep_partial`, above the data set;
/// for a part outside `0 .. parts - 1`, and for several parts with `keep_partial`.
class BatchLoader {
 public:
  explicit BatchLoader(const ImageSource& source, const LoaderOptions& options = {})
      : source_{&source},
        options_{options},
        preparation_{source, options.images, options.augment, options.seed} {
    if (options.part < 0 || options.part >= options.parts ||
        (options.parts > 1 && options.keep_partial)) {
      throw ConfigError(concat(
          "loader: expected a part 0 .. parts - 1 and whole batches for "
          "several parts, found part ",
          options.part, " of ", options.parts, options.keep_partial ? " with keep_partial" : ""));
    }
    if (options.batch_size < 1 || batches_per_epoch() < 1) {
      throw ConfigError(concat("loader: expected a batch size of 1 .. ",
                               source.size() / options.parts, " for '", source.name(), "', found ",
                               options.batch_size));
    }
  }
  BatchLoader(const ImageSource&&, const LoaderOptions& = {}) = delete;

  [[nodiscard]] const ImageSource& source() const noexcept { return *source_; }
  [[nodiscard]] const LoaderOptions& options() const noexcept { return options_; }
  /// The shape `[H, W, C]` of the images in a batch.
  [[nodiscard]] Shape image_shape() const noexcept { return preparation_.shape(); }
  [[nodiscard]] std::int64_t batches_per_epoch() const noexcept {
    const std::int64_t whole = source_->size() / options_.parts / options_.batch_size;
    const bool partial = options_.keep_partial && source_->size() % options_.batch_size != 0;
    return whole + (partial ? 1 : 0);
  }
  /// The number of images that one epoch of this loader shows.
  [[nodiscard]] std::int64_t images_per_epoch() const noexcept {
    return std::min(source_->size(), batches_per_epoch() * options_.batch_size);
  }

  /// Fills `out` with batch `batch` of epoch `epoch`, both from 0; its memory is reused.
  ///
  /// Batches may be asked for in any order; a new epoch costs one shuffle. Throws `ConfigError`
  /// outside `0 .. batches_per_epoch() - 1`, `FileError` for a damaged image.
  void load(std::int64_t epoch, std::int64_t batch, Batch& out) {
    begin(epoch, batch, out);
    const std::int64_t chunks = chunk_count(out);
    std::vector<std::vector<Damage>> damage(static_cast<std::size_t>(chunks));
    parallel_for(chunks, 1, [&](std::int64_t first, std::int64_t last) {
      PreparationMemory memory;
      for (std::int64_t chunk = first; chunk < last; ++chunk) {
        fill(epoch, chunk, out, memory, damage[static_cast<std::size_t>(chunk)]);
      }
    });
    for (std::size_t chunk = 1; chunk < damage.size(); ++chunk) {
      std::ranges::move(damage[chunk], std::back_inserter(damage.front()));
    }
    finish(out, damage.front());
  }

  /// The same as a new batch.
  [[nodiscard]] Batch load(std::int64_t epoch, std::int64_t batch) {
    Batch loaded;
    load(epoch, batch, loaded);
    return loaded;
  }

  // The three stages of `load`, for those who spread a batch over threads of their own: `begin`
  // once, `fill` for every chunk in any order and by any threads, `finish` once.

  /// A damaged image: its place in the batch and what is wrong.
  struct Damage {
    std::int64_t place = 0;
    std::string text{};
  };

  /// Chooses the images of a batch: labels and indices; the pixels are to come.
  void begin(std::int64_t epoch, std::int64_t batch, Batch& out) {
    if (epoch < 0 || batch < 0 || batch >= batches_per_epoch()) {
      throw ConfigError(concat("loader: expected batch 0 .. ", batches_per_epoch() - 1,
                               " of an epoch from 0, found batch ", batch, " of epoch ", epoch));
    }
    const std::int64_t first = (batch * options_.parts + options_.part) * options_.batch_size;
    const std::int64_t count = std::min(options_.batch_size, source_->size() - first);
    choose(epoch, first, count, out);
    const Shape image = image_shape();
    const Shape shape{count, image[0], image[1], image[2]};
    if (out.images.shape() != shape) out.images = Tensor<float>(shape, Uninitialized{});
    out.damaged.clear();
  }

  /// The number of chunks of a batch that `begin` has chosen.
  [[nodiscard]] static std::int64_t chunk_count(const Batch& batch) noexcept {
    return (batch.size() + chunk_size - 1) / chunk_size;
  }

  /// Prepares the images of one chunk; appends to `damage` what is to be left out.
  void fill(std::int64_t epoch, std::int64_t chunk, Batch& out, PreparationMemory& memory,
            std::vector<Damage>& damage) const {
    const std::int64_t values = image_shape().size();
    const std::int64_t end = std::min(out.size(), (chunk + 1) * chunk_size);
    for (std::int64_t place = chunk * chunk_size; place < end; ++place) {
      const std::span<float> to{out.images.data() + place * values,
                                static_cast<std::size_t>(values)};
      try {
        preparation_.run(epoch, out.indices[static_cast<std::size_t>(place)], memory, to);
      } catch (const FileError& error) {
        if (!options_.skip_damaged) throw;
        damage.push_back({place, error.what()});
      }
    }
  }

  /// Takes damaged images out of the batch; none may remain.
  void finish(Batch& out, std::vector<Damage>& damage) const {
    if (damage.empty()) return;
    std::ranges::sort(damage, {}, &Damage::place);
    const std::int64_t values = image_shape().size();
    const std::int64_t remaining = out.size() - static_cast<std::int64_t>(damage.size());
    Tensor<float> images(out.images.shape().with(0, remaining), Uninitialized{});
    std::int64_t kept = 0;
    auto next = damage.begin();
    for (std::int64_t place = 0; place < out.size(); ++place) {
      if (next != damage.end() && next->place == place) {
        out.damaged.push_back(std::move((next++)->text));
        continue;
      }
      std::copy_n(out.images.data() + place * values, values, images.data() + kept * values);
      out.labels[static_cast<std::size_t>(kept)] = out.labels[static_cast<std::size_t>(place)];
      out.indices[static_cast<std::size_t>(kept)] = out.indices[static_cast<std::size_t>(place)];
      ++kept;
    }
    out.images = std::move(images);
    out.labels.resize(static_cast<std::size_t>(kept));
    out.indices.resize(static_cast<std::size_t>(kept));
  }

 private:
  /// Images per chunk: enough work to be worth a lock, few enough to share a batch among threads.
  static constexpr std::int64_t chunk_size = 8;

  /// Writes the indices and labels of the images at `first .. first + count - 1` of the order.
  void choose(std::int64_t epoch, std::int64_t first, std::int64_t count, Batch& out) {
    out.indices.resize(static_cast<std::size_t>(count));
    if (options_.shuffle) {
      if (order_epoch_ != epoch) {
        order_ = shuffled_order(source_->size(), options_.seed, epoch);
        order_epoch_ = epoch;
      }
      std::copy_n(order_.begin() + static_cast<std::ptrdiff_t>(first), count, out.indices.begin());
    } else {
      std::iota(out.indices.begin(), out.indices.end(), first);
    }
    out.labels.clear();
    for (const std::int64_t index : out.indices) out.labels.push_back(source_->label(index));
  }

  const ImageSource* source_;
  LoaderOptions options_;
  Preparation preparation_;
  std::vector<std::int64_t> order_;
  std::int64_t order_epoch_ = -1;
};

}  // namespace bitdial::inline BITDIAL_ABI::data
