// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/models/resnet_cifar.hpp>
#include <bitdial/nn/cost.hpp>
#include <bitdial/quant/policies/two_sided.hpp>
#include <support/packed_outputs.hpp>

using namespace bitdial;

using models::ResidualOrder;

namespace {

using Bits = BitList<8, 4>;

std::unique_ptr<nn::Sequential> resnet(const models::ResNetCifarOptions& options) {
  return models::resnet_cifar<Bits>(options);
}

}  // namespace

TEST_CASE("ResNet-20 has the published size") {
  const auto net = resnet({});
  // Without batch normalisation:
  //   stem           3*3*3*16
  //   stage 1        6 convolutions 3*3*16*16
  //   stage 2        3*3*16*32 + 5 * 3*3*32*32
  //   stage 3        3*3*32*64 + 5 * 3*3*64*64
  //   1x1 shortcuts  16*32 + 32*64 (the paper's CIFAR networks have parameter-free ones)
  //   classifier     64*10 + 10
  constexpr std::int64_t shortcuts = 16 * 32 + 32 * 64;
  constexpr std::int64_t body = 432 + 6 * 2304 + 4608 + 5 * 9216 + 18432 + 5 * 36864 + 650;
  static_assert(body == 268346);
  CHECK(nn::parameter_count(*net) == body + shortcuts);
  CHECK(nn::quantized_layers(*net).size() == 22);

  // One switch: gamma and beta of 19 convolutions and 2 shortcuts. Learned clips do not count.
  const std::vector<PrecisionPlan> one{Precision{8, 8}};
  add_plans(*net, one);
  constexpr std::int64_t channels = 16 + 6 * 16 + 6 * 32 + 6 * 64;
  CHECK(nn::parameter_count(*net) == body + shortcuts + 2 * (channels + 32 + 64));
  // He et al. give 0.27 million for the network with parameter-free shortcuts.
  CHECK((body + 2 * channels + 5000) / 10000 == 27);
}

