// SPDX-License-Identifier: Apache-2.0
// MobileNet-V1: depthwise separable convolutions, switchable.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include <bitdial/models/network_layers.hpp>
#include <bitdial/nn/init.hpp>

namespace bitdial::inline BITDIAL_ABI::models {

/// What stands between the depthwise and the pointwise convolution of a pair.
enum class SeparableOrder : std::uint8_t {
  norm_relu_between,  ///< batch normalisation and ReLU: the paper
  nothing_between,    ///< nothing: the quantization-friendly block of Sheng et al. and SP-Nets
};

/// Width and interface of `mobilenet_v1`.
struct MobileNetV1Options {
  double width = 1.0;            ///< multiplies all channels: the paper has 1, 0.75, 0.5 and 0.25
  std::int64_t stem_stride = 2;  ///< 2 for 224 pixels, 1 for 64 and 32
  SeparableOrder order = SeparableOrder::norm_relu_between;
  std::int64_t in_channels = 3;
  std::int64_t classes = 1000;
  Precision first_and_last{.w = 8, .a = 8};  ///< of the stem and of the classifier, under any plan
};

/// MobileNet-V1 with per-switch batch normalisation: a stem, thirteen pairs of a depthwise 3x3 and
/// a pointwise 1x1 convolution, each followed by BN and ReLU, global average pooling, a classifier.
///
/// Input `[N, H, W, in_channels]` in [0, 1], output logits `[N, classes]`. At 224 x 224 and width 1
/// it has 4.23 million parameters and 0.569 billion multiply-accumulates. ReLU stands in the place
/// of the paper's ReLU6, as in SP-Nets: the activation quantizers clip, at 1 or at a learned value.
/// With `nothing_between` the pointwise layers see signed sums: they take `PointwisePolicy`,
/// two-sided by default (inferred: the paper's one-sided quantizer would be a ReLU there); with
/// `norm_relu_between` they take `ActivationPolicy` like all others. Layers are numbered; weights
/// are still zero: call `nn::initialize`, then `add_plans`.
/// Throws `ConfigError` for a width that is not positive and for sizes below 1.
/// Sources: Howard et al., 1704.04861; Sheng et al., 1803.08607 (quantization-friendly); SP-Nets,
/// 2002.02815 (ReLU, stem for 64 pixels).
template <class Bits, class WeightPolicy = DoReFaWeights, class ActivationPolicy = PactActivations,
          class PointwisePolicy = PactActivations, class Key = KeyByPair,
          class ClassifierPolicy = SawbWeights>
[[nodiscard]] std::unique_ptr<nn::Sequential> mobilenet_v1(
    const MobileNetV1Options& options,
    const NetworkPolicies<WeightPolicy, ActivationPolicy, ClassifierPolicy>& policies = {},
    const PointwisePolicy& pointwise_policy = for_both_signs<PointwisePolicy>()) {
  const NetworkLayers<Bits, WeightPolicy, ActivationPolicy, Key, ClassifierPolicy> layers{policies};
  const NetworkLayers<Bits, WeightPolicy, PointwisePolicy, Key, ClassifierPolicy> signed_layers{
      policies.with(pointwise_policy)};
  const bool is_signed = options.order == SeparableOrder::nothing_between;
  if (!(options.width > 0.0 && options.width <= 64.0)) {
    throw ConfigError(
        concat("mobilenet_v1: width must be above 0 and at most 64, got ", options.width));
  }
  const auto channels = [&](std::int64_t published) {
    const double scaled = std::floor(static_cast<double>(published) * options.width);
    return std::max<std::int64_t>(1, static_cast<std::int64_t>(scaled));
  };
  struct Pair {
    std::int64_t out, stride;
  };
  constexpr std::array<Pair, 13> pairs{{{64, 1},
                                        {128, 2},
                                        {128, 1},
                                        {256, 2},
                                        {256, 1},
                                        {512, 2},
                                        {512, 1},
                                        {512, 1},
                                        {512, 1},
                                        {512, 1},
                                        {512, 1},
                                        {1024, 2},
                                        {1024, 1}}};
  auto net = std::make_unique<nn::Sequential>();
  std::int64_t in = channels(32);
  layers.add_stem(*net,
                  {.in = options.in_channels,
                   .out = in,
                   .kernel = 3,
                   .stride = options.stem_stride,
                   .padding = 1},
                  options.first_and_last);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const std::string name = concat("pair", i + 1);
    const std::int64_t out = channels(pairs[i].out);
    const nn::Conv2dOptions depthwise{
        .in = in, .out = in, .kernel = 3, .stride = pairs[i].stride, .padding = 1, .groups = in};
    const nn::Conv2dOptions pointwise{.in = in, .out = out, .kernel = 1};
    if (is_signed) {
      layers.add_conv(*net, name + ".depthwise", depthwise, LayerOrder::conv_alone);
      signed_layers.add_conv(*net, name + ".pointwise", pointwise, LayerOrder::conv_norm_relu);
    } else {
      layers.add_conv(*net, name + ".depthwise", depthwise, LayerOrder::conv_norm_relu);
      layers.add_conv(*net, name + ".pointwise", pointwise, LayerOrder::conv_norm_relu);
    }
    in = out;
  }
  layers.add_head(*net, {.in = in, .out = options.classes}, options.first_and_last);
  return net;
}

}  // namespace bitdial::inline BITDIAL_ABI::models
