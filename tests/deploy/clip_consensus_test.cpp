// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/data/synthetic_clips.hpp>
#include <bitdial/deploy/clip_consensus.hpp>
#include <bitdial/deploy/model.hpp>
#include <bitdial/deploy/model_format.hpp>
#include <bitdial/deploy/pack.hpp>
#include <bitdial/models/resnet_cifar.hpp>
#include <bitdial/nn/frames.hpp>
#include <bitdial/train/evaluate.hpp>
#include <bitdial/train/sgd.hpp>
#include <bitdial/train/trainer.hpp>
#include <support/tensors.hpp>

using namespace bitdial;

TEST_CASE("a temporal segment network trains, packs as its backbone and gives the same bits") {
  const data::Dataset clips = data::make_synthetic_clips(
      {.count = 24, .frames = 4, .size = 12, .task = data::ClipTask::shape});
  nn::TemporalSegments network(
      models::resnet_cifar<BitList<8, 2>>({.depth = 8, .width = 2, .in_channels = 1}), 4);
  nn::initialize(network, 1);
  const std::vector<PrecisionPlan> plans{Precision{8, 8}, Precision{2, 2}};
  add_plans(network, plans);
  train::Sgd optimizer(nn::parameters(network));
  train::Trainer trainer(network, clips, optimizer, {.plans = plans, .batch_size = 8});
  while (!trainer.done()) trainer.step();

  const auto bytes = model_bytes(pack(network, {.plans = plans, .input_shape = {12, 12, 1}}));
  REQUIRE(bytes);
  const auto model = Model::from_bytes(*bytes);
  REQUIRE(model);
  auto session = Session::create(*model, {.max_batch = 3});  // not a divisor of the frames
  REQUIRE(session);
  auto runner = ClipRunner::create(*session, 4);
  REQUIRE(runner);
  std::vector<float> outputs(10);
  for (const PrecisionPlan& plan : plans) {
    const Tensor<float> expected = train::evaluate(network, clips, plan, 6);
    for (std::int64_t i = 0; i < clips.size(); ++i) {
      REQUIRE(runner->run(clips.image(i), outputs, plan));
      for (std::int64_t k = 0; k < 10; ++k) {
        CHECK(outputs[static_cast<std::size_t>(k)] == expected[i * 10 + k]);
      }
    }
  }
  // A stream, frame by frame.
  std::vector<float> frame_outputs(40);
  for (std::size_t t = 0; t < 4; ++t) {
    REQUIRE(session->run(clips.image(0).subspan(t * 144, 144),
                         std::span{frame_outputs}.subspan(t * 10, 10), plans[1]));
  }
  consensus(frame_outputs, outputs);
  const Tensor<float> expected = train::evaluate(network, clips, plans[1], 6);
  for (std::size_t k = 0; k < 10; ++k) {
    CHECK(outputs[k] == expected[static_cast<std::int64_t>(k)]);
  }

  CHECK(runner->run(clips.image(0), std::span{outputs}.first(9), plans[0]).error() ==
        "clip runner: 9 outputs, expected 10");
  CHECK_FALSE(runner->run(clips.image(0).first(144), outputs, plans[0]));
  CHECK(ClipRunner::create(*session, 0).error() == "clip runner: expected at least 1 frame, got 0");
}
