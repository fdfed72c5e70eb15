// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/deploy/pack.hpp>
#include <bitdial/models/r2plus1d.hpp>
#include <bitdial/nn/cost.hpp>
#include <support/parameter_derivatives.hpp>
#include <support/tensors.hpp>

using namespace bitdial;

namespace {

constexpr models::R2Plus1dOptions small{
    .frames = 3, .stages = 2, .width = 2, .in_channels = 1, .classes = 3};

}  // namespace

TEST_CASE("the layers of a small network, and what they cost") {
  const auto net = models::r2plus1d<BitList<8, 4>>(small);
  std::vector<std::string> names;
  for (const auto& [name, layer] : nn::quantized_layers(*net)) names.push_back(name);
  CHECK(names == std::vector<std::string>{"stem", "stem.time", "stage1.block1.conv1.space",
                                          "stage1.block1.conv1.time", "stage1.block1.conv2.space",
                                          "stage1.block1.conv2.time", "stage2.block1.conv1.space",
                                          "stage2.block1.conv1.time", "stage2.block1.conv2.space",
                                          "stage2.block1.conv2.time", "stage2.block1.shortcut.conv",
                                          "classifier"});
  CHECK(nn::blocks(*net).size() == 2);
  // Channels between the halves: 27 * 2 * 2 / (9 * 2 + 3 * 2) = 4, 27 * 2 * 4 / (18 + 12) = 7,
  // 27 * 4 * 4 / (36 + 12) = 9. Weights: stem 18 + 12; stage 1 twice 9 * 2 * 4 + 3 * 4 * 2;
  // stage 2 9 * 2 * 7 + 3 * 7 * 4 + 9 * 4 * 9 + 3 * 9 * 4 + 2 * 4; classifier 4 * 3 + 3.
  CHECK(nn::parameter_count(*net) == 30 + 2 * 96 + 126 + 84 + 324 + 108 + 8 + 15);

  // Of a clip: every weight of a convolution meets 8 x 8 or 4 x 4 pixels of 3 frames.
  const nn::NetworkCost cost = nn::cost(*net, {8, 8, 1});
  REQUIRE(cost.layers.size() == 12);
  CHECK(cost.multiply_accumulates() ==
        192 * (30 + 2 * 96) + 48 * (126 + 84 + 324 + 108 + 8) + 4 * 3);
  CHECK(cost.layers[7].name == "stage2.block1.conv1.time");
  CHECK(cost.layers[7].output == Shape{4, 4, 4});
  CHECK(cost.layers[7].frames == 3);
  CHECK(cost.layers[11].frames == 1);
  const std::vector<PrecisionPlan> one{Precision{8, 8}};
  add_plans(*net, one);
  CHECK(cost.parameters() == nn::parameter_count(*net));
}

TEST_CASE("clips in, logits out; the order of frames matters") {
  const auto net = models::r2plus1d<BitList<8, 4>>(small);
  nn::initialize(*net, 1);
  const std::vector<PrecisionPlan> plans{Precision{8, 8}, Precision{4, 4}};
  add_plans(*net, plans);
  Tensor<float> clips = test::random_images({2, 3 * 8, 8, 1}, 2);
  const auto logits = [&](const PrecisionPlan& plan) {
    Tape tape;
    return net->forward(tape.borrow(clips), {.plan = plan}).value();
  };
  const Tensor<float> before = logits(plans[1]);
  CHECK(before.shape() == Shape{2, 3});
  CHECK_FALSE(test::same_bits(before, logits(plans[0])));
  // Swap the first two frames of every clip.
  for (std::int64_t n = 0; n < 2; ++n) {
    float* const clip = clips.data() + n * 3 * 64;
    std::swap_ranges(clip, clip + 64, clip + 64);
  }
  CHECK_FALSE(test::same_bits(before, logits(plans[1])));
}

TEST_CASE("the derivative of the loss along random directions") {
  const auto net = models::r2plus1d<BitList<8>>({.frames = 3,
                                                 .stages = 2,
                                                 .width = 2,
                                                 .in_channels = 1,
                                                 .classes = 3,
                                                 .first_and_last = {32, 32}});
  nn::initialize(*net, 3);
  const PrecisionPlan plan;  // w32a32
  add_plans(*net, {&plan, 1});
  // What is rectified is far above zero: the loss has no kinks near here.
  for (const auto& [name, parameter] : nn::parameters(*net)) {
    if (name.ends_with("beta")) parameter->value.fill(4.0F);
  }
  const Tensor<float> clips = test::random_images({4, 3 * 6, 6, 1}, 4);
  const std::vector<std::int32_t> labels{0, 2, 1, 1};
  const auto record = [&](Tape& tape) {
    return ad::softmax_cross_entropy(
        net->forward(tape.borrow(clips), {.plan = plan, .mode = nn::Mode::training}), labels);
  };
  test::check_parameter_derivatives(*net, record, 0x1p-8F);
}

TEST_CASE("sizes below 1 are refused, and packing says what to use") {
  models::R2Plus1dOptions none = small;
  none.frames = 0;
  CHECK(
      test::error_text<ConfigError>(
          [&] { static_cast<void>(models::r2plus1d<BitList<8>>(none)); }) ==
      "r2plus1d: frames, stages, blocks, width and classes must be at least 1, got 0, 2, 1, 2, 3");
  const auto net = models::r2plus1d<BitList<8, 4>>(small);
  const std::vector<PrecisionPlan> plans{Precision{8, 8}};
  add_plans(*net, plans);
  CHECK(test::contains(
      test::error_text<ConfigError>([&] {
        static_cast<void>(pack(*net, {.plans = plans, .input_shape = {8, 8, 1}}));
      }),
      "a convolution over time trains and evaluates but does not pack; use a 2D network with "
      "consensus (TemporalSegments)"));
}
