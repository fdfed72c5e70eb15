// SPDX-License-Identifier: Apache-2.0
// The policies of a network as objects, for those that have options.
#pragma once

#include <bitdial/quant/policies/dorefa.hpp>
#include <bitdial/quant/policies/pact.hpp>
#include <bitdial/quant/policies/sawb.hpp>
#include <bitdial/switchable/switchable_options.hpp>

namespace bitdial::inline BITDIAL_ABI::models {

/// A policy as layers need it that read values of both signs, where it has the choice.
template <class Policy>
[[nodiscard]] constexpr Policy for_both_signs() {
  Policy policy{};
  if constexpr (requires { policy.sides = ClipSides::two; }) policy.sides = ClipSides::two;
  return policy;
}

/// What the quantized layers of a network are given, beyond the types of their policies.
///
///     resnet_cifar<BitList<2>, BiRealWeights, HwgqActivations>(
///         {.depth = 20}, {.activations = {.rule = HwgqRule::positive_step}});
///
/// Classifiers have weights of 8 bits. No batch normalisation follows them, so their policy must
/// keep the size of the weights, as SAWB's does, or set it, as `ScaleAdjusted` does.
template <class WeightPolicy = DoReFaWeights, class ActivationPolicy = PactActivations,
          class ClassifierPolicy = SawbWeights>
struct NetworkPolicies {
  static_assert(ClassifierPolicy::role == TensorRole::weights && supports_bits<ClassifierPolicy>(8),
                "bitdial: NetworkPolicies<WeightPolicy, ActivationPolicy, ClassifierPolicy>: "
                "ClassifierPolicy must be a policy of weights that quantizes to 8 bits.");

  WeightPolicy weights{};          ///< of all layers but the first and the last
  ActivationPolicy activations{};  ///< of these layers
  ClassifierPolicy classifier{};   ///< of the weights of the last layer
  /// Of the pinned layers behind the stem, the classifier above all: they read values without an
  /// upper end, so the clip is learned. The network sets the sides.
  PactActivations pinned{{.initial_alpha = 8.0F}};
  LearnedSharing learned = LearnedSharing::per_switch;  ///< of activations, in every layer

  /// The same for layers with other activations.
  template <class Other>
  [[nodiscard]] NetworkPolicies<WeightPolicy, Other, ClassifierPolicy> with(
      const Other& other) const {
    return {.weights = weights,
            .activations = other,
            .classifier = classifier,
            .pinned = pinned,
            .learned = learned};
  }
};

}  // namespace bitdial::inline BITDIAL_ABI::models
