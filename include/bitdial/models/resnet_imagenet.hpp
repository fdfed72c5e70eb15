// SPDX-License-Identifier: Apache-2.0
// The residual networks of He et al. for ImageNet, switchable, with stems for smaller images.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include <bitdial/models/residual_blocks.hpp>
#include <bitdial/nn/init.hpp>
#include <bitdial/nn/pooling.hpp>

namespace bitdial::inline BITDIAL_ABI::models {

/// What stands before the first block.
enum class ResNetStem : std::uint8_t {
  conv7_pool,  ///< 7x7 convolution of stride 2, 3x3 max pool of stride 2: 224 pixels
  conv3_pool,  ///< 3x3 convolution, 3x3 max pool of stride 2: SP-Nets' Tiny ImageNet, 64 pixels
  conv3,       ///< 3x3 convolution: 32 and 64 pixels
};

/// Depth, width and interface of `resnet_imagenet`.
struct ResNetImageNetOptions {
  int depth = 18;           ///< 18 or 34 (basic blocks), 50, 101 or 152 (bottlenecks)
  std::int64_t width = 64;  ///< channels of the stem; the stages follow in proportion
  ResNetStem stem = ResNetStem::conv7_pool;
  ResidualOrder order = ResidualOrder::conv_norm_relu;
  std::int64_t in_channels = 3;
  std::int64_t classes = 1000;
  Precision first_and_last{.w = 8, .a = 8};  ///< of the stem and of the classifier, under any plan
  std::optional<Precision> shortcuts{};      ///< of their convolutions; none: that of the plan
};

namespace detail {

/// Blocks per stage; throws `ConfigError` for a depth that does not exist.
[[nodiscard]] inline std::array<int, 4> resnet_stages(int depth) {
  switch (depth) {
    case 18:
      return {2, 2, 2, 2};
    case 34:
    case 50:
      return {3, 4, 6, 3};
    case 101:
      return {3, 4, 23, 3};
    case 152:
      return {3, 8, 36, 3};
    default:
      throw ConfigError(
          concat("resnet_imagenet: depth must be 18, 34, 50, 101 or 152, got ", depth));
  }
}

}  // namespace detail

/// ResNet-18, 34 (basic blocks), 50, 101, 152 (bottlenecks) with per-switch batch normalisation: a
/// stem, four stages with w, 2w, 4w and 8w channels (four times as many with bottlenecks), global
/// average pooling, a classifier.
///
/// Input `[N, H, W, in_channels]` in [0, 1], output logits `[N, classes]`. At 224 x 224 ResNet-18,
/// 34 and 50 have 11.69, 21.80 and 25.56 million parameters and 1.81, 3.66 and 4.09 billion
/// multiply-accumulates. Layers are numbered; weights are still zero: call `nn::initialize`, then
/// `add_plans`.
/// Throws `ConfigError` for a depth that does not exist, for sizes below 1, and for `bi_real` with
/// bottlenecks.
/// Sources: He et al., 1512.03385 (strides of bottlenecks as torchvision has them, in the 3x3
/// convolution) and 1603.05027 (pre-activation); SP-Nets, 2002.02815 (order of layers, stem for 64
/// pixels); Any-Precision, 1911.07346 (no normalisation behind the stem); Liu et al., 1808.00278
/// (Bi-Real, which needs even heights and widths before every stride).
template <class Bits, class WeightPolicy = DoReFaWeights, class ActivationPolicy = PactActivations,
          class Key = KeyByPair, class ClassifierPolicy = SawbWeights>
[[nodiscard]] std::unique_ptr<nn::Sequential> resnet_imagenet(
    const ResNetImageNetOptions& options,
    const NetworkPolicies<WeightPolicy, ActivationPolicy, ClassifierPolicy>& policies = {}) {
  using Parts = ResidualParts<Bits, WeightPolicy, ActivationPolicy, Key, ClassifierPolicy>;
  const Parts parts{{policies}, options.shortcuts};
  const std::array<int, 4> stages = detail::resnet_stages(options.depth);
  if (options.width < 1 || options.classes < 1) {
    throw ConfigError(concat("resnet_imagenet: width and classes must be at least 1, got width ",
                             options.width, ", classes ", options.classes));
  }
  const bool large = options.stem == ResNetStem::conv7_pool;
  const std::int64_t kernel = large ? 7 : 3;
  auto net = std::make_unique<nn::Sequential>();
  parts.add_stem(*net,
                 {.in = options.in_channels,
                  .out = options.width,
                  .kernel = kernel,
                  .stride = large ? 2 : 1,
                  .padding = kernel / 2},
                 options.first_and_last, Parts::layer_order(options.order));
  if (options.stem != ResNetStem::conv3) {
    net->add<nn::MaxPool2d>("stem.pool", ops::Window::square(3, {.stride = 2, .padding = 1}));
  }
  const bool bottlenecks = options.depth >= 50;
  std::int64_t in = options.width;
  for (std::size_t stage = 0; stage < stages.size(); ++stage) {
    const std::int64_t out = (options.width << stage) * (bottlenecks ? 4 : 1);
    for (int index = 0; index < stages[stage]; ++index) {
      const std::string name = concat("stage", stage + 1, ".block", index + 1);
      const typename Parts::Block block{
          .in = in, .out = out, .stride = stage > 0 && index == 0 ? 2 : 1, .order = options.order};
      if (bottlenecks) {
        parts.add_bottleneck(*net, name, block);
      } else {
        parts.add_basic(*net, name, block);
      }
      in = out;
    }
  }
  const bool is_signed = Parts::add_end(*net, in, options.order);
  parts.add_head(*net, {.in = in, .out = options.classes}, options.first_and_last, is_signed);
  return net;
}

}  // namespace bitdial::inline BITDIAL_ABI::models
