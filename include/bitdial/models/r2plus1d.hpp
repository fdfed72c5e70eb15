// SPDX-License-Identifier: Apache-2.0
// A small R(2+1)D: residual networks for video whose 3D convolutions are factorised, switchable.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <bitdial/models/network_layers.hpp>
#include <bitdial/nn/frames.hpp>
#include <bitdial/nn/init.hpp>
#include <bitdial/nn/residual.hpp>

namespace bitdial::inline BITDIAL_ABI::models {

/// Size and interface of `r2plus1d`.
struct R2Plus1dOptions {
  std::int64_t frames = 8;  ///< T, of every clip; time is not downsampled
  int stages = 3;           ///< stage i has width 2^i channels; all but the first halve H and W
  int blocks = 1;           ///< residual blocks per stage; the paper's R(2+1)D-18 has 4 stages of 2
  std::int64_t width = 16;  ///< channels of the first stage
  std::int64_t in_channels = 3;
  std::int64_t classes = 10;
  Precision first_and_last{.w = 8, .a = 8};  ///< of the stem's first layer and the classifier
};

namespace detail {

/// The layers of `r2plus1d`, of the arguments of `NetworkLayers`.
template <class... Arguments>
struct R2Plus1dParts {
  using Layers = NetworkLayers<Arguments...>;
  using Conv = typename Layers::Conv;
  Layers layers;
  std::int64_t frames;

  /// Channels between the two halves: about as many weights as the t x d x d convolution has,
  /// M = floor(t d^2 in out / (d^2 in + t out)) with t = d = 3.
  [[nodiscard]] static std::int64_t inner(std::int64_t in, std::int64_t out) {
    return 27 * in * out / (9 * in + 3 * out);
  }

  /// The 3 x 1 x 1 convolution over time and its BN.
  void add_temporal(nn::Sequential& net, const std::string& name, std::int64_t in,
                    std::int64_t out) const {
    const nn::Conv2dOptions options{.in = in, .out = out, .kernel = {3, 1}, .padding = {1, 0}};
    net.add<nn::AcrossFrames>(
        name, frames, std::make_unique<Conv>(options, layers.switching(LayerOrder::conv_norm)));
  }

  /// 1 x 3 x 3 -BN-ReLU- 3 x 1 x 1 -BN.
  void add_pair(nn::Sequential& net, const std::string& name, std::int64_t in, std::int64_t out,
                std::int64_t stride) const {
    const std::int64_t middle = inner(in, out);
    layers.add_conv(net, name + ".space",
                    {.in = in, .out = middle, .kernel = 3, .stride = stride, .padding = 1},
                    LayerOrder::conv_norm);
    net.add<nn::Relu>(name + ".relu");
    add_temporal(net, name + ".time", middle, out);
  }

  /// relu( pair-ReLU-pair (x) + shortcut(x) ).
  void add_block(nn::Sequential& net, const std::string& name, std::int64_t in, std::int64_t out,
                 std::int64_t stride) const {
    nn::Sequential body;
    add_pair(body, "conv1", in, out, stride);
    body.add<nn::Relu>("relu");
    add_pair(body, "conv2", out, out, 1);
    nn::Sequential shortcut;
    if (stride != 1 || in != out) {
      layers.add_conv(shortcut, "conv", {.in = in, .out = out, .kernel = 1, .stride = stride},
                      LayerOrder::conv_norm);
    }
    net.add<nn::Residual>(name, std::move(body), std::move(shortcut));
    net.add<nn::Relu>(name + ".relu");
  }
};

}  // namespace detail

/// A residual network of (2+1)D convolutions with per-switch batch normalisation: a stem, stages of
/// residual blocks, average over pixels and frames, a classifier.
///
/// A t x d x d convolution is a 1 x d x d convolution of each frame, BN, ReLU, and a t x 1 x 1
/// convolution over time; both halves are ordinary switchable convolutions after a reshape,
/// exactly. Input `[N, T H, W, in_channels]` in [0, 1] (`nn/frames.hpp` says why), output logits
/// `[N, classes]`. Layers are numbered; weights are still zero: call `nn::initialize`, then
/// `add_plans`. It trains and evaluates; it does not pack.
/// Throws `ConfigError` for sizes below 1.
/// Tran et al., "A closer look at spatiotemporal convolutions", 1711.11248; smaller here, with a
/// 3 x 3 stem and time kept at full length.
template <class Bits, class WeightPolicy = DoReFaWeights, class ActivationPolicy = PactActivations,
          class Key = KeyByPair, class ClassifierPolicy = SawbWeights>
[[nodiscard]] std::unique_ptr<nn::Sequential> r2plus1d(
    const R2Plus1dOptions& options,
    const NetworkPolicies<WeightPolicy, ActivationPolicy, ClassifierPolicy>& policies = {}) {
  using Parts = detail::R2Plus1dParts<Bits, WeightPolicy, ActivationPolicy, Key, ClassifierPolicy>;
  if (options.frames < 1 || options.stages < 1 || options.blocks < 1 || options.width < 1 ||
      options.classes < 1) {
    throw ConfigError(
        concat("r2plus1d: frames, stages, blocks, width and classes must be at least "
               "1, got ",
               options.frames, ", ", options.stages, ", ", options.blocks, ", ", options.width,
               ", ", options.classes));
  }
  const Parts parts{{policies}, options.frames};
  auto net = std::make_unique<nn::Sequential>();
  net->add<nn::SplitFrames>("frames", options.frames);
  parts.layers.add_stem(
      *net, {.in = options.in_channels, .out = options.width, .kernel = 3, .padding = 1},
      options.first_and_last);
  parts.add_temporal(*net, "stem.time", options.width, options.width);
  net->add<nn::Relu>("stem.time.relu");
  std::int64_t in = options.width;
  for (int stage = 0; stage < options.stages; ++stage) {
    const std::int64_t out = options.width << stage;
    for (int block = 0; block < options.blocks; ++block) {
      parts.add_block(*net, concat("stage", stage + 1, ".block", block + 1), in, out,
                      stage > 0 && block == 0 ? 2 : 1);
      in = out;
    }
  }
  net->add<nn::GlobalAveragePool>("pool");
  net->add<nn::MeanOverFrames>("time", options.frames);
  parts.layers.add_classifier(*net, {.in = in, .out = options.classes}, options.first_and_last);
  return net;
}

}  // namespace bitdial::inline BITDIAL_ABI::models
