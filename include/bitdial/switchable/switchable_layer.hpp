// SPDX-License-Identifier: Apache-2.0
// One layer, many precisions: shared real-valued weights, private state per switch.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <bitdial/autodiff/functions.hpp>
#include <bitdial/autodiff/quantize_gradient.hpp>
#include <bitdial/nn/batch_norm.hpp>
#include <bitdial/nn/traverse.hpp>
#include <bitdial/quant/integer_form.hpp>
#include <bitdial/quant/policies/dorefa.hpp>
#include <bitdial/quant/policies/pact.hpp>
#include <bitdial/quant/quantizer.hpp>
#include <bitdial/switchable/add_plans.hpp>
#include <bitdial/switchable/bit_list.hpp>
#include <bitdial/switchable/exact_sums.hpp>
#include <bitdial/switchable/learned_state.hpp>
#include <bitdial/switchable/quantizable_layer.hpp>
#include <bitdial/switchable/running_state.hpp>
#include <bitdial/switchable/state_bank.hpp>
#include <bitdial/switchable/state_key.hpp>
#include <bitdial/switchable/switchable_options.hpp>
#include <bitdial/switchable/switched_weights.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// A layer at every precision of `Bits` from one set of weights.
///
/// y = BN_key( layer( Q_a(x), Q_w(W) ) ), where W is shared, (w, a) is the plan's precision for
/// this layer, and BN_key is private to the switch. A layer with a bias has the bias in place of
/// BN; `BatchNormPlace` puts a ReLU before BN, or leaves BN out. Width 32 is the policy's
/// real-valued path.
///
/// Training normalises s * float(I), I the exact sum of integer levels and s their scale, with the
/// statistics of the batch; policies without integer levels and width 32 multiply in f32.
/// Evaluation sums the same integers and applies y = fma(float(I), m[c], b[c]): the expression, and
/// the numbers, of the packed network.
///
/// Errors: `PrecisionError` for a width outside `Bits` and for a plan that `add_plans` has not
/// seen. Source: SP-Nets, 2002.02815.
template <class Layer, class Bits, class WeightPolicy = DoReFaWeights,
          class ActivationPolicy = PactActivations, class Key = KeyByPair>
class SwitchableLayer final : public nn::Module, public nn::QuantizedLayer {
  static_assert(QuantizableLayer<Layer>,
                "bitdial: SwitchableLayer<Layer, Bits>: Layer must be a module that is linear in "
                "its weights, as nn::Conv2d and nn::Linear are.");
  static_assert(
      requires {
        Bits::values;
        Bits::contains(8);
      },
      "bitdial: SwitchableLayer<Layer, Bits>: Bits must be a BitList, for example "
      "BitList<8, 4, 2>.");
  static_assert(std::ranges::all_of(Bits::values,
                                    [](int bits) {
                                      return supports_bits<WeightPolicy>(bits) ||
                                             supports_bits<ActivationPolicy>(bits);
                                    }),
                "bitdial: SwitchableLayer<Layer, Bits, WeightPolicy, ActivationPolicy>: Bits has a "
                "width that "
                "neither policy quantizes to.");
  static_assert(KeyPolicy<Key>,
                "bitdial: SwitchableLayer<..., Key>: Key must say which precisions share their "
                "private state, as KeyByPair does.");

 public:
  using Options = typename Layer::Options;
  using Switching = SwitchableOptions<WeightPolicy, ActivationPolicy>;

  explicit SwitchableLayer(const Options& options, const Switching& switching = {})
      : layer_{options},
        switching_{switching},
        weights_{switching.weights, layer_.geometry()},
        activations_{switching.activations} {
    if (switching_.pinned) require_width(*switching_.pinned);
  }

  [[nodiscard]] Var forward(Var x, const nn::Pass& pass) override {
    const Precision precision = executed(pass.plan);
    if constexpr (is_exact) {
      if (pass.mode == nn::Mode::evaluation && precision.w != real_valued_bits &&
          precision.a != real_valued_bits) {
        const Var y =
            x.tape().record("exact sums", evaluate_exactly(x.value(), pass.plan), {}, nullptr);
        if (!normalises_last()) return y;
        const Var result = normalised(ad::relu(y), pass);
        nn::discard_unless(y, {result});
        return result;
      }
    }
    const Var quantized_x = quantized_input(x, pass, precision.a);
    const Var quantized_w =
        weights_.quantize(x.tape(), layer_.weight(), pass.mode, precision.w, position());
    Var y;
    if constexpr (Layer::has_bias) {
      y = layer_.apply(quantized_x, quantized_w, layer_.bias_on(x.tape()));
      quantize_gradient(y, pass);
      if (pass.mode == nn::Mode::evaluation && divisor(precision.w) != 1.0F) {
        y = ad::scale(y, 1.0F / divisor(precision.w));
      }
    } else {
      const Var sums = layer_.apply(quantized_x, quantized_w);
      quantize_gradient(sums, pass);
      y = sums;
      if (normalises()) y = normalised(normalises_last() ? ad::relu(sums) : sums, pass);
      nn::discard_unless(sums, {y});
    }
    nn::discard_unless(quantized_x, {x, y});
    nn::discard_unless(quantized_w, {y});
    return y;
  }

