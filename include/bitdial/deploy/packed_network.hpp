// SPDX-License-Identifier: Apache-2.0
// A packed network as plain data: what packing fills, the model file stores, and loading returns.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <bitdial/core/image_byte.hpp>
#include <bitdial/core/shape.hpp>
#include <bitdial/deploy/activation_encoder.hpp>
#include <bitdial/ops/graph.hpp>
#include <bitdial/quant/levels.hpp>
#include <bitdial/quant/plan.hpp>
#include <bitdial/quant/precision.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Weight codes of one layer as bit planes, most significant first: `bits` consecutive planes from
/// `first_plane` on.
///
/// A plane has one row per output channel; row bit i, in bit i % 8 of byte i / 8, belongs to weight
/// i of the channel; rows take ceil(K / 8) bytes and unused bits are zero. A nested pack serves
/// every width w <= bits with its first w planes: the w-bit code is the `bits`-bit code shifted
/// right. Any other pack serves exactly the width `bits`.
struct WeightPack {
  int bits = 8;
  bool nested = false;
  std::int32_t first_plane = 0;

  [[nodiscard]] bool serves(int width) const noexcept {
    return nested ? width >= 1 && width <= bits : width == bits;
  }
  friend bool operator==(const WeightPack&, const WeightPack&) = default;
};

/// The part of a quantized layer that all plans share. Weights are `[cout, kernel_h, kernel_w,
/// cin / groups]`; a linear layer has a 1 x 1 kernel and `cin` features.
struct PackedLayer {
  std::string name;
  ops::NodeKind kind = ops::NodeKind::conv2d;  ///< conv2d, linear or grouped_conv2d
  std::int64_t cout = 0;
  std::int64_t kernel_h = 1, kernel_w = 1;
  std::int64_t cin = 0;
  std::int64_t groups = 1;  ///< above 1 in a grouped_conv2d, 1 in every other layer
  std::vector<WeightPack> packs;

  /// K: the weights of one output channel.
  [[nodiscard]] std::int64_t depth() const noexcept { return kernel_h * kernel_w * (cin / groups); }
  /// One input and one output channel per group.
  [[nodiscard]] bool is_depthwise() const noexcept {
    return kind == ops::NodeKind::grouped_conv2d && cin == groups && cout == groups;
  }
  /// Bytes of one plane.
  [[nodiscard]] std::int64_t plane_bytes() const noexcept { return cout * ((depth() + 7) / 8); }
  /// How many packs serve a width: look-up makes codes of one width from weights of several.
  [[nodiscard]] std::int64_t pack_count(int width) const noexcept {
    return std::count_if(packs.begin(), packs.end(),
                         [&](const WeightPack& pack) { return pack.serves(width); });
  }
  /// Pack `number` of those, from 0, or null.
  [[nodiscard]] const WeightPack* pack_for(int width, std::int32_t number = 0) const noexcept {
    const auto found = std::ranges::find_if(
        packs, [&](const WeightPack& pack) { return pack.serves(width) && number-- == 0; });
    return found == packs.end() ? nullptr : &*found;
  }
};

/// The part of a quantized layer that belongs to one plan:
/// y[c] = fma(float(I[c]), multiplier[c], bias[c]), I = sum over valid taps of the product of
/// levels.
struct LayerState {
  Precision executed;     ///< the codes that run: 1..8 bits each; they differ from the plan's in
                          ///< pinned layers and where codes are looked up
  std::int32_t pack = 0;  ///< the weights: which of the packs that serve `executed.w`
  IntegerLevels weight_levels;
  IntegerLevels activation_levels;
  std::int32_t encoder = 0;  ///< index into `encoders`; its bits are `executed.a`
  std::vector<float> multiplier;
  std::vector<float> bias;
};

/// A per-channel map of one plan: y[c] = fma(x[c], multiplier[c], bias[c]), a batch normalisation
/// that no layer has taken in.
struct ScaleShift {
  std::vector<float> multiplier;
  std::vector<float> bias;
};

