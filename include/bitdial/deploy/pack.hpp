// SPDX-License-Identifier: Apache-2.0
// From a trained network to a packed one: the only bridge between the two worlds.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <bitdial/core/error.hpp>
#include <bitdial/deploy/packed_network.hpp>
#include <bitdial/nn/traverse.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// What a packed network holds beside the weights.
struct PackOptions {
  std::vector<PrecisionPlan> plans;
  Shape input_shape;  ///< [H, W, C] of one image of bytes
  std::vector<std::string> labels{};
  Preprocessing preprocessing{};  ///< as in training; by default a byte u stands for u / 255
};

namespace detail {

/// The widths at which the plans run `layer`, ascending, each once.
[[nodiscard]] inline std::vector<int> widths_of(const nn::QuantizedLayer& layer,
                                                const std::vector<PrecisionPlan>& plans) {
  std::vector<int> widths;
  for (const PrecisionPlan& plan : plans) widths.push_back(layer.executed(plan).w);
  std::ranges::sort(widths);
  widths.erase(std::unique(widths.begin(), widths.end()), widths.end());
  return widths;
}

/// Shape and weights of one layer: one nested pack of 8 bits, or one pack per width.
inline void pack_weights(PackedNetwork& packed, const std::string& name,
                         const nn::QuantizedLayer& layer, const std::vector<PrecisionPlan>& plans) {
  const nn::LayerGeometry geometry = layer.geometry();
  packed.layers.push_back({.name = name,
                           .kind = geometry.kind,
                           .cout = geometry.out_channels,
                           .kernel_h = geometry.window.kernel_h,
                           .kernel_w = geometry.window.kernel_w,
                           .cin = geometry.in_channels,
                           .groups = geometry.groups,
                           .packs = {}});
  const std::vector<int> widths = layer.nested() ? std::vector<int>{8} : widths_of(layer, plans);
  for (const int bits : widths) {
    const nn::WeightCodes weights = layer.weight_codes(bits);
    packed.add_weights(packed.layers.size() - 1, weights.codes,
                       {.bits = weights.bits, .nested = layer.nested()});
  }
}

/// The number of the pack of `plan`, of those whose codes are as wide: look-up makes 8-bit codes
/// from weights of 4 bits and more. The packs of `packed` stand in the order of `widths_of`.
[[nodiscard]] inline std::int32_t pack_number(const PackedLayer& packed,
                                              const nn::QuantizedLayer& layer,
                                              const PrecisionPlan& plan,
                                              const std::vector<PrecisionPlan>& plans) {
  if (layer.nested()) return 0;
  const std::vector<int> widths = widths_of(layer, plans);
  const auto own =
      packed.packs.begin() + (std::ranges::find(widths, layer.executed(plan).w) - widths.begin());
  return static_cast<std::int32_t>(std::count_if(
      packed.packs.begin(), own, [&](const WeightPack& pack) { return pack.serves(own->bits); }));
}

[[nodiscard]] inline LayerState pack_state(PackedNetwork& packed, const nn::QuantizedLayer& layer,
                                           const PrecisionPlan& plan) {
  const Precision executed = layer.executed(plan);
  const Precision codes = layer.packed(plan);
  const auto encode = layer.activation_encoder(plan);
  const IntegerLevels activation_levels = layer.activation_levels(plan);
  const std::int32_t encoder = packed.add_encoder(make_activation_encoder(encode, codes.a));
  nn::Epilogue epilogue = layer.epilogue(plan);
  return {.executed = codes,
          .weight_levels = layer.weight_codes(executed.w).levels,
          .activation_levels = activation_levels,
          .encoder = encoder,
          .multiplier = std::move(epilogue.multiplier),
          .bias = std::move(epilogue.bias)};
}

}  // namespace detail

/// Packs `network` at every plan: weight planes, encoders, and one epilogue per layer and plan, the
/// very numbers that evaluation in the training graph uses.
///
/// Throws `PrecisionError` for a plan that the network was not prepared for and for a layer without
/// integer form (32 bits), `ConfigError` for no plans, equal plans, a real-valued layer, a
/// convolution over time, and layers that were not numbered in graph order.
/// Cost: one encoding of every weight per width and plan.
[[nodiscard]] inline PackedNetwork pack(nn::Module& network, const PackOptions& options) {
  if (options.plans.empty()) throw ConfigError("pack: expected at least one plan, got none");
  for (const PrecisionPlan& plan : options.plans) {
    if (std::ranges::count(options.plans, plan) > 1) {
      throw ConfigError(concat("pack: every plan must be given once, ", plan, " is there twice"));
    }
  }
  const nn::Description description = nn::describe(network);
  const nn::Named<nn::QuantizedLayer> named = nn::quantized_layers(network);
  if (!description.across_frames.empty()) {
    throw ConfigError(
        "pack: a convolution over time trains and evaluates but does not pack; use a 2D network "
        "with consensus (TemporalSegments)");
  }
  for (std::size_t i = 0; i < description.layers.size(); ++i) {
    if (i >= named.size() || named[i].second != description.layers[i] ||
        named[i].second->index() != static_cast<int>(i)) {
      throw ConfigError(concat("pack: quantized layer ", i, " of the graph is not number ", i,
                               " of the network; call nn::number_layers on the complete network"));
    }
  }
  for (const PrecisionPlan& plan : options.plans) {
    if (!plan.fits(named.size())) {
      throw PrecisionError(concat("pack: plan ", plan, " has ", plan.size(),
                                  " entries, the network has ", named.size(), " quantized layers"));
    }
  }
  PackedNetwork packed;
  packed.input_shape = options.input_shape;
  packed.labels = options.labels;
  packed.preprocessing = options.preprocessing;
  packed.graph = description.graph;
  for (const auto& [name, layer] : named) {
    detail::pack_weights(packed, name, *layer, options.plans);
  }
  for (const PrecisionPlan& plan : options.plans) {
    PackedPlan state{.requested = plan, .layers = {}};
    for (std::size_t i = 0; i < named.size(); ++i) {
      const nn::QuantizedLayer& layer = *named[i].second;
      LayerState& own = state.layers.emplace_back(detail::pack_state(packed, layer, plan));
      own.pack = detail::pack_number(packed.layers[i], layer, plan, options.plans);
    }
    for (const auto& numbers : description.scale_shifts) {
      nn::Epilogue map = numbers(plan);
      state.scale_shifts.push_back({std::move(map.multiplier), std::move(map.bias)});
    }
    packed.plans.push_back(std::move(state));
  }
  return packed;
}

}  // namespace bitdial::inline BITDIAL_ABI
