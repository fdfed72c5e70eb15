// SPDX-License-Identifier: Apache-2.0
// The answers of a network on a whole data set, in evaluation mode.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <bitdial/core/error.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/data/loader.hpp>
#include <bitdial/nn/module.hpp>

namespace bitdial::inline BITDIAL_ABI::train {

namespace detail {

/// Calls `body(batch, logits)` for all images of `images` in their order.
template <class Body>
void for_each_evaluated(nn::Module& network, const data::ImageSource& images,
                        const PrecisionPlan& plan, const data::LoaderOptions& options, Body body) {
  data::BatchLoader loader(images, options);
  data::Batch batch;
  for (std::int64_t b = 0; b < loader.batches_per_epoch(); ++b) {
    loader.load(0, b, batch);
    if (batch.size() == 0) {  // damaged, all of them
      body(batch, Tensor<float>{});
      continue;
    }
    Tape tape;
    const Var output =
        network.forward(tape.borrow(batch.images), {.plan = plan, .mode = nn::Mode::evaluation});
    body(batch, output.value());
  }
}

[[nodiscard]] inline data::LoaderOptions evaluation_loading(const data::ImageSource& images,
                                                            std::int64_t batch_size,
                                                            const data::ImageOptions& prepared) {
  return {.batch_size = std::min(batch_size, images.size()),
          .shuffle = false,
          .keep_partial = true,
          .images = prepared};
}

}  // namespace detail

/// Logits `[N, classes]` of every image of `images` at `plan`, in the order of the source. Throws
/// `FileError` for a damaged image.
[[nodiscard]] inline Tensor<float> evaluate(nn::Module& network, const data::ImageSource& images,
                                            const PrecisionPlan& plan,
                                            std::int64_t batch_size = 250,
                                            const data::ImageOptions& prepared = {}) {
  Tensor<float> logits;
  detail::for_each_evaluated(
      network, images, plan, detail::evaluation_loading(images, batch_size, prepared),
      [&](const data::Batch& batch, const Tensor<float>& rows) {
        if (logits.size() == 0) logits = Tensor<float>({images.size(), rows.extent(1)});
        std::ranges::copy(rows.span(), logits.data() + batch.indices.front() * rows.extent(1));
      });
  return logits;
}

/// The answers on the images that can be read, and what was wrong with the others.
struct ReadableAnswers {
  Tensor<float> logits;                ///< `[indices.size(), classes]`
  std::vector<std::int32_t> labels;    ///< of these images
  std::vector<std::int64_t> indices;   ///< their numbers in the source, in order
  std::vector<std::string> damaged{};  ///< an error text, with its name, of each image left out
};

/// `evaluate` of the images that are not damaged: shares of right answers are of those.
///
/// Throws `FileError` where no image at all can be read.
[[nodiscard]] inline ReadableAnswers evaluate_readable(nn::Module& network,
                                                       const data::ImageSource& images,
                                                       const PrecisionPlan& plan,
                                                       std::int64_t batch_size = 250,
                                                       const data::ImageOptions& prepared = {}) {
  ReadableAnswers answers;
  std::vector<float> logits;
  data::LoaderOptions options = detail::evaluation_loading(images, batch_size, prepared);
  options.skip_damaged = true;
  detail::for_each_evaluated(network, images, plan, options,
                             [&](const data::Batch& batch, const Tensor<float>& rows) {
                               const auto append = [](auto& to, const auto& from) {
                                 to.insert(to.end(), from.begin(), from.end());
                               };
                               append(logits, rows.span());
                               append(answers.labels, batch.labels);
                               append(answers.indices, batch.indices);
                               append(answers.damaged, batch.damaged);
                             });
  const std::int64_t count = std::ssize(answers.indices);
  if (count == 0) {
    throw FileError(concat("evaluate_readable: none of ", images.size(),
                           " images can be read, for example ", answers.damaged.front()));
  }
  answers.logits = Tensor<float>({count, std::ssize(logits) / count});
  std::ranges::copy(logits, answers.logits.data());
  return answers;
}

}  // namespace bitdial::inline BITDIAL_ABI::train
