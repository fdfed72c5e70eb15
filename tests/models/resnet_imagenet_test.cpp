// SPDX-License-Identifier: Apache-2.0
#include <bitdial/models/resnet_imagenet.hpp>

#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/nn/cost.hpp>
#include <support/packed_outputs.hpp>

using namespace bitdial;
using models::ResidualOrder;
using models::ResNetStem;

namespace {

using Bits = BitList<8, 2>;

std::unique_ptr<nn::Sequential> resnet(const models::ResNetImageNetOptions& options) {
  return models::resnet_imagenet<Bits>(options);
}

}  // namespace

TEST_CASE("published sizes at 224 x 224") {
  const struct {
    int depth;
    std::int64_t parameters, multiply_accumulates;  ///< torchvision's networks
  } cases[] = {{18, 11'689'512, 1'814'073'344},
               {34, 21'797'672, 3'663'761'408},
               {50, 25'557'032, 4'089'184'256},
               {101, 44'549'160, 7'801'405'440},
               {152, 60'192'808, 11'513'626'624}};
  for (const auto& c : cases) {
    CAPTURE(c.depth);
    const auto net = resnet({.depth = c.depth});
    const nn::NetworkCost cost = nn::cost(*net, {224, 224, 3});
    CHECK(cost.parameters() == c.parameters);
    CHECK(cost.multiply_accumulates() == c.multiply_accumulates);
  }
}

TEST_CASE("the parameters of one switch are those of the network") {
  const auto net = resnet({});
  const std::vector<PrecisionPlan> one{Precision{8, 8}};
  add_plans(*net, one);
  CHECK(nn::parameter_count(*net) == 11'689'512);
  CHECK(nn::quantized_layers(*net).size() == 21);
}

TEST_CASE("sizes with the stems for small images") {
  // The 32-pixel networks for CIFAR-10 are those in use (kuangliu/pytorch-cifar); the 64-pixel
  // ones, SP-Nets' for Tiny ImageNet, follow from the published ones: another stem, 200 classes.
  const struct {
    int depth;
    std::int64_t tiny, cifar, cifar_multiply_accumulates;
  } cases[] = {{18, 11'689'512 - 9'408 + 1'728 - 800 * 513, 11'173'962, 555'422'720},
               {34, 21'797'672 - 9'408 + 1'728 - 800 * 513, 21'282'122, 1'159'402'496},
               {50, 25'557'032 - 9'408 + 1'728 - 800 * 2049, 23'520'842, 1'297'829'888}};
  for (const auto& c : cases) {
    CAPTURE(c.depth);
    const auto tiny = resnet({.depth = c.depth, .stem = ResNetStem::conv3_pool, .classes = 200});
    CHECK(nn::cost(*tiny, {64, 64, 3}).parameters() == c.tiny);
    const auto cifar = resnet({.depth = c.depth, .stem = ResNetStem::conv3, .classes = 10});
    const nn::NetworkCost cost = nn::cost(*cifar, {32, 32, 3});
    CHECK(cost.parameters() == c.cifar);
    CHECK(cost.multiply_accumulates() == c.cifar_multiply_accumulates);
  }
}

TEST_CASE("pre-activated networks") {
  // Networks for CIFAR-10 that are in use (kuangliu/pytorch-cifar) have 11,171,146 and 23,509,066
  // parameters, without the normalisation at the end.
  const struct {
    int depth;
    std::int64_t parameters, channels;
  } small[] = {{18, 11'171'146, 512}, {50, 23'509'066, 2048}};
  for (const auto& [depth, parameters, channels] : small) {
    const auto net = resnet({.depth = depth,
                             .stem = ResNetStem::conv3,
                             .order = ResidualOrder::preactivated,
                             .classes = 10});
    CHECK(nn::cost(*net, {32, 32, 3}).parameters() == parameters + 2 * channels);
  }
  // At 224 x 224 products are those of the ordinary networks; normalisations are fewer.
  const struct {
    int depth;
    std::int64_t parameters, multiply_accumulates;
  } large[] = {{18, 11'687'720, 1'814'073'344},
               {34, 21'795'880, 3'663'761'408},
               {50, 25'549'352, 4'089'184'256}};
  for (const auto& [depth, parameters, multiply_accumulates] : large) {
    const auto net = resnet({.depth = depth, .order = ResidualOrder::preactivated});
    const nn::NetworkCost cost = nn::cost(*net, {224, 224, 3});
    CHECK(cost.parameters() == parameters);
    CHECK(cost.multiply_accumulates() == multiply_accumulates);
  }
}

TEST_CASE("the other orders have the ordinary network's size") {
  for (const ResidualOrder order : {ResidualOrder::conv_relu_norm, ResidualOrder::bi_real}) {
    const auto net = resnet({.order = order});
    CHECK(nn::cost(*net, {224, 224, 3}).parameters() == 11'689'512);
  }
}

TEST_CASE("stems for small images keep the resolution that the paper's stem would lose") {
  const auto first_block = [](ResNetStem stem, std::int64_t pixels) {
    const auto net = resnet({.stem = stem});
    return nn::cost(*net, {pixels, pixels, 3}).layers[1].output;
  };
  CHECK(first_block(ResNetStem::conv7_pool, 224) == Shape{56, 56, 64});
  CHECK(first_block(ResNetStem::conv3_pool, 64) == Shape{32, 32, 64});
  CHECK(first_block(ResNetStem::conv3, 64) == Shape{64, 64, 64});
  CHECK(first_block(ResNetStem::conv3, 32) == Shape{32, 32, 64});
}

TEST_CASE("a step of training, then packed as evaluated") {
  const std::vector<PrecisionPlan> plans{Precision{8, 8}, Precision{2, 2}};
  const struct {
    models::ResNetImageNetOptions options;
    Shape image;
  } cases[] = {
      {{.depth = 18, .width = 4, .stem = ResNetStem::conv7_pool, .classes = 5}, {37, 34, 3}},
      {{.depth = 18, .width = 3, .stem = ResNetStem::conv3_pool, .in_channels = 1, .classes = 7},
       {18, 17, 1}},
      {{.depth = 50, .width = 4, .stem = ResNetStem::conv3, .classes = 3}, {16, 16, 3}},
      {{.depth = 50,
        .width = 4,
        .stem = ResNetStem::conv3_pool,
        .order = ResidualOrder::preactivated,
        .classes = 3},
       {17, 16, 3}},
  };
  for (const auto& c : cases) {
    CAPTURE(c.options.depth);
    const auto net = resnet(c.options);
    test::check_step_and_packing(*net, c.image, plans);
  }
}

TEST_CASE("depths and sizes out of range are refused with what was given") {
  CHECK(test::error_text<ConfigError>([] { static_cast<void>(resnet({.depth = 20})); }) ==
        "resnet_imagenet: depth must be 18, 34, 50, 101 or 152, got 20");
  CHECK(test::error_text<ConfigError>([] {
          static_cast<void>(resnet({.width = 0, .classes = 5}));
        }) == "resnet_imagenet: width and classes must be at least 1, got width 0, classes 5");
  CHECK(test::error_text<ConfigError>(
            [] { static_cast<void>(resnet({.depth = 50, .order = ResidualOrder::bi_real})); }) ==
        "residual block: a shortcut around every convolution needs basic blocks: depth 18 or 34");
}
