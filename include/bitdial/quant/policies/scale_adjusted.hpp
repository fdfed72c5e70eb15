// SPDX-License-Identifier: Apache-2.0
// SAT: quantized weights are rescaled so that their variance is that of a well-trained layer.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <bitdial/core/config.hpp>
#include <bitdial/quant/learned_parameter.hpp>
#include <bitdial/quant/policies/adabits.hpp>
#include <bitdial/quant/policy.hpp>
#include <bitdial/quant/quantizer.hpp>
#include <bitdial/quant/smallest_scale.hpp>
#include <bitdial/quant/span_loops.hpp>
#include <bitdial/quant/statistics.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Where the factor of scale-adjusted weights applies.
enum class ScaleUse : std::uint8_t {
  always,   ///< training and evaluation: for layers that batch normalisation follows
  training  ///< a layer with a bias evaluates without: its outputs are smaller by the factor, their
            ///< order is the same
};

/// `Weights` times a factor: w_q = f q(w), f = 1 / (sqrt(n) std(q(w))), n = taps x output channels.
///
/// std is the unbiased one over the quantized weights of this width; f is a constant for the
/// gradient, which is f times that of `Weights`. 32 bits: f times its real-valued path. The codes
/// are those of `Weights`, so nested ones stay nested. A deviation of 0 has f = 1. AdaBits adjusts
/// the classifier (`ScaleUse::training`) and, as an option, convolutions.
/// Jin et al., "Neural network quantization with scale-adjusted training", BMVC 2020; AdaBits,
/// arXiv 1912.09666.
template <class Weights = AdaBitsWeights>
struct ScaleAdjusted {
  static_assert(
      Weights::role == TensorRole::weights && !NamedParametersPolicy<Weights> &&
          !FilterwisePolicy<Weights> && AffinePolicy<Weights>,
      "bitdial: ScaleAdjusted<Weights>: Weights must be a policy of weights on an integer "
      "line, measured on the whole tensor.");

  static constexpr std::string_view name = Weights::name;
  static constexpr std::string_view paper = "arXiv 1912.09666";
  static constexpr TensorRole role = TensorRole::weights;
  static constexpr int min_bits = policy_min_bits<Weights>();
  static constexpr int max_bits = policy_max_bits<Weights>();
  static constexpr bool nested = NestedPolicy<Weights>;

  struct State {
    typename Weights::State weights;
    float factor = 1.0F;
    friend bool operator==(const State&, const State&) = default;
  };

  Weights weights{};
  ScaleUse use = ScaleUse::always;
  std::int64_t fan_out = 0;  ///< n; a layer sets it. 0 counts as 1

  [[nodiscard]] static constexpr std::int32_t code_count(int bits) noexcept {
    return bitdial::code_count<Weights>(bits);
  }
  [[nodiscard]] constexpr bool represents_zero(int bits) const noexcept {
    return bitdial::represents_zero(weights, bits);
  }
  [[nodiscard]] ScaleAdjusted for_shape(const WeightShape& shape) const {
    ScaleAdjusted result = *this;
    if (fan_out <= 0) result.fan_out = shape.taps * shape.out_channels;
    if constexpr (ShapedPolicy<Weights>) result.weights = weights.for_shape(shape);
    return result;
  }

  [[nodiscard]] State fit(std::span<const float> w, int bits) const {
    const auto state = fit_state(weights, w, bits);
    std::vector<float> quantized(w.size());
    Quantizer<Weights>{weights}.fake_quantize(w, state, bits, quantized);
    const double deviation = moments(quantized).deviation();
    if (!(deviation >= static_cast<double>(smallest_scale))) return {state, 1.0F};
    const double n = fan_out > 0 ? static_cast<double>(fan_out) : 1.0;
    return {state, static_cast<float>(1.0 / (std::sqrt(n) * deviation))};
  }
  [[nodiscard]] std::int32_t encode(float w, const State& state, int bits) const {
    return weights.encode(w, state.weights, bits);
  }
  [[nodiscard]] IntegerLevels levels(const State& state, int bits) const {
    IntegerLevels line = weights.levels(state.weights, bits);
    line.scale *= state.factor;
    return line;
  }
  [[nodiscard]] float real_valued(float w, const State& state) const {
    return state.factor * weights.real_valued(w, state.weights);
  }

  template <class Real>
  void surrogate(std::span<const Real> w, const State& state, int bits, std::span<Real> y) const {
    surrogate_forward(weights, w, state.weights, bits, y);
    for (Real& value : y) value *= static_cast<Real>(state.factor);
  }
  void backward(std::span<const float> w, std::span<const float> dy, const State& state, int bits,
                std::span<float> dw) const {
    surrogate_backward(weights, w, dy, state.weights, bits, dw);
    detail::transform_spans(
        dw, [factor = state.factor](float value) { return factor * value; },
        std::span<const float>{dw});
  }

  [[nodiscard]] float evaluation_divisor(const State& state) const noexcept {
    return use == ScaleUse::training ? state.factor : 1.0F;
  }
};

}  // namespace bitdial::inline BITDIAL_ABI