  void visit(nn::ModuleVisitor& visitor, const std::string& name) override {
    visitor.layer(name, *this);
    layer_.visit(visitor, name);
    for (const auto& [key, state] : bank_) {
      if (normalises()) {
        nn::visit(visitor, nn::child_name(name, "bn." + key.text()), state->batch_norm);
      }
      if constexpr (RunningState<ActivationPolicy>::is_kept) {
        visitor.buffer(nn::child_name(name, "range." + key.text()), state->activations.words());
      }
    }
    for (const auto& [key, learned] : learned_bank_) {
      learned->visit(visitor, nn::child_name(name, "activations." + key.text()));
    }
    weights_.visit(visitor, name);
  }

  [[nodiscard]] std::int32_t describe(nn::Description& description, std::int32_t x) const override {
    const nn::LayerGeometry shape = geometry();
    description.layers.push_back(this);
    const std::int32_t y =
        description.graph.append({.kind = shape.kind,
                                  .inputs = {x, -1},
                                  .layer = static_cast<std::int32_t>(description.layers.size()) - 1,
                                  .window = shape.window});
    if (!normalises_last()) return y;
    const std::int32_t relu =
        description.graph.append({.kind = ops::NodeKind::relu, .inputs = {y, -1}});
    return description.append(relu, [this](const PrecisionPlan& plan) {
      return nn::folded(private_state(plan).batch_norm, switching_.batch_norm);
    });
  }

  void add_plan(const PrecisionPlan& plan) override {
    static_cast<void>(executed(plan));
    if (!bank_.contains(key(plan))) {
      bank_.add(key(plan), PrivateState{nn::BatchNormState(geometry().out_channels), {}});
    }
    // Learned numbers start from data, not as a copy.
    if (!learned_bank_.contains(learned_key(plan))) learned_bank_.add(learned_key(plan), {}) = {};
    weights_.add_width(executed(plan).w);
  }

  [[nodiscard]] nn::LayerGeometry geometry() const override {
    nn::LayerGeometry geometry = layer_.geometry();
    if (!Layer::has_bias && switching_.batch_norm_place != nn::BatchNormPlace::after) {
      geometry.per_channel = 0;
    }
    return geometry;
  }

  [[nodiscard]] Precision executed(const PrecisionPlan& plan) const override {
    const Precision precision = switching_.pinned.value_or(requested(plan));
    require_width(precision);
    return precision;
  }

  [[nodiscard]] bool is_pinned() const noexcept override { return switching_.pinned.has_value(); }

  [[nodiscard]] Precision packed(const PrecisionPlan& plan) const override {
    const Precision precision = executed(plan);
    return {.w = integer_form_bits<WeightPolicy>(precision.w),
            .a = integer_form_bits<ActivationPolicy>(precision.a)};
  }

  [[nodiscard]] bool nested() const override { return NestedPolicy<WeightPolicy>; }

  [[nodiscard]] nn::WeightCodes weight_codes(int bits) const override {
    require_integers(bits);
    return weights_.codes(layer_.weight().value.span(), bits);
  }

  [[nodiscard]] IntegerLevels activation_levels(const PrecisionPlan& plan) const override {
    require_integers(executed(plan).a);
    return activation_form(plan).levels;
  }

  [[nodiscard]] std::uint8_t activation_code(float x, const PrecisionPlan& plan) const override {
    return activation_encoder(plan)(x);
  }

  [[nodiscard]] std::function<std::uint8_t(float)> activation_encoder(
      const PrecisionPlan& plan) const override {
    return [this, bits = executed(plan).a, state = frozen_state(plan),
            form = activation_form(plan)](float x) {
      std::uint8_t code = 0;
      activations_.encode({&x, 1}, state, bits, {&code, 1});
      return form.codes[code];
    };
  }

  [[nodiscard]] nn::Epilogue epilogue(const PrecisionPlan& plan) const override {
    const Precision precision = executed(plan);
    return epilogue(plan, weight_codes(precision.w), activation_levels(plan).scale);
  }

  /// The shared real-valued layer.
  [[nodiscard]] Layer& layer() noexcept { return layer_; }
  [[nodiscard]] const Layer& layer() const noexcept { return layer_; }

