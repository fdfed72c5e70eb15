// SPDX-License-Identifier: Apache-2.0
// What the networks have in common: their switchable layers, the first layer, the head.
#pragma once

#include <cstdint>

#include <bitdial/nn/activation.hpp>
#include <bitdial/nn/conv2d.hpp>
#include <bitdial/nn/linear.hpp>
#include <bitdial/nn/pooling.hpp>
#include <bitdial/nn/sequential.hpp>
#include <bitdial/switchable/layer_for.hpp>

namespace bitdial::inline BITDIAL_ABI::models {

/// The layers of a network of one bit list (or other `LayerKind`), one pair of policies and one key
/// of private state. The first and the last layer are DoReFa's at 8 bits, whatever the others are.
template <class Bits, class WeightPolicy, class ActivationPolicy, class Key = KeyByPair>
struct NetworkLayers {
  using Conv = LayerFor<nn::Conv2d, Bits, WeightPolicy, ActivationPolicy, Key>;
  using EdgeConv = SwitchableLayer<nn::Conv2d, BitList<8>, DoReFaWeights, DoReFaActivations, Key>;
  using EdgeLinear = SwitchableLayer<nn::Linear, BitList<8>, DoReFaWeights, DoReFaActivations, Key>;

  /// The first convolution, which reads the image, and a ReLU.
  static void add_stem(nn::Sequential& net, const nn::Conv2dOptions& options, Precision pinned) {
    net.add<EdgeConv>("stem", options, typename EdgeConv::Switching{.pinned = pinned});
    net.add<nn::Relu>("stem.relu");
  }

  /// Global average pooling and a classifier; then the layers are numbered.
  static void add_head(nn::Sequential& net, const nn::LinearOptions& options, Precision pinned) {
    net.add<nn::GlobalAveragePool>("pool");
    net.add<EdgeLinear>("classifier", options, typename EdgeLinear::Switching{.pinned = pinned});
    nn::number_layers(net);
  }
};

}  // namespace bitdial::inline BITDIAL_ABI::models
