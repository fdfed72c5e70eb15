// SPDX-License-Identifier: Apache-2.0
// Which kind of quantized layer a network is built of; its first template argument decides.
#pragma once

#include <bitdial/switchable/switchable_layer.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// The layers of a network over `Bits`: switchable ones. Another kind of layer is a specialisation,
/// for a type that takes the place of the bit list (`Candidates` of a search).
template <class Bits>
struct LayerKind {
  template <class Layer, class WeightPolicy, class ActivationPolicy, class Key>
  using type = SwitchableLayer<Layer, Bits, WeightPolicy, ActivationPolicy, Key>;
};

/// The quantized form of `Layer` in a network over `Bits`.
template <class Layer, class Bits, class WeightPolicy, class ActivationPolicy,
          class Key = KeyByPair>
using LayerFor =
    typename LayerKind<Bits>::template type<Layer, WeightPolicy, ActivationPolicy, Key>;

}  // namespace bitdial::inline BITDIAL_ABI