 private:
  /// Integers need an encoder that does not depend on the batch.
  static constexpr bool is_exact = is_stateless<ActivationPolicy> ||
                                   RunningState<ActivationPolicy>::is_kept ||
                                   LearnedState<ActivationPolicy>::is_kept;

  /// What a switch does not share with the others.
  struct PrivateState {
    nn::BatchNormState batch_norm;  ///< unused by a layer with a bias
    RunningState<ActivationPolicy> activations;
  };

  /// The names of the learned numbers of activations that some switches share.
  struct LearnedKey {
    std::string name;
    [[nodiscard]] std::string text() const { return name; }
    friend bool operator==(const LearnedKey&, const LearnedKey&) = default;
  };

  /// True when the layer has batch normalisations, and when one of them ends it.
  [[nodiscard]] bool normalises() const noexcept {
    return !Layer::has_bias && switching_.batch_norm_place != nn::BatchNormPlace::none;
  }
  [[nodiscard]] bool normalises_last() const noexcept {
    return !Layer::has_bias && switching_.batch_norm_place == nn::BatchNormPlace::after_relu;
  }
  [[nodiscard]] Var normalised(Var x, const nn::Pass& pass) {
    const Var y =
        nn::batch_norm(x, private_state(pass.plan).batch_norm, switching_.batch_norm, pass.mode);
    if (normalises_last()) nn::discard_unless(x, {y});
    return y;
  }

  /// What the plan asks of this layer.
  [[nodiscard]] Precision requested(const PrecisionPlan& plan) const {
    if (plan.size() > 1 && index() < 0) {
      throw PrecisionError(concat("plan: ", plan, " has ", plan.size(),
                                  " entries, but this layer has no number; call "
                                  "nn::number_layers on the complete network"));
    }
    if (!plan.fits(static_cast<std::size_t>(layer_count()))) {
      throw PrecisionError(concat("plan: ", plan, " has ", plan.size(),
                                  " entries, the network has ", layer_count(),
                                  " quantized layers"));
    }
    return plan.at(static_cast<std::size_t>(std::max(0, index())));
  }

  [[nodiscard]] typename Key::Key key(const PrecisionPlan& plan) const {
    return Key::key({requested(plan), executed(plan), nn::previous_precision(position(), plan)});
  }

  [[nodiscard]] LearnedKey learned_key(const PrecisionPlan& plan) const {
    switch (switching_.learned) {
      case LearnedSharing::per_switch:
        return {key(plan).text()};
      case LearnedSharing::per_width:
        return {concat("a", executed(plan).a)};
      case LearnedSharing::all:
        return {"all"};
    }
    return {};
  }

  [[nodiscard]] PrivateState& private_state(const PrecisionPlan& plan) {
    return bank_.at(key(plan), position());
  }
  [[nodiscard]] const PrivateState& private_state(const PrecisionPlan& plan) const {
    return bank_.at(key(plan), position());
  }

  [[nodiscard]] Var quantized_input(Var x, const nn::Pass& pass, int bits) {
    const bool is_training = pass.mode == nn::Mode::training;
    if constexpr (LearnedState<ActivationPolicy>::is_kept) {
      LearnedState<ActivationPolicy>& learned =
          learned_bank_.at(learned_key(pass.plan), position());
      if (is_training && !learned.has_started()) {
        learned.start(activations_.fit(x.value().span(), bits), x.tape().group());
      }
      const auto state = frozen_state(pass.plan);
      return is_training ? learned.quantize(x, activations_, state, bits)
                         : ad::fake_quantize(x, activations_, state, bits);
    } else {
      return ad::fake_quantize(x, activations_, activation_state(x, pass), bits);
    }
  }

  /// DoReFa: where the tape says so, what flows back into a layer is quantized first. Pinned layers
  /// and real-valued passes keep their gradients.
  void quantize_gradient(Var y, const nn::Pass& pass) const {
    if (pass.mode == nn::Mode::evaluation || switching_.pinned) return;
    if (executed(pass.plan) == Precision{real_valued_bits, real_valued_bits}) return;
    ad::quantize_gradient(y, y.tape().gradient_bits());
  }

  [[nodiscard]] float divisor(int bits) const {
    return weights_.evaluation_divisor(layer_.weight().value.span(), bits);
  }

  /// What evaluation encodes activations with: what training has seen or learned.
  [[nodiscard]] typename ActivationPolicy::State frozen_state(const PrecisionPlan& plan) const {
    if constexpr (LearnedState<ActivationPolicy>::is_kept) {
      const auto& learned = learned_bank_.at(learned_key(plan), position());
      const auto untrained = activations_.fit({}, executed(plan).a);
      return learned.has_started() ? learned.over(untrained) : untrained;
    } else {
      return private_state(plan).activations.frozen();
    }
  }
  [[nodiscard]] IntegerForm activation_form(const PrecisionPlan& plan) const {
    return integer_form(activations_.policy(), frozen_state(plan), executed(plan).a);
  }

