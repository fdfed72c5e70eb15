// SPDX-License-Identifier: Apache-2.0
#include "training.hpp"

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <string>

#include <bitdial/models/resnet_cifar.hpp>
#include <bitdial/train/checkpoint.hpp>
#include <bitdial/train/evaluate.hpp>
#include <bitdial/train/progress.hpp>
#include <bitdial/train/sgd.hpp>
#include <bitdial/train/trainer.hpp>

namespace quickstart {
namespace {

using Widths = bitdial::BitList<8, 7, 6, 5, 4, 3, 2, 1>;

volatile std::sig_atomic_t interrupted = 0;

std::vector<bitdial::PrecisionPlan> plans_of(const std::vector<int>& bits) {
  std::vector<bitdial::PrecisionPlan> plans;
  for (const int width : bits) plans.emplace_back(bitdial::Precision{.w = width, .a = width});
  return plans;
}

std::vector<std::string> names_of(const std::vector<bitdial::PrecisionPlan>& plans) {
  std::vector<std::string> names;
  for (const bitdial::PrecisionPlan& plan : plans) names.push_back(plan.text());
  return names;
}

std::unique_ptr<bitdial::nn::Sequential> build_network(
    const Options& options, const bitdial::data::Dataset& images,
    const std::vector<bitdial::PrecisionPlan>& plans) {
  auto network = bitdial::models::resnet_cifar<Widths>({.depth = options.depth(),
                                                        .width = 16,
                                                        .stem_stride = 2,
                                                        .in_channels = images.image_shape()[2],
                                                        .classes = images.classes()});
  bitdial::nn::initialize(*network, options.seed);
  bitdial::add_plans(*network, plans);
  return network;
}

// The share of right answers of each plan on `images`.
std::vector<double> test_accuracy(bitdial::nn::Module& network,
                                  const std::vector<bitdial::PrecisionPlan>& plans,
                                  const bitdial::data::Dataset& images,
                                  const bitdial::data::ImageOptions& prepared) {
  std::vector<double> shares;
  for (const bitdial::PrecisionPlan& plan : plans) {
    const auto logits = bitdial::train::evaluate(network, images, plan, 250, prepared);
    const auto correct = bitdial::train::top_k_correct(logits.view(), images.labels(), 1);
    shares.push_back(static_cast<double>(correct) / static_cast<double>(images.size()));
  }
  return shares;
}

}  // namespace

Trained train_network(const Options& options, const Images& images) {
  namespace train = bitdial::train;
  const auto plans = plans_of(options.bits);
  const auto names = names_of(plans);
  Trained trained{.network = build_network(options, images.train, plans),
                  .plans = plans,
                  .history = History(names, options.epochs)};

  constexpr std::int64_t batch = 64;
  const std::int64_t steps = options.epochs * (images.train.size() / batch);
  train::Sgd optimizer(bitdial::nn::parameters(*trained.network),
                       {.momentum = 0.9F, .nesterov = true, .weight_decay = 1e-4F});
  const train::TrainerOptions recipe{
      .plans = plans,
      .epochs = options.epochs,
      .batch_size = batch,
      .learning_rate = train::CosineSchedule({.rate = 0.1F, .steps = steps, .warmup = steps / 20}),
      .teaching = {.teacher = bitdial::Teacher::highest},
      .images = images.prepared,
      .augment = {.shift = 1, .flip = !options.synthetic()},
      .seed = options.seed};
  train::Trainer trainer(*trained.network, images.train, optimizer, recipe);

  const std::string checkpoint = options.out + "/checkpoint.bin";
  auto state = trainer.state();
  for (const auto& tensor : trained.history.state()) state.push_back(tensor);
  if (options.resume) {
    trainer.set_position(train::load_checkpoint(checkpoint, options.configuration(), state));
  }
  const auto save = [&] {
    train::save_checkpoint(checkpoint, options.configuration(), trainer.position(), state);
  };

  train::Progress progress(options.progress(), {.epochs = options.epochs,
                                                .steps_per_epoch = trainer.steps_per_epoch(),
                                                .images_per_step = batch,
                                                .first_step = trainer.position()});
  const auto quick_test = images.test.subset(0, std::min<std::int64_t>(2000, images.test.size()));
  std::signal(SIGINT, [](int) { interrupted = 1; });
  std::signal(SIGTERM, [](int) { interrupted = 1; });
  while (!trainer.done() && interrupted == 0) {
    trained.history.add_step(trainer.step());
    std::vector<train::NamedShare> shares;
    for (std::size_t p = 0; p < plans.size(); ++p) {
      const auto plan = static_cast<std::int64_t>(p);
      shares.push_back({names[p], static_cast<double>(trained.history.running_accuracy(plan))});
    }
    const double loss = static_cast<double>(trained.history.running_loss(0));
    progress.step(loss, shares);
    if (trainer.position() % trainer.steps_per_epoch() == 0) {
      const auto tested = test_accuracy(*trained.network, plans, quick_test, images.prepared);
      for (std::size_t p = 0; p < plans.size(); ++p) shares[p].share = tested[p];
      trained.history.end_epoch(tested);
      progress.end_epoch(loss, shares);
      save();
    } else if (trainer.position() % options.checkpoint_every == 0) {
      save();
    }
  }
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  if (interrupted != 0) save();
  trained.seconds = progress.elapsed();
  trained.complete = trainer.done();
  return trained;
}

}  // namespace quickstart
