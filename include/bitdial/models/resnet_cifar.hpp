// SPDX-License-Identifier: Apache-2.0
// The small residual networks of He et al. (CIFAR-10 section), switchable.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include <bitdial/models/residual_blocks.hpp>
#include <bitdial/nn/init.hpp>
#include <bitdial/nn/pooling.hpp>

namespace bitdial::inline BITDIAL_ABI::models {

/// Depth, width and interface of `resnet_cifar`.
struct ResNetCifarOptions {
  int depth = 20;           ///< 6 n + 2: 8, 14, 20, 32, 44, 56, 110
  std::int64_t width = 16;  ///< channels of the first stage; the others have 2 and 4 times as many
  std::int64_t stem_stride = 1;  ///< 2 quarters the work of every layer after the stem
  ResidualOrder order = ResidualOrder::conv_norm_relu;
  std::int64_t in_channels = 3;  ///< any image size works: the head averages over it
  std::int64_t classes = 10;
  Precision first_and_last{.w = 8, .a = 8};  ///< of the stem and of the classifier, under any plan
  std::optional<Precision> shortcuts{};      ///< of their convolutions; none: that of the plan
};

/// ResNet-(6n+2) with per-switch batch normalisation: a 3x3 stem, three stages of n basic blocks
/// with w, 2w and 4w channels, global average pooling, a classifier.
///
/// Input `[N, H, W, in_channels]` in [0, 1], output logits `[N, classes]`. ResNet-20 at 32x32x3 has
/// about 0.27 million parameters and 41 million multiply-accumulates. Any-Precision's network for
/// CIFAR-10 is depth 20, width 80, `preactivated`: 6.76 million and 1.01 billion. Layers are
/// numbered; weights are still zero: call `nn::initialize`, then `add_plans`.
/// Throws `ConfigError` for a depth that is not 6n + 2 and for sizes below 1.
/// Sources: He et al., 1512.03385; SP-Nets, 2002.02815 (quantized 1x1 shortcuts, order of layers);
/// Any-Precision, 1911.07346 (its shortcuts, first and last layer are real-valued: `shortcuts` and
/// `first_and_last` `{32, 32}`; its last normalisation has no ReLU, here it has).
template <class Bits, class WeightPolicy = DoReFaWeights, class ActivationPolicy = PactActivations,
          class Key = KeyByPair, class ClassifierPolicy = SawbWeights>
[[nodiscard]] std::unique_ptr<nn::Sequential> resnet_cifar(
    const ResNetCifarOptions& options,
    const NetworkPolicies<WeightPolicy, ActivationPolicy, ClassifierPolicy>& policies = {}) {
  using Parts = ResidualParts<Bits, WeightPolicy, ActivationPolicy, Key, ClassifierPolicy>;
  const Parts parts{{policies}, options.shortcuts};
  if (options.depth < 8 || (options.depth - 2) % 6 != 0) {
    throw ConfigError(
        concat("resnet_cifar: depth must be 6n + 2 (8, 14, 20, ...), got ", options.depth));
  }
  if (options.width < 1 || options.classes < 1) {
    throw ConfigError(concat("resnet_cifar: width and classes must be at least 1, got width ",
                             options.width, ", classes ", options.classes));
  }
  auto net = std::make_unique<nn::Sequential>();
  parts.add_stem(*net,
                 {.in = options.in_channels,
                  .out = options.width,
                  .kernel = 3,
                  .stride = options.stem_stride,
                  .padding = 1},
                 options.first_and_last, Parts::layer_order(options.order));
  std::int64_t in = options.width;
  for (int stage = 0; stage < 3; ++stage) {
    const std::int64_t out = options.width << stage;
    for (int block = 0; block < (options.depth - 2) / 6; ++block) {
      const std::int64_t stride = stage > 0 && block == 0 ? 2 : 1;
      parts.add_basic(*net, concat("stage", stage + 1, ".block", block + 1),
                      {.in = in, .out = out, .stride = stride, .order = options.order});
      in = out;
    }
  }
  const bool is_signed = Parts::add_end(*net, in, options.order);
  parts.add_head(*net, {.in = in, .out = options.classes}, options.first_and_last, is_signed);
  return net;
}

}  // namespace bitdial::inline BITDIAL_ABI::models