/// What was measured when the network was packed.
struct MeasuredAccuracy {
  double top1 = 0.0;  ///< share of right answers, 0..1
  std::uint64_t samples = 0;
  std::string data_set;

  friend bool operator==(const MeasuredAccuracy&, const MeasuredAccuracy&) = default;
};

/// One position of the dial.
struct PackedPlan {
  PrecisionPlan requested;
  std::vector<LayerState> layers;          ///< one per quantized layer
  std::vector<ScaleShift> scale_shifts{};  ///< one per scale_shift node, in order
  std::optional<MeasuredAccuracy> accuracy{};

  /// The name by which a plan is asked for: `w4a4`.
  [[nodiscard]] std::string name() const { return requested.text(); }
};

/// How an image becomes the input of the network.
///
/// A session normalises: it takes the bytes as they are. Everything before, decoding and the crop,
/// belongs to the caller; `centre` and `channels` tell how the accuracies of the plans were
/// measured.
struct Preprocessing {
  Normalisation normalisation{};  ///< of the value u / 255 of a byte u
  /// The share of the shorter side that the network sees: the square in the middle, resampled to
  /// the height and width of the input; 0 < centre <= 1.
  float centre = 1.0F;
  std::string channels{};  ///< what they are, in order: "RGB", "grey"; empty: not said

  friend bool operator==(const Preprocessing&, const Preprocessing&) = default;
};

/// Everything about a packed network except the weight planes themselves.
struct NetworkDescription {
  Shape input_shape;  ///< [H, W, C]
  std::vector<std::string> labels;
  Preprocessing preprocessing;
  ops::Graph graph;
  std::vector<PackedLayer> layers;
  std::vector<ActivationEncoder> encoders;
  std::vector<PackedPlan> plans;

  /// Bytes of packed weights that a plan reads.
  [[nodiscard]] std::int64_t packed_bytes(const PackedPlan& plan) const noexcept {
    std::int64_t bytes = 0;
    for (std::size_t i = 0; i < layers.size(); ++i) {
      bytes += layers[i].plane_bytes() * plan.layers[i].executed.w;
    }
    return bytes;
  }
};

/// A packed network that owns its weight planes. `model_bytes` turns it into a file.
struct PackedNetwork : NetworkDescription {
  std::vector<std::vector<std::byte>> planes;

  /// The index of `encoder`, which is stored once however many layers use it.
  [[nodiscard]] std::int32_t add_encoder(ActivationEncoder encoder) {
    const auto found = std::ranges::find(encoders, encoder);
    const auto index = static_cast<std::int32_t>(found - encoders.begin());
    if (found == encoders.end()) encoders.push_back(std::move(encoder));
    return index;
  }

  struct WeightPackOptions {
    int bits = 8;
    bool nested = false;
  };

  /// Appends a pack to layer `layer`: `codes` are `[cout, kernel_h, kernel_w, cin / groups]`, each
  /// below 2^bits.
  void add_weights(std::size_t layer, std::span<const std::uint8_t> codes,
                   const WeightPackOptions& options) {
    PackedLayer& target = layers[layer];
    target.packs.push_back(
        {options.bits, options.nested, static_cast<std::int32_t>(planes.size())});
    const auto depth = static_cast<std::size_t>(target.depth());
    const std::size_t row_bytes = (depth + 7) / 8;
    for (int bit = options.bits - 1; bit >= 0; --bit) {
      std::vector<std::byte>& plane =
          planes.emplace_back(static_cast<std::size_t>(target.plane_bytes()));
      for (std::size_t i = 0; i < codes.size(); ++i) {
        const std::size_t row = i / depth, column = i % depth;
        plane[row * row_bytes + column / 8] |=
            static_cast<std::byte>(((codes[i] >> bit) & 1) << (column % 8));
      }
    }
  }
};

}  // namespace bitdial::inline BITDIAL_ABI
