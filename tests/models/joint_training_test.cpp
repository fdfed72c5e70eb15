// SPDX-License-Identifier: Apache-2.0
// Every kind of network trains for {8, 4, 2, 1} bits at once with the options that it has when
// nobody names any.
#include <cmath>
#include <cstdint>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/data/synthetic.hpp>
#include <bitdial/models/mobilenet_v1.hpp>
#include <bitdial/models/mobilenet_v2.hpp>
#include <bitdial/models/resnet_imagenet.hpp>
#include <bitdial/nn/init.hpp>
#include <bitdial/switchable/add_plans.hpp>
#include <bitdial/train/sgd.hpp>
#include <bitdial/train/trainer.hpp>

using namespace bitdial;

namespace {

using Bits = BitList<8, 4, 2, 1>;

const data::Dataset& images() {
  static const data::Dataset all =
      data::make_synthetic({.count = 320, .size = 16, .noise = 4, .contrast = 100});
  return all;
}

/// The mean loss of the switches in each of two epochs, after checking the first one.
std::vector<double> train(nn::Module& network) {
  nn::initialize(network, 1);
  const std::vector<PrecisionPlan> plans{Precision{8, 8}, Precision{4, 4}, Precision{2, 2},
                                         Precision{1, 1}};
  add_plans(network, plans);
  train::Sgd optimizer(nn::parameters(network));
  train::Trainer trainer(network, images(), optimizer,
                         {.plans = plans, .epochs = 2, .batch_size = 16});
  std::vector<double> means(2, 0.0);
  while (!trainer.done()) {
    const train::StepReport report = trainer.step();
    for (const float loss : report.losses) {
      // An untrained classifier of ten classes is not surer of wrong answers than of right ones.
      if (report.step == 0) CHECK(loss < 1.6F * std::log(10.0F));
      means[static_cast<std::size_t>(report.epoch)] +=
          static_cast<double>(loss) / static_cast<double>(4 * trainer.steps_per_epoch());
    }
  }
  return means;
}

void check_training(nn::Module& network) {
  const std::vector<double> means = train(network);
  CHECK(means[0] < 3.5);
  CHECK(means[1] < means[0]);
}

}  // namespace

TEST_CASE("MobileNet-V1") {
  check_training(*models::mobilenet_v1<Bits>(
      {.width = 0.25, .stem_stride = 1, .in_channels = 1, .classes = 10}));
}

TEST_CASE("MobileNet-V2") {
  check_training(*models::mobilenet_v2<Bits>(
      {.width = 0.25, .stem_stride = 1, .in_channels = 1, .classes = 10}));
}

TEST_CASE("ResNet-50 for ImageNet, narrow") {
  check_training(*models::resnet_imagenet<Bits>({.depth = 50,
                                                 .width = 8,
                                                 .stem = models::ResNetStem::conv3,
                                                 .in_channels = 1,
                                                 .classes = 10}));
}