TEST_CASE("ResNet-20 at 32 x 32 needs 41 million multiply-accumulates") {
  const auto net = resnet({});
  constexpr std::int64_t shortcuts = 16 * 16 * 16 * 32 + 8 * 8 * 32 * 64;
  const std::int64_t found = nn::cost(*net, {32, 32, 3}).multiply_accumulates() - shortcuts;
  // Stem, three stages, classifier; published counts (40.8 million) include element-wise work.
  constexpr std::int64_t stem = 32 * 32 * 432;
  constexpr std::int64_t stage1 = 6 * 32 * 32 * 2304;
  constexpr std::int64_t stage2 = 16 * 16 * (4608 + 5 * 9216);
  constexpr std::int64_t stage3 = 8 * 8 * (18432 + 5 * 36864);
  CHECK(found == stem + stage1 + stage2 + stage3 + 640);
  CHECK((found + 500'000) / 1'000'000 == 41);
  const auto strided = resnet({.stem_stride = 2});
  CHECK(nn::cost(*strided, {32, 32, 3}).multiply_accumulates() < 11'000'000);
}

TEST_CASE("published sizes of deeper networks, in 10,000 parameters") {
  const struct {
    int depth;
    std::int64_t published;  ///< He et al., table 6, in units of 10,000
  } cases[] = {{32, 46}, {44, 66}, {56, 85}};
  for (const auto& [depth, published] : cases) {
    const auto net = resnet({.depth = depth});
    const std::vector<PrecisionPlan> one{Precision{8, 8}};
    add_plans(*net, one);
    const std::int64_t shortcuts = 16 * 32 + 32 * 64 + 2 * (32 + 64);
    CHECK((nn::parameter_count(*net) - shortcuts + 5000) / 10000 == published);
  }
}

TEST_CASE("pre-activated, narrow and five times as wide") {
  // 3x3 convolutions as above, 1x1 shortcuts and a classifier. A normalisation before each of the
  // 18 convolutions of the blocks and one at the end, none behind the stem and the shortcuts.
  const struct {
    std::int64_t width, parameters, multiply_accumulates;
  } cases[] = {{16, 272'282, 40'813'184}, {80, 6'757'850, 1'011'469'440}};
  for (const auto& [width, parameters, multiply_accumulates] : cases) {
    const auto net = resnet({.width = width, .order = ResidualOrder::preactivated});
    const nn::NetworkCost cost = nn::cost(*net, {32, 32, 3});
    CHECK(cost.parameters() == parameters);
    CHECK(cost.multiply_accumulates() == multiply_accumulates);
    const std::int64_t w = width;
    const std::int64_t convs = 27 * w + 9 * w * w * (6 + 2 + 5 * 4 + 8 + 5 * 16) + 2 * w * w * 5;
    const std::int64_t norms = 2 * (6 * w + (w + 5 * 2 * w) + (2 * w + 5 * 4 * w) + 4 * w);
    CHECK(parameters == convs + norms + 40 * w + 10);
    const std::vector<PrecisionPlan> one{Precision{8, 8}};
    add_plans(*net, one);
    CHECK(nn::parameter_count(*net) == parameters);
  }
}

TEST_CASE("every order of layers: a step of training, then packed as evaluated") {
  const std::vector<PrecisionPlan> plans{Precision{8, 8}, Precision{4, 4}};
  for (const ResidualOrder order : {ResidualOrder::conv_norm_relu, ResidualOrder::conv_relu_norm,
                                    ResidualOrder::preactivated, ResidualOrder::bi_real}) {
    const int number = static_cast<int>(order);
    CAPTURE(number);
    const auto net = models::resnet_cifar<Bits, DoReFaWeights, TwoSidedActivations>(
        {.depth = 8, .width = 4, .order = order, .classes = 5});
    test::check_step_and_packing(*net, {12, 8, 3}, plans);
  }
}

TEST_CASE("real-valued first and last layers train and evaluate, and do not pack") {
  const auto net = resnet({.depth = 8, .width = 4, .first_and_last = {.w = 32, .a = 32}});
  const std::vector<PrecisionPlan> plans{Precision{4, 4}};
  nn::initialize(*net, 7);
  add_plans(*net, plans);
  for (const float loss : test::train_step(*net, {8, 8, 3}, plans, 4, 8)) {
    CHECK(std::isfinite(loss));
  }
  Tape tape;
  const Var logits =
      net->forward(tape.constant(test::random_images({1, 8, 8, 3}, 3)), {.plan = plans[0]});
  CHECK(std::isfinite(logits.value()[0]));
  CHECK(test::contains(
      test::error_text<PrecisionError>([&] {
        static_cast<void>(pack(*net, {.plans = plans, .input_shape = {8, 8, 3}}));
      }),
      "at 32 bits has no integer form; it trains and evaluates in f32 but does not pack"));
}

TEST_CASE("shapes are free: channels, classes, image size, width") {
  const auto net = resnet({.depth = 8, .width = 3, .in_channels = 2, .classes = 7});
  nn::initialize(*net, 1);
  const std::vector<PrecisionPlan> plans{Precision{8, 8}, Precision{4, 4}};
  add_plans(*net, plans);
  for (const PrecisionPlan& plan : plans) {
    Tape tape;
    const Var logits =
        net->forward(tape.constant(test::random_images({2, 13, 10, 2}, 3)), {.plan = plan});
    CHECK(logits.shape() == Shape{2, 7});
  }
}

TEST_CASE("layers are numbered; the first and the last are pinned") {
  const auto net = resnet({.depth = 8, .first_and_last = {.w = 8, .a = 8}});
  const auto layers = nn::quantized_layers(*net);
  REQUIRE(layers.size() == 10);
  const std::vector<std::string> expected{"stem",
                                          "stage1.block1.conv1",
                                          "stage1.block1.conv2",
                                          "stage2.block1.conv1",
                                          "stage2.block1.conv2",
                                          "stage2.block1.shortcut.conv",
                                          "stage3.block1.conv1",
                                          "stage3.block1.conv2",
                                          "stage3.block1.shortcut.conv",
                                          "classifier"};
  const PrecisionPlan plan = Precision{4, 4};
  for (std::size_t i = 0; i < layers.size(); ++i) {
    CHECK(layers[i].first == expected[i]);
    CHECK(layers[i].second->index() == static_cast<int>(i));
    const bool edge = i == 0 || i == 9;
    CHECK(layers[i].second->executed(plan) == (edge ? Precision{8, 8} : Precision{4, 4}));
  }
}

TEST_CASE("depths and sizes out of range are refused with what was given") {
  for (const int depth : {2, 7, 9, 18, 21, -4, 0}) {
    CHECK(test::error_text<ConfigError>([&] { static_cast<void>(resnet({.depth = depth})); }) ==
          concat("resnet_cifar: depth must be 6n + 2 (8, 14, 20, ...), got ", depth));
  }
  CHECK(test::error_text<ConfigError>([] {
          static_cast<void>(resnet({.width = 0, .classes = 5}));
        }) == "resnet_cifar: width and classes must be at least 1, got width 0, classes 5");
  CHECK_THROWS_AS(static_cast<void>(resnet({.in_channels = 0})), ConfigError);
  CHECK_THROWS_AS(static_cast<void>(resnet({.stem_stride = 0})), ConfigError);
  CHECK_THROWS_AS(static_cast<void>(resnet({.first_and_last = {.w = 4, .a = 4}})), PrecisionError);
}
