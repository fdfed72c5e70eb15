// SPDX-License-Identifier: Apache-2.0
// What a layer must offer so that its weights and its input can be quantized.
#pragma once

#include <concepts>

#include <bitdial/autodiff/tape.hpp>
#include <bitdial/nn/module.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// A layer that a `SwitchableLayer` can wrap: linear in its weights, with or without a bias.
template <class L>
concept QuantizableLayer = std::derived_from<L, nn::Module> &&
    requires(L layer, Var x, const typename L::Options& o) {
  L{o};
  { L::has_bias } -> std::convertible_to<bool>;
  { layer.weight() } -> std::same_as<nn::Parameter&>;
  { layer.apply(x, x) } -> std::same_as<Var>;
  { layer.geometry() } -> std::same_as<nn::LayerGeometry>;
};

}  // namespace bitdial::inline BITDIAL_ABI
