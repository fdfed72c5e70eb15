// SPDX-License-Identifier: Apache-2.0
// The layer of a search: one set of weights, every candidate precision at once, each with a learned
// share.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include <bitdial/nn/batch_norm.hpp>
#include <bitdial/nn/conv2d.hpp>
#include <bitdial/nn/linear.hpp>
#include <bitdial/quant/policies/gaussian.hpp>
#include <bitdial/quant/policies/hwgq.hpp>
#include <bitdial/search/operand_mixture.hpp>
#include <bitdial/switchable/layer_for.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// A layer whose operands are mixtures of their quantizations at all candidate widths.
///
///   X = sum_j softmax(alpha_a)[j] Q_{Ba[j]}(x)      W = sum_i softmax(alpha_w)[i] Q_{Bw[i]}(w)
///   y = BN( layer(X, W) )
///
/// One linear map serves all pairs of widths, because it is linear in each operand; all widths
/// share the weights w. A layer with a bias has the bias in place of BN. The mixture is the same
/// under every plan. Evaluation is real-valued, with the running statistics.
///
/// It stands wherever a `SwitchableLayer` stands, see `Candidates`. It has no integer form: pack a
/// network that was trained at the plan that the search chose (`chosen_plan`).
/// Throws `ConfigError` for a pinned precision: a pinned layer is not searched.
/// Cost: that of the layer in f32, plus one element-wise pass over each operand per width.
/// Source: EdMIPS, arXiv 2004.05795.
template <class Layer, class Choice, class WeightPolicy = GaussianWeights,
          class ActivationPolicy = HwgqActivations>
class CompositeLayer;

template <class Layer, class WeightBits, class ActivationBits, class WeightPolicy,
          class ActivationPolicy>
