// SPDX-License-Identifier: Apache-2.0
// The answers of a network on a whole data set, in evaluation mode.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include <bitdial/data/loader.hpp>
#include <bitdial/nn/module.hpp>

namespace bitdial::inline BITDIAL_ABI::train {

/// Logits `[N, classes]` of every image of `images` at `plan`, in the order of the source.
[[nodiscard]] inline Tensor<float> evaluate(nn::Module& network, const data::ImageSource& images,
                                            const PrecisionPlan& plan,
                                            std::int64_t batch_size = 250,
                                            const data::ImageOptions& prepared = {}) {
  data::BatchLoader loader(images, {.batch_size = std::min(batch_size, images.size()),
                                    .shuffle = false,
                                    .keep_partial = true,
                                    .images = prepared});
  Tensor<float> logits;
  data::Batch batch;
  for (std::int64_t b = 0; b < loader.batches_per_epoch(); ++b) {
    loader.load(0, b, batch);
    Tape tape;
    const Var output =
        network.forward(tape.borrow(batch.images), {.plan = plan, .mode = nn::Mode::evaluation});
    const Tensor<float>& rows = output.value();
    if (b == 0) logits = Tensor<float>({images.size(), rows.extent(1)});
    std::ranges::copy(rows.span(),
                      logits.data() + b * loader.options().batch_size * rows.extent(1));
  }
  return logits;
}

}  // namespace bitdial::inline BITDIAL_ABI::train
