// SPDX-License-Identifier: Apache-2.0
// MobileNet-V2: inverted residuals and linear bottlenecks, switchable.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <bitdial/models/network_layers.hpp>
#include <bitdial/nn/init.hpp>
#include <bitdial/nn/residual.hpp>

namespace bitdial::inline BITDIAL_ABI::models {

/// Width and interface of `mobilenet_v2`.
struct MobileNetV2Options {
  double width = 1.0;  ///< multiplies all channels but those of the last convolution below 1
  std::int64_t stem_stride = 2;  ///< 2 for 224 pixels, 1 for 64 and 32
  std::int64_t in_channels = 3;
  std::int64_t classes = 1000;
  Precision first_and_last{.w = 8, .a = 8};  ///< of the stem and of the classifier, under any plan
};

namespace detail {

/// The multiple of 8 nearest to `channels`, at least 8 and not more than a tenth below.
[[nodiscard]] inline std::int64_t channels_by_eight(double channels) {
  const auto nearest = static_cast<std::int64_t>(channels + 4.0) / 8 * 8;
  const std::int64_t rounded = std::max<std::int64_t>(8, nearest);
  return static_cast<double>(rounded) < 0.9 * channels ? rounded + 8 : rounded;
}

/// The block of MobileNet-V2 from two kinds of `NetworkLayers`.
template <class Layers, class SignedLayers>
struct InvertedResidual {
  const Layers& layers;
  const SignedLayers& signed_layers;
  std::int64_t in = 1, out = 1, expansion = 6, stride = 1;

  /// conv1x1-BN-ReLU-depthwise3x3-BN-ReLU-conv1x1-BN, plus x where the shape stays the same.
  /// Without expansion the first convolution is left out.
  void add_to(nn::Sequential& net, const std::string& name) const {
    const std::int64_t inner = in * expansion;
    nn::Sequential body;
    if (expansion != 1) {
      signed_layers.add_conv(body, "expand", {.in = in, .out = inner, .kernel = 1},
                             LayerOrder::conv_norm_relu);
    }
    layers.add_conv(
        body, "depthwise",
        {.in = inner, .out = inner, .kernel = 3, .stride = stride, .padding = 1, .groups = inner},
        LayerOrder::conv_norm_relu);
    layers.add_conv(body, "project", {.in = inner, .out = out, .kernel = 1}, LayerOrder::conv_norm);
    if (stride == 1 && in == out) {
      net.add<nn::Residual>(name, std::move(body));
    } else {
      net.add<nn::Sequential>(name, std::move(body));
    }
  }
};

}  // namespace detail

/// MobileNet-V2 with per-switch batch normalisation: a stem, seventeen inverted residuals with
/// linear bottlenecks, a 1x1 convolution, global average pooling, a classifier.
///
/// Input `[N, H, W, in_channels]` in [0, 1], output logits `[N, classes]`. At 224 x 224 and width 1
/// it has 3.50 million parameters and 0.30 billion multiply-accumulates.
///
/// No ReLU follows a bottleneck, so the layers that read one (`expand` and `last`) see signed
/// values. They take `BottleneckPolicy`, two-sided by default as in AdaBits; a one-sided policy
/// there would be a ReLU in disguise, which the network's paper found to hurt. Every other layer
/// reads the output of a ReLU and takes `ActivationPolicy`. The additions stay real-valued. ReLU
/// stands in the place of the paper's ReLU6: the activation quantizers clip, at 1 or at a learned
/// value. Layers are numbered; weights are still zero: call `nn::initialize`, then `add_plans`.
/// Throws `ConfigError` for a width that is not positive and for sizes below 1.
/// Sources: Sandler et al., 1801.04381; AdaBits, 1912.09666 (two-sided quantizers).
template <class Bits, class WeightPolicy = DoReFaWeights, class ActivationPolicy = PactActivations,
          class BottleneckPolicy = PactActivations, class Key = KeyByPair,
          class ClassifierPolicy = SawbWeights>
[[nodiscard]] std::unique_ptr<nn::Sequential> mobilenet_v2(
    const MobileNetV2Options& options,
    const NetworkPolicies<WeightPolicy, ActivationPolicy, ClassifierPolicy>& policies = {},
    const BottleneckPolicy& bottleneck_policy = for_both_signs<BottleneckPolicy>()) {
  using Layers = NetworkLayers<Bits, WeightPolicy, ActivationPolicy, Key, ClassifierPolicy>;
  using SignedLayers = NetworkLayers<Bits, WeightPolicy, BottleneckPolicy, Key, ClassifierPolicy>;
  using Block = detail::InvertedResidual<Layers, SignedLayers>;
  const Layers layers{policies};
  const SignedLayers signed_layers{policies.with(bottleneck_policy)};
  if (!(options.width > 0.0 && options.width <= 64.0)) {
    throw ConfigError(
        concat("mobilenet_v2: width must be above 0 and at most 64, got ", options.width));
  }
  const auto channels = [&](double published) {
    return detail::channels_by_eight(published * options.width);
  };
  struct Stage {
    std::int64_t expansion, out;
    int blocks;
    std::int64_t stride;
  };
  constexpr std::array<Stage, 7> stages{{{1, 16, 1, 1},
                                         {6, 24, 2, 2},
                                         {6, 32, 3, 2},
                                         {6, 64, 4, 2},
                                         {6, 96, 3, 1},
                                         {6, 160, 3, 2},
                                         {6, 320, 1, 1}}};
  auto net = std::make_unique<nn::Sequential>();
  std::int64_t in = channels(32);
  layers.add_stem(*net,
                  {.in = options.in_channels,
                   .out = in,
                   .kernel = 3,
                   .stride = options.stem_stride,
                   .padding = 1},
                  options.first_and_last);
  int number = 0;
  for (const Stage& stage : stages) {
    const std::int64_t out = channels(static_cast<double>(stage.out));
    for (int block = 0; block < stage.blocks; ++block) {
      Block{.layers = layers,
            .signed_layers = signed_layers,
            .in = in,
            .out = out,
            .expansion = stage.expansion,
            .stride = block == 0 ? stage.stride : 1}
          .add_to(*net, concat("block", ++number));
      in = out;
    }
  }
  const std::int64_t last = detail::channels_by_eight(1280.0 * std::max(1.0, options.width));
  signed_layers.add_conv(*net, "last", {.in = in, .out = last, .kernel = 1},
                         LayerOrder::conv_norm_relu);
  layers.add_head(*net, {.in = last, .out = options.classes}, options.first_and_last);
  return net;
}

}  // namespace bitdial::inline BITDIAL_ABI::models
