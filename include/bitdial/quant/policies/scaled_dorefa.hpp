// SPDX-License-Identifier: Apache-2.0
// The weights of Any-Precision: DoReFa's grid at the size of the weights.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include <bitdial/core/config.hpp>
#include <bitdial/quant/grid.hpp>
#include <bitdial/quant/policy.hpp>
#include <bitdial/quant/span_loops.hpp>
#include <bitdial/quant/statistics.hpp>
#include <bitdial/quant/tanh_range.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Weights E (2 Q_k(t / (2 M) + 1/2) - 1), t = tanh w, M = max |t|, E = mean|w|; one bit too.
///
/// The gradient goes through M; E is a constant. 32 bits: E t / M. One bit of w = 0 is -E (half to
/// even). A tensor of zeros has M = 1. Non-finite weights throw `Error`.
/// Yu et al., "Any-precision deep neural networks", arXiv 1911.07346.
struct ScaledDoReFaWeights {
  static constexpr std::string_view name = "ScaledDoReFaWeights";
  static constexpr std::string_view paper = "arXiv 1911.07346";
  static constexpr TensorRole role = TensorRole::weights;

  struct State {
    TanhRange range;
    float mean_abs = 0.0F;  ///< E
    friend bool operator==(const State&, const State&) = default;
  };

  [[nodiscard]] State fit(std::span<const float> w) const {
    const AbsStatistics statistics = weight_statistics(name, w);
    return {TanhRange::from(statistics), static_cast<float>(statistics.mean())};
  }
  [[nodiscard]] std::int32_t encode(float w, const State& state, int bits) const noexcept {
    return RoundGrid::encode(state.range.unit(w), bits);
  }
  [[nodiscard]] bool sees_tanh(int bits) const noexcept { return bits != real_valued_bits; }
  [[nodiscard]] std::int32_t encode_tanh(float t, const State& state, int bits) const noexcept {
    return RoundGrid::encode(state.range.unit_of_tanh(t), bits);
  }
  /// level 2 q - (2^k - 1) in steps of E / (2^k - 1)
  [[nodiscard]] IntegerLevels levels(const State& state, int bits) const noexcept {
    return TwoSidedGrid{state.mean_abs}.levels(bits);
  }
  [[nodiscard]] float real_valued(float w, const State& state) const noexcept {
    return state.mean_abs * state.range.normalized(w);
  }

  template <class Real>
  void surrogate(std::span<const Real> w, const State& state, int, std::span<Real> y) const {
    TanhRange::surrogate(w, y);
    for (Real& value : y) value *= static_cast<Real>(state.mean_abs);
  }
  void backward(std::span<const float> w, std::span<const float> dy, const State& state, int,
                std::span<float> dw) const {
    state.range.backward(w, dy, dw);
    scale(dw, state);
  }
  void backward_tanh(std::span<const float> t, std::span<const float> dy, const State& state, int,
                     std::span<float> dw) const {
    state.range.backward_of_tanh(t, dy, dw);
    scale(dw, state);
  }

 private:
  static void scale(std::span<float> gradients, const State& state) {
    detail::transform_spans(
        gradients, [scale = state.mean_abs](float gradient) { return scale * gradient; },
        std::span<const float>{gradients});
  }
};

}  // namespace bitdial::inline BITDIAL_ABI