  /// Training measures the batch and remembers; evaluation uses what training has seen.
  [[nodiscard]] typename ActivationPolicy::State activation_state(Var x, const nn::Pass& pass) {
    if constexpr (is_stateless<ActivationPolicy>) return {};
    if (pass.mode == nn::Mode::training) {
      return private_state(pass.plan).activations.observe(
          activations_.policy(), x.value().span(),
          static_cast<float>(switching_.batch_norm.momentum));
    }
    if constexpr (RunningState<ActivationPolicy>::is_kept) {
      return private_state(pass.plan).activations.frozen();
    }
    return activations_.fit(x.value().span());
  }

  [[nodiscard]] nn::Epilogue epilogue(const PrecisionPlan& plan, const nn::WeightCodes& weights,
                                      float activation_scale) const {
    const auto channels = static_cast<std::size_t>(geometry().out_channels);
    nn::Epilogue result{std::vector<float>(channels), std::vector<float>(channels)};
    if constexpr (Layer::has_bias) {
      const float share = 1.0F / divisor(executed(plan).w);
      std::ranges::fill(result.multiplier, share);
      std::ranges::transform(layer_.bias().value.span(), result.bias.begin(),
                             [share](float bias) { return share * bias; });
    } else if (switching_.batch_norm_place == nn::BatchNormPlace::after) {
      nn::fold(private_state(plan).batch_norm, switching_.batch_norm, result.multiplier,
               result.bias);
    } else {
      std::ranges::fill(result.multiplier, 1.0F);
    }
    for (std::size_t c = 0; c < channels; ++c) {
      const float scale = weights.scales.empty() ? weights.levels.scale : weights.scales[c];
      result.multiplier[c] *= scale * activation_scale;
    }
    return result;
  }

  [[nodiscard]] Tensor<float> evaluate_exactly(const Tensor<float>& x,
                                               const PrecisionPlan& plan) const {
    const Precision precision = executed(plan);
    const nn::WeightCodes weights = weight_codes(precision.w);
    const IntegerLevels levels = activation_levels(plan);

    std::vector<std::uint8_t> codes(static_cast<std::size_t>(x.size()));
    activations_.encode(x.span(), frozen_state(plan), precision.a, codes);
    const IntegerForm form = activation_form(plan);
    for (std::uint8_t& code : codes) code = form.codes[code];
    const Tensor<float> x_levels = detail::as_levels(codes, levels, x.shape());
    const Tensor<float> w_levels =
        detail::as_levels(weights.codes, weights.levels, layer_.weight().value.shape());
    const double largest =
        std::max(std::abs(levels.level(0)), std::abs(levels.level((1 << form.bits) - 1)));

    Tensor<float> y = detail::exact_sums(layer_, x_levels, w_levels, largest);
    const nn::Epilogue affine = epilogue(plan, weights, levels.scale);
    const Shape per_channel{static_cast<std::int64_t>(affine.multiplier.size())};
    ops::scale_shift_forward(y.view(), y.view(),
                             TensorView<const float>{affine.multiplier.data(), per_channel},
                             TensorView<const float>{affine.bias.data(), per_channel});
    return y;
  }

  void require_width(Precision precision) const {
    if (has_width<WeightPolicy>(precision.w) && has_width<ActivationPolicy>(precision.a)) return;
    throw PrecisionError(concat(
        "switchable ", position().text(), ": ", precision,
        " is not one of its precisions: it has BitList<", join(Bits::values), "> and 32, of which ",
        WeightPolicy::name, " quantizes weights to ", policy_min_bits<WeightPolicy>(), "..",
        policy_max_bits<WeightPolicy>(), " bits and ", ActivationPolicy::name, " activations to ",
        policy_min_bits<ActivationPolicy>(), "..", policy_max_bits<ActivationPolicy>()));
  }
  template <class Policy>
  [[nodiscard]] static bool has_width(int bits) noexcept {
    return bits == real_valued_bits || (Bits::contains(bits) && supports_bits<Policy>(bits));
  }

  void require_integers(int bits) const {
    if (!is_exact || bits == real_valued_bits) {
      throw PrecisionError(
          concat("switchable ", position().text(), ": ", WeightPolicy::name, " with ",
                 ActivationPolicy::name, " at ", bits,
                 " bits has no integer form; it trains and evaluates in f32 but does not pack"));
    }
  }

  Layer layer_;
  Switching switching_;
  SwitchedWeights<WeightPolicy> weights_;
  Quantizer<ActivationPolicy> activations_;
  StateBank<typename Key::Key, PrivateState> bank_;
  StateBank<LearnedKey, LearnedState<ActivationPolicy>> learned_bank_;
};

}  // namespace bitdial::inline BITDIAL_ABI
