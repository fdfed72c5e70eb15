// SPDX-License-Identifier: Apache-2.0
// The options of a switchable layer.
#pragma once

#include <cstdint>
#include <optional>

#include <bitdial/nn/batch_norm.hpp>
#include <bitdial/quant/precision.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Which switches of a layer share the learned numbers of its activations.
enum class LearnedSharing : std::uint8_t {
  per_switch,  ///< each key of the private state has its own: `conv1.activations.w4a4.alpha`
  per_width,   ///< one per activation width (AdaBits' `switch_alpha`): `conv1.activations.a4.alpha`
  all          ///< one for every switch: `conv1.activations.all.alpha`
};

/// What a switchable layer is, beyond the options of the layer that it wraps.
template <class WeightPolicy, class ActivationPolicy>
struct SwitchableOptions {
  /// Runs at this precision under every plan (first and last layers); its private state still
  /// switches with the plan.
  std::optional<Precision> pinned{};
  WeightPolicy weights{};
  ActivationPolicy activations{};
  nn::BatchNormOptions batch_norm{};
  nn::BatchNormPlace batch_norm_place = nn::BatchNormPlace::after;
  LearnedSharing learned = LearnedSharing::per_switch;
};

}  // namespace bitdial::inline BITDIAL_ABI