class CompositeLayer<Layer, Candidates<WeightBits, ActivationBits>, WeightPolicy, ActivationPolicy>
    final : public nn::Module, public SearchedLayer {
  static_assert(QuantizableLayer<Layer>,
                "bitdial: CompositeLayer<Layer, Candidates<...>>: Layer must be a module that is "
                "linear in its weights, as nn::Conv2d and nn::Linear are.");

 public:
  using Options = typename Layer::Options;
  using Switching = SwitchableOptions<WeightPolicy, ActivationPolicy>;

  explicit CompositeLayer(const Options& options, const Switching& switching = {})
      : layer_{options},
        place_{Layer::has_bias ? nn::BatchNormPlace::none : switching.batch_norm_place},
        batch_norm_options_{switching.batch_norm},
        batch_norm_{layer_.geometry().out_channels},
        weights_{switching.weights},
        activations_{switching.activations} {
    if (switching.pinned) {
      throw ConfigError(concat("composite layer: it is pinned at ", *switching.pinned,
                               ", so there is nothing to search; use a SwitchableLayer"));
    }
  }

  [[nodiscard]] Var forward(Var x, const nn::Pass& pass) override {
    Tape& tape = x.tape();
    const auto momentum = static_cast<float>(batch_norm_options_.momentum);
    const Var mixed_x = activations_.forward(x, pass.mode, 1, momentum);
    nn::Parameter& weight = layer_.weight();
    const Var w = tape.parameter(weight.value, weight.grad);
    const Var mixed_w = weights_.forward(w, pass.mode, geometry().out_channels, momentum);
    Var y;
    if constexpr (Layer::has_bias) {
      y = layer_.apply(mixed_x, mixed_w, layer_.bias_on(tape));
    } else {
      y = layer_.apply(mixed_x, mixed_w);
    }
    nn::discard_unless(mixed_x, {y});
    nn::discard_unless(mixed_w, {y});
    if (place_ == nn::BatchNormPlace::after_relu) {
      const Var sums = std::exchange(y, ad::relu(y));
      nn::discard_unless(sums, {y});
    }
    if (place_ != nn::BatchNormPlace::none) {
      const Var before =
          std::exchange(y, nn::batch_norm(y, batch_norm_, batch_norm_options_, pass.mode));
      nn::discard_unless(before, {y});
    }
    return y;
  }

  void visit(nn::ModuleVisitor& visitor, const std::string& name) override {
    visitor.layer(name, *this);
    layer_.visit(visitor, name);
    if (place_ != nn::BatchNormPlace::none) {
      nn::visit(visitor, nn::child_name(name, "bn"), batch_norm_);
    }
    weights_.visit(visitor, nn::child_name(name, "weights"));
    activations_.visit(visitor, nn::child_name(name, "activations"));
  }

  [[nodiscard]] std::int32_t describe(nn::Description& description, std::int32_t x) const override {
    const nn::LayerGeometry shape = geometry();
    description.layers.push_back(this);
    const std::int32_t y =
        description.graph.append({.kind = shape.kind,
                                  .inputs = {x, -1},
                                  .layer = static_cast<std::int32_t>(description.layers.size()) - 1,
                                  .window = shape.window});
    if (place_ != nn::BatchNormPlace::after_relu) return y;
    const std::int32_t relu =
        description.graph.append({.kind = ops::NodeKind::relu, .inputs = {y, -1}});
    return description.append(relu, [this](const PrecisionPlan&) {
      return nn::folded(batch_norm_, batch_norm_options_);
    });
  }

  [[nodiscard]] BitShares weight_shares() override { return weights_.shares(); }
  [[nodiscard]] BitShares activation_shares() override { return activations_.shares(); }

  [[nodiscard]] nn::LayerGeometry geometry() const override {
    nn::LayerGeometry geometry = layer_.geometry();
    if (!Layer::has_bias && place_ != nn::BatchNormPlace::after) geometry.per_channel = 0;
    return geometry;
  }
  /// Nothing to add: the mixture is the same under every plan.
  void add_plan(const PrecisionPlan&) override {}
  /// What the plan asks for; the mixture does not depend on it.
  [[nodiscard]] Precision executed(const PrecisionPlan& plan) const override {
    return plan.at(static_cast<std::size_t>(std::max(0, index())));
  }

  [[nodiscard]] bool nested() const override { return false; }
  /// Throws `PrecisionError`, as all that follows: a mixture has no codes.
  [[nodiscard]] nn::WeightCodes weight_codes(int) const override { throw not_chosen(); }
  [[nodiscard]] IntegerLevels activation_levels(const PrecisionPlan&) const override {
    throw not_chosen();
  }
  [[nodiscard]] std::uint8_t activation_code(float, const PrecisionPlan&) const override {
    throw not_chosen();
  }
  [[nodiscard]] nn::Epilogue epilogue(const PrecisionPlan&) const override { throw not_chosen(); }

  /// The shared real-valued layer.
  [[nodiscard]] Layer& layer() noexcept { return layer_; }
  [[nodiscard]] const Layer& layer() const noexcept { return layer_; }

 private:
  [[nodiscard]] PrecisionError not_chosen() const {
    return PrecisionError(
        concat("composite ", position().text(),
               ": it is a mixture of precisions and has no integer form; train a network of "
               "switchable layers at chosen_plan(network) and pack that one"));
  }

  Layer layer_;
  nn::BatchNormPlace place_;
  nn::BatchNormOptions batch_norm_options_;
  nn::BatchNormState batch_norm_;  ///< unused where there is none
  OperandMixture<WeightPolicy, WeightBits> weights_;
  OperandMixture<ActivationPolicy, ActivationBits> activations_;
};

template <class Choice, class WeightPolicy = GaussianWeights,
          class ActivationPolicy = HwgqActivations>
using CompositeConv2d = CompositeLayer<nn::Conv2d, Choice, WeightPolicy, ActivationPolicy>;

/// A network over `Candidates` is built of composite layers; they keep one private state, so the
/// key of a bank does not matter.
template <class WeightBits, class ActivationBits>
struct LayerKind<Candidates<WeightBits, ActivationBits>> {
  template <class Layer, class WeightPolicy, class ActivationPolicy, class Key>
  using type =
      CompositeLayer<Layer, Candidates<WeightBits, ActivationBits>, WeightPolicy, ActivationPolicy>;
};

}  // namespace bitdial::inline BITDIAL_ABI
