// SPDX-License-Identifier: Apache-2.0
// TTQ, trained ternary quantization: three values of which two are learned.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include <bitdial/core/config.hpp>
#include <bitdial/quant/grid.hpp>
#include <bitdial/quant/learned_parameter.hpp>
#include <bitdial/quant/policy.hpp>
#include <bitdial/quant/span_loops.hpp>
#include <bitdial/quant/statistics.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Weights -Wn, 0, Wp with learned Wp and Wn; 2 bits, of which three codes occur.
///
/// threshold = t max|w|. dWp = sum of dy above it, dWn = -sum of dy below -threshold;
/// dw = dy {Wp above, 1 between, Wn below}. Wp and Wn start at 1. 32 bits: identity. Non-finite
/// weights throw `Error`. Zhu et al., "Trained ternary quantization", arXiv 1612.01064.
struct TrainedTernaryWeights {
  static constexpr std::string_view name = "TrainedTernaryWeights";
  static constexpr std::string_view paper = "arXiv 1612.01064";
  static constexpr TensorRole role = TensorRole::weights;
  static constexpr int min_bits = 2;
  static constexpr int max_bits = 2;

  struct State {
    float threshold = 0.0F;
    float positive = 1.0F;  ///< Wp
    float negative = 1.0F;  ///< Wn
    friend bool operator==(const State&, const State&) = default;
  };
  static constexpr std::array parameters{learned<&State::positive>("positive"),
                                         learned<&State::negative>("negative")};

  float threshold_factor = 0.05F;  ///< t

  [[nodiscard]] static constexpr std::int32_t code_count(int) noexcept { return 3; }
  [[nodiscard]] static constexpr bool represents_zero() noexcept { return true; }

  [[nodiscard]] State fit(std::span<const float> w) const {
    return {threshold_factor * weight_statistics(name, w).max, 1.0F, 1.0F};
  }
  [[nodiscard]] std::int32_t encode(float w, const State& state, int) const noexcept {
    return TernaryGrid::encode(w, state.threshold);
  }
  [[nodiscard]] float decode(std::int32_t code, const State& state, int) const noexcept {
    return code == 2 ? state.positive : code == 1 ? 0.0F : -state.negative;
  }
  [[nodiscard]] float real_valued(float w, const State&) const noexcept { return w; }

  template <class Real>
  void surrogate(std::span<const Real> w, const State& state, int bits, std::span<Real> y) const {
    std::ranges::transform(w, y.begin(), [&](Real value) {
      return value * static_cast<Real>(slope(static_cast<float>(value), state, bits));
    });
  }
  void backward(std::span<const float> w, std::span<const float> dy, const State& state, int bits,
                std::span<float> dw) const {
    detail::transform_spans(
        dw,
        [state, bits](float value, float gradient) { return gradient * slope(value, state, bits); },
        w, dy);
  }
  [[nodiscard]] State gradients(std::span<const float> w, std::span<const float> dy,
                                const State& state, int bits) const {
    if (bits == real_valued_bits) return {0.0F, 0.0F, 0.0F};
    const auto sums = sum_gradients<2>(w, dy, [state](float value, double gradient) {
      const std::int32_t code = TernaryGrid::encode(value, state.threshold);
      return std::array{code == 2 ? gradient : 0.0, code == 0 ? -gradient : 0.0};
    });
    return {0.0F, static_cast<float>(sums[0]), static_cast<float>(sums[1])};
  }

 private:
  [[nodiscard]] static float slope(float w, const State& state, int bits) noexcept {
    if (bits == real_valued_bits) return 1.0F;
    const std::int32_t code = TernaryGrid::encode(w, state.threshold);
    return code == 2 ? state.positive : code == 1 ? 1.0F : state.negative;
  }
};

}  // namespace bitdial::inline BITDIAL_ABI
