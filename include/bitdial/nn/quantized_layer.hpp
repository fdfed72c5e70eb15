// SPDX-License-Identifier: Apache-2.0
// What packing needs to know of a quantized layer, whatever its type: geometry, codes, epilogue.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <bitdial/core/text.hpp>
#include <bitdial/ops/graph.hpp>
#include <bitdial/quant/levels.hpp>
#include <bitdial/quant/plan.hpp>

namespace bitdial::inline BITDIAL_ABI::nn {

/// The shape of a quantized layer: weights are `[out_channels, window.taps(), in_channels /
/// groups]`.
struct LayerGeometry {
  ops::NodeKind kind = ops::NodeKind::conv2d;
  std::int64_t out_channels = 0;
  std::int64_t in_channels = 0;
  std::int64_t groups = 1;  ///< above 1 in a `grouped_conv2d` only
  ops::Window window{};
  std::int64_t per_channel = 2;  ///< learned numbers of an output channel beside its weights: two
                                 ///< of a batch normalisation, one bias, or none

  /// The number of weights of one output channel.
  [[nodiscard]] std::int64_t depth() const noexcept {
    return window.taps() * (in_channels / groups);
  }
};

/// Weight codes `[out_channels, depth]`, one byte each, and their levels.
struct WeightCodes {
  std::vector<std::uint8_t> codes;
  IntegerLevels levels;
  std::vector<float>
      scales{};  ///< in place of `levels.scale`, where each output channel has its own
  int bits = 8;  ///< of the codes: those asked for, or more for a look-up
};

/// y = fma(float(I), multiplier[c], bias[c]), where I is the exact sum of products of levels.
struct Epilogue {
  std::vector<float> multiplier;
  std::vector<float> bias;
};

/// Where a quantized layer stands in its network.
struct LayerPosition {
  int index = -1;  ///< in a `PrecisionPlan`; -1 until `number_layers` ran
  int count = 1;   ///< of the quantized layers: the entries of a `PrecisionPlan`
  /// The index of the layer whose output comes in; after a block, that of the last layer of its
  /// first path. -1 where the image comes in.
  int previous = -1;
  std::optional<Precision> previous_pinned{};  ///< of the layer whose output comes in
  std::string name{};                          ///< in the network

  /// How messages call the layer: `layer 3 (block1.conv2)`; without a number `layer`.
  [[nodiscard]] std::string text() const {
    return index < 0 ? "layer" : concat("layer ", index, " (", name, ')');
  }
};

/// The precision of the layer whose output comes in under `plan`, which fits the network; `w32a32`
/// where the image comes in.
[[nodiscard]] inline Precision previous_precision(const LayerPosition& position,
                                                  const PrecisionPlan& plan) {
  if (position.previous_pinned || position.previous < 0) {
    return position.previous_pinned.value_or(Precision{});
  }
  return plan.at(static_cast<std::size_t>(position.previous));
}

/// A layer whose evaluation is exact on integers. Evaluation in the training graph and packing call
/// the same functions, so both see the same codes and the same epilogue.
class QuantizedLayer {
 public:
  virtual ~QuantizedLayer() = default;

  /// The position of this layer in a `PrecisionPlan`; -1 until `number_layers` ran.
  [[nodiscard]] int index() const noexcept { return position_.index; }
  /// The number of entries of a `PrecisionPlan` for the network of this layer.
  [[nodiscard]] int layer_count() const noexcept { return position_.count; }
  [[nodiscard]] const LayerPosition& position() const noexcept { return position_; }
  void set_position(LayerPosition position) noexcept { position_ = std::move(position); }

  [[nodiscard]] virtual LayerGeometry geometry() const = 0;

  /// Creates the private state that the layer needs to run under `plan`, unless it is there.
  virtual void add_plan(const PrecisionPlan& plan) = 0;

  /// The precision at which this layer runs under `plan`: its pinned one, or the plan's.
  /// Throws `PrecisionError` when the layer was not built for it.
  [[nodiscard]] virtual Precision executed(const PrecisionPlan& plan) const = 0;

  /// True when the layer runs at one precision under every plan.
  [[nodiscard]] virtual bool is_pinned() const noexcept { return false; }

  /// The widths of the codes that are packed for `plan`: the executed ones, or more where the
  /// values of a policy are not equidistant and its codes are looked up.
  [[nodiscard]] virtual Precision packed(const PrecisionPlan& plan) const { return executed(plan); }

  /// True when the k-bit codes are the top k bits of the 8-bit codes.
  [[nodiscard]] virtual bool nested() const = 0;

  /// Throws `PrecisionError` when the layer has no integer form at these bits.
  [[nodiscard]] virtual WeightCodes weight_codes(int bits) const = 0;
  [[nodiscard]] virtual IntegerLevels activation_levels(const PrecisionPlan& plan) const = 0;
  [[nodiscard]] virtual std::uint8_t activation_code(float x, const PrecisionPlan& plan) const = 0;
  /// The same for many values: what it takes beside x is worked out once. `plan` must outlive it.
  [[nodiscard]] virtual std::function<std::uint8_t(float x)> activation_encoder(
      const PrecisionPlan& plan) const {
    return [this, &plan](float x) { return activation_code(x, plan); };
  }
  [[nodiscard]] virtual Epilogue epilogue(const PrecisionPlan& plan) const = 0;

 private:
  LayerPosition position_{};
};

}  // namespace bitdial::inline BITDIAL_ABI::nn
