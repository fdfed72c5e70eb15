// SPDX-License-Identifier: Apache-2.0
// The weights of a switchable layer at every width: quantized values for training, codes for
// evaluation and packing, and what is learned about them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <bitdial/autodiff/functions.hpp>
#include <bitdial/autodiff/learned_quantization.hpp>
#include <bitdial/nn/module.hpp>
#include <bitdial/nn/traverse.hpp>
#include <bitdial/ops/fake_quantize.hpp>
#include <bitdial/quant/integer_form.hpp>
#include <bitdial/quant/quantizer.hpp>
#include <bitdial/switchable/learned_state.hpp>
#include <bitdial/switchable/state_bank.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// One weight tensor at every width of `Policy`.
///
/// Measures are taken of the weights as they are; learned numbers belong to a width, and to a
/// filter where `Policy` is filterwise. They start at the first training pass of their width.
template <class Policy>
class SwitchedWeights {
 public:
  using State = typename Policy::State;

  /// A policy that depends on the shape of the weights gets it here.
  SwitchedWeights(const Policy& policy, const nn::LayerGeometry& shape)
      : quantizer_{shaped(policy, shape)},
        filters_{FilterwisePolicy<Policy> ? std::max<std::int64_t>(1, shape.out_channels) : 1} {}

  /// Makes room for what is learned at this width.
  void add_width(int bits) {
    if (!LearnedState<Policy>::is_kept || bits == real_valued_bits) return;
    for (std::int64_t filter = 0; filter < filters_; ++filter) {
      const Key at{bits, filter};
      if (!bank_.contains(at)) bank_.add(at, {}) = {};
    }
  }

  /// The quantized weights of one pass of `layer`.
  [[nodiscard]] Var quantize(Tape& tape, nn::Parameter& weight, nn::Mode mode, int bits,
                             const nn::LayerPosition& layer = {}) {
    Var w = tape.parameter(weight.value, weight.grad);
    const bool is_training = mode == nn::Mode::training;
    const bool learns = LearnedState<Policy>::is_kept && bits != real_valued_bits && is_training;
    if (learns) start(weight.value.span(), bits, layer);
    if constexpr (NoisyPolicy<Policy>) {
      if (is_training && bits != real_valued_bits) w = with_noise(w);
    }
    const std::span<const float> values = w.value().span();
    if constexpr (FilterwisePolicy<Policy>) {
      std::vector<State> states;
      for (std::int64_t f = 0; f < filters_; ++f) {
        states.push_back(state(filter(values, f), {bits, f}));
        if constexpr (RelearnedPolicy<Policy>) {
          if (!learns) continue;
          bank_.at({bits, f}).start(
              quantizer_.policy().relearn(filter(values, f), states.back(), bits));
        }
      }
      return ad::filterwise_fake_quantize(w, quantizer_, std::move(states), bits);
    } else {
      const State now = state(values, {bits, 0});
      if (!learns) return ad::fake_quantize(w, quantizer_, now, bits);
      return bank_.at({bits, 0}).quantize(w, quantizer_, now, bits);
    }
  }

  /// The integers of evaluation and of packed networks.
  [[nodiscard]] nn::WeightCodes codes(std::span<const float> weight, int bits) const {
    nn::WeightCodes result;
    result.bits = integer_form_bits<Policy>(bits);
    result.codes.resize(weight.size());
    for (std::int64_t f = 0; f < filters_; ++f) {
      const std::span<const float> values = filter(weight, f);
      const std::span<std::uint8_t> codes = filter(std::span{result.codes}, f);
      const State now = state(values, {bits, f});
      const IntegerForm form = integer_form(quantizer_.policy(), now, bits);
      ops::encode(values, quantizer_, now, bits, codes);
      std::ranges::transform(codes, codes.begin(),
                             [&](std::uint8_t code) { return form.codes[code]; });
      result.levels = form.levels;
      if constexpr (FilterwisePolicy<Policy>) result.scales.push_back(form.levels.scale);
    }
    return result;
  }

  /// What the outputs of a layer with a bias are divided by in evaluation: 1 for most policies.
  [[nodiscard]] float evaluation_divisor(std::span<const float> weight, int bits) const {
    if constexpr (EvaluationScaledPolicy<Policy>) {
      return quantizer_.policy().evaluation_divisor(state(weight, {bits, 0}));
    }
    return 1.0F;
  }

  /// Shows `prefix.weights.w4.step` and so on.
  void visit(nn::ModuleVisitor& visitor, const std::string& prefix) {
    for (const auto& [key, learned] : bank_) {
      learned->visit(visitor, nn::child_name(prefix, "weights." + key.text()));
    }
  }

 private:
  struct Key {
    int bits = 8;
    std::int64_t filter = 0;
    [[nodiscard]] std::string text() const {
      return FilterwisePolicy<Policy> ? concat("w", bits, ".", filter) : concat("w", bits);
    }
    friend bool operator==(const Key&, const Key&) = default;
  };

  [[nodiscard]] static Policy shaped(const Policy& policy, const nn::LayerGeometry& shape) {
    if constexpr (ShapedPolicy<Policy>) {
      return policy.for_shape({.out_channels = shape.out_channels,
                               .taps = shape.window.taps(),
                               .in_channels = shape.in_channels / shape.groups});
    } else {
      return policy;
    }
  }

  /// The part of `values` that has a state of its own.
  template <class T>
  [[nodiscard]] std::span<T> filter(std::span<T> values, std::int64_t index) const {
    const std::size_t size = values.size() / static_cast<std::size_t>(filters_);
    return values.subspan(static_cast<std::size_t>(index) * size, size);
  }

  /// What is measured of the weights now, and what was learned.
  [[nodiscard]] State state(std::span<const float> values, const Key& at) const {
    const State measured = quantizer_.fit(values, at.bits);
    if constexpr (LearnedState<Policy>::is_kept) {
      if (bank_.contains(at) && bank_.at(at).has_started()) return bank_.at(at).over(measured);
    }
    return measured;
  }

  /// Gives learned numbers that have no value yet the one that they start with.
  void start(std::span<const float> values, int bits, const nn::LayerPosition& layer) {
    for (std::int64_t f = 0; f < filters_; ++f) {
      LearnedState<Policy>& learned = bank_.at({bits, f}, layer);
      if (!learned.has_started()) learned.start(quantizer_.fit(filter(values, f), bits));
    }
  }

  /// w plus uniform noise, which turns the nearest code into a random one.
  [[nodiscard]] Var with_noise(Var w) const {
    const float range = quantizer_.policy().noise();
    if (range == 0.0F) return w;
    Tensor<float> noise(w.shape());
    Random random = w.tape().random_streams().next();
    for (float& value : noise.span()) value = random.uniform(-range, range);
    return ad::add(w, w.tape().constant(std::move(noise)));
  }

  Quantizer<Policy> quantizer_;
  std::int64_t filters_;
  StateBank<Key, LearnedState<Policy>> bank_;
};

}  // namespace bitdial::inline BITDIAL_ABI
