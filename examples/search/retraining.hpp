// SPDX-License-Identifier: Apache-2.0
// Trains a network from scratch at one plan, packs it, and holds the packed network against it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <bitdial/deploy/pack.hpp>
#include <bitdial/models/resnet_cifar.hpp>
#include <bitdial/quant/policies/gaussian.hpp>
#include <bitdial/quant/policies/hwgq.hpp>
#include <bitdial/runtime.hpp>
#include <bitdial/train/evaluate.hpp>
#include <bitdial/train/progress.hpp>
#include <bitdial/train/sgd.hpp>
#include <bitdial/train/trainer.hpp>

#include "images.hpp"

namespace search {

// Batch normalisation before every quantizer: the steps of HWGQ suit unit variance.
inline bitdial::models::ResNetCifarOptions network_options(const Options& options,
                                                           const bitdial::data::Dataset& images) {
  return {.depth = options.depth(),
          .width = options.width,
          .order = bitdial::models::ResidualOrder::preactivated,
          .in_channels = images.image_shape()[2],
          .classes = images.classes()};
}

inline constexpr std::int64_t batch_size = 64;

inline bitdial::train::TrainerOptions recipe(const Options& options, const Images& images,
                                             std::int64_t epochs, float rate) {
  const std::int64_t steps = epochs * (images.train.size() / batch_size);
  return {.epochs = epochs,
          .batch_size = batch_size,
          .learning_rate = bitdial::train::CosineSchedule(
              {.rate = rate, .steps = std::max<std::int64_t>(2, steps), .warmup = steps / 20}),
          .augment = {.shift = 1, .flip = !options.synthetic()},
          .seed = options.seed};
}

// What the retrained network does on the test images.
struct Retrained {
  double top1 = 0.0;
  bool identical = false;  // packed and evaluated logits, bit for bit
};

inline Retrained train_and_pack(const Options& options, const Images& images,
                                const bitdial::PrecisionPlan& plan, const std::string& path) {
  namespace train = bitdial::train;
  using Widths = bitdial::BitList<4, 3, 2, 1>;
  const auto network =
      bitdial::models::resnet_cifar<Widths, bitdial::GaussianWeights, bitdial::HwgqActivations>(
          network_options(options, images.train));
  bitdial::nn::initialize(*network, options.seed);
  const std::vector<bitdial::PrecisionPlan> plans{plan};
  bitdial::add_plans(*network, plans);
  train::Sgd optimizer(bitdial::nn::parameters(*network), {.weight_decay = 1e-4F});
  train::TrainerOptions training = recipe(options, images, options.train_epochs, 0.1F);
  training.plans = plans;
  train::Trainer trainer(*network, images.train, optimizer, training);
  train::Progress progress(options.progress(), {.epochs = options.train_epochs,
                                                .steps_per_epoch = trainer.steps_per_epoch(),
                                                .images_per_step = batch_size});
  train::RunningMean loss, share;
  while (!trainer.done()) {
    const train::StepReport report = trainer.step();
    loss.add(static_cast<double>(report.losses.front()));
    share.add(static_cast<double>(report.accuracies.front()));
    const std::vector<train::NamedShare> shares{{"top-1", share.mean()}};
    progress.step(loss.mean(), shares);
    if (trainer.position() % trainer.steps_per_epoch() != 0) continue;
    progress.end_epoch(loss.mean(), shares);
    loss = share = {};
  }

  const auto expected = train::evaluate(*network, images.test, plan);
  const auto packed = bitdial::pack(*network, {.plans = plans,
                                               .input_shape = images.test.image_shape(),
                                               .labels = images.test.class_names()});
  bitdial::write_model(path, packed).value();
  const auto model = bitdial::Model::open(path).value();
  auto session = bitdial::Session::create(model, {.max_batch = 100}).value();
  bitdial::Tensor<float> logits(expected.shape());
  session.run(images.test.images().span(), logits.span(), plan).value();
  const auto correct = train::top_k_correct(logits.view(), images.test.labels(), 1);
  return {.top1 = static_cast<double>(correct) / static_cast<double>(images.test.size()),
          .identical = std::memcmp(logits.data(), expected.data(),
                                   static_cast<std::size_t>(logits.size()) * sizeof(float)) == 0};
}

}  // namespace search
