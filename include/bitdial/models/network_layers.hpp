// SPDX-License-Identifier: Apache-2.0
// What the networks have in common: their switchable layers, the first layer, the head.
#pragma once

#include <cstdint>
#include <string>

#include <bitdial/nn/activation.hpp>
#include <bitdial/nn/conv2d.hpp>
#include <bitdial/nn/linear.hpp>
#include <bitdial/nn/pooling.hpp>
#include <bitdial/nn/sequential.hpp>
#include <bitdial/quant/policies/two_sided.hpp>
#include <bitdial/switchable/layer_for.hpp>
#include <bitdial/switchable/switchable_batch_norm.hpp>

namespace bitdial::inline BITDIAL_ABI::models {

/// The order of a convolution, its batch normalisation and its ReLU.
enum class LayerOrder : std::uint8_t {
  conv_norm_relu,  ///< ordinary: what is quantized next is never negative
  conv_norm,       ///< without ReLU, where the quantizer of the next layer is the non-linearity
  conv_relu_norm,  ///< SP-Nets' order for two-sided quantizers: the next layer sees both signs
  conv_alone,      ///< the normalisation stands elsewhere, as before a pre-activated convolution
};

/// The layers of a network of one bit list (or other `LayerKind`), one pair of policies and one key
/// of private state. The first and the last layer are DoReFa's at 8 bits, whatever the others are;
/// at `w32a32` they are real-valued, train, and do not pack.
template <class Bits, class WeightPolicy, class ActivationPolicy, class Key = KeyByPair>
struct NetworkLayers {
  using Conv = LayerFor<nn::Conv2d, Bits, WeightPolicy, ActivationPolicy, Key>;
  using EdgeConv = SwitchableLayer<nn::Conv2d, BitList<8>, DoReFaWeights, DoReFaActivations, Key>;
  using EdgeLinear = SwitchableLayer<nn::Linear, BitList<8>, DoReFaWeights, DoReFaActivations, Key>;
  using SignedEdgeLinear =
      SwitchableLayer<nn::Linear, BitList<8>, DoReFaWeights, TwoSidedActivations, Key>;

  /// Where a layer of this order has its batch normalisation.
  [[nodiscard]] static constexpr nn::BatchNormPlace place_of(LayerOrder order) noexcept {
    if (order == LayerOrder::conv_relu_norm) return nn::BatchNormPlace::after_relu;
    return order == LayerOrder::conv_alone ? nn::BatchNormPlace::none : nn::BatchNormPlace::after;
  }

  /// A convolution and what belongs behind it.
  static void add_conv(nn::Sequential& net, const std::string& name,
                       const nn::Conv2dOptions& options, LayerOrder order) {
    net.add<Conv>(name, options, typename Conv::Switching{.batch_norm_place = place_of(order)});
    if (order == LayerOrder::conv_norm_relu) net.add<nn::Relu>(name + ".relu");
  }

  /// A batch normalisation that stands alone, and a ReLU.
  static void add_activation(nn::Sequential& net, const std::string& name, std::int64_t channels) {
    net.add<SwitchableBatchNorm<Key>>(name, SwitchableBatchNormOptions{.channels = channels});
    net.add<nn::Relu>(name + ".relu");
  }

  /// The first convolution, which reads the image, in the given order.
  static void add_stem(nn::Sequential& net, const nn::Conv2dOptions& options, Precision pinned,
                       LayerOrder order = LayerOrder::conv_norm_relu) {
    net.add<EdgeConv>(
        "stem", options,
        typename EdgeConv::Switching{.pinned = pinned, .batch_norm_place = place_of(order)});
    if (order == LayerOrder::conv_norm_relu) net.add<nn::Relu>("stem.relu");
  }

  /// Global average pooling and a classifier; then the layers are numbered. `is_signed` says that
  /// the last values are not behind a ReLU: the classifier's quantizer is two-sided then.
  static void add_head(nn::Sequential& net, const nn::LinearOptions& options, Precision pinned,
                       bool is_signed = false) {
    net.add<nn::GlobalAveragePool>("pool");
    if (is_signed) {
      net.add<SignedEdgeLinear>("classifier", options,
                                typename SignedEdgeLinear::Switching{.pinned = pinned});
    } else {
      net.add<EdgeLinear>("classifier", options, typename EdgeLinear::Switching{.pinned = pinned});
    }
    nn::number_layers(net);
  }
};

}  // namespace bitdial::inline BITDIAL_ABI::models
