// SPDX-License-Identifier: Apache-2.0
// What the networks have in common: their switchable layers, the first layer, the head.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include <bitdial/models/network_policies.hpp>
#include <bitdial/nn/activation.hpp>
#include <bitdial/nn/conv2d.hpp>
#include <bitdial/nn/linear.hpp>
#include <bitdial/nn/pooling.hpp>
#include <bitdial/nn/sequential.hpp>
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
/// of private state. The first and the last layer have 8 bits, whatever the others are: the stem
/// DoReFa's weights on pixels in DoReFa's [0, 1], the classifier weights of `ClassifierPolicy` on
/// what PACT learns to clip. At `w32a32` they are real-valued, train, and do not pack.
template <class Bits, class WeightPolicy, class ActivationPolicy, class Key = KeyByPair,
          class ClassifierPolicy = SawbWeights>
struct NetworkLayers {
  using Conv = LayerFor<nn::Conv2d, Bits, WeightPolicy, ActivationPolicy, Key>;
  using EdgeConv = SwitchableLayer<nn::Conv2d, BitList<8>, DoReFaWeights, DoReFaActivations, Key>;
  template <class Layer, class Weights = DoReFaWeights>
  using Pinned = SwitchableLayer<Layer, BitList<8>, Weights, PactActivations, Key>;

  NetworkPolicies<WeightPolicy, ActivationPolicy, ClassifierPolicy> policies{};

  /// Where a layer of this order has its batch normalisation.
  [[nodiscard]] static constexpr nn::BatchNormPlace place_of(LayerOrder order) noexcept {
    if (order == LayerOrder::conv_relu_norm) return nn::BatchNormPlace::after_relu;
    return order == LayerOrder::conv_alone ? nn::BatchNormPlace::none : nn::BatchNormPlace::after;
  }

  /// How a convolution of this order switches.
  [[nodiscard]] typename Conv::Switching switching(LayerOrder order) const {
    return {.weights = policies.weights,
            .activations = policies.activations,
            .batch_norm_place = place_of(order),
            .learned = policies.learned};
  }

  /// A layer that runs at `precision` under every plan, without a ReLU behind it; `is_signed` says
  /// that it reads values below 0.
  template <class Layer, class Weights = DoReFaWeights>
  void add_pinned(nn::Sequential& net, const std::string& name,
                  const typename Layer::Options& options, Precision precision, bool is_signed,
                  LayerOrder order = LayerOrder::conv_norm, const Weights& weights = {}) const {
    PactActivations activations = policies.pinned;
    activations.sides = is_signed ? ClipSides::two : ClipSides::one;
    if (precision.a == real_valued_bits) {  // what is not rounded is not clipped
      activations.initial_alpha = std::numeric_limits<float>::max();
    }
    using Added = Pinned<Layer, Weights>;
    net.add<Added>(name, options,
                   typename Added::Switching{.pinned = precision,
                                             .weights = weights,
                                             .activations = activations,
                                             .batch_norm_place = place_of(order),
                                             .learned = policies.learned});
  }

  /// A convolution and what belongs behind it.
  void add_conv(nn::Sequential& net, const std::string& name, const nn::Conv2dOptions& options,
                LayerOrder order) const {
    net.add<Conv>(name, options, switching(order));
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
  void add_head(nn::Sequential& net, const nn::LinearOptions& options, Precision pinned,
                bool is_signed = false) const {
    net.add<nn::GlobalAveragePool>("pool");
    add_classifier(net, options, pinned, is_signed);
  }

  /// The classifier alone; then the layers are numbered.
  void add_classifier(nn::Sequential& net, const nn::LinearOptions& options, Precision pinned,
                      bool is_signed = false) const {
    add_pinned<nn::Linear>(net, "classifier", options, pinned, is_signed, LayerOrder::conv_norm,
                           policies.classifier);
    nn::number_layers(net);
  }
};

}  // namespace bitdial::inline BITDIAL_ABI::models
