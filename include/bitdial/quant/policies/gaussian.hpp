// SPDX-License-Identifier: Apache-2.0
// EdMIPS: weights in steps that suit normal values of their deviation.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <bitdial/core/config.hpp>
#include <bitdial/quant/grid.hpp>
#include <bitdial/quant/policy.hpp>
#include <bitdial/quant/smallest_scale.hpp>
#include <bitdial/quant/statistics.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Weights (2 q + 1 - 2^k) step / 2: symmetric, without zero, step = c_k std(w).
///
/// w_q = (round(w / step + 1/2) - 1/2) step within +-(2^k - 1) step / 2, half to even; std is the
/// unbiased one of the whole tensor, a constant for the gradient, which is the identity. c = 1.596,
/// .996, .586, .336 for 1 to 4 bits; .1882, .1041, .0569, .0308 for 5 to 8 (inferred: the optimum
/// for normal weights). 32 bits: identity. A deviation of 0 counts as 1. Non-finite weights throw
/// `Error`. Cai & Vasconcelos, EdMIPS, arXiv 2004.05795.
struct GaussianWeights {
  static constexpr std::string_view name = "GaussianWeights";
  static constexpr std::string_view paper = "arXiv 2004.05795";
  static constexpr TensorRole role = TensorRole::weights;
  static constexpr bool straight_through = true;

  struct State {
    float deviation = 1.0F;
    friend bool operator==(const State&, const State&) = default;
  };

  [[nodiscard]] static constexpr float factor(int bits) noexcept {
    constexpr std::array<float, 8> factors{1.596F,  0.996F,  0.586F,  0.336F,
                                           0.1882F, 0.1041F, 0.0569F, 0.0308F};
    return factors[static_cast<std::size_t>(bits - 1)];
  }

  [[nodiscard]] State fit(std::span<const float> w) const {
    static_cast<void>(weight_statistics(name, w));
    return {scale_or_one(static_cast<float>(moments(w).deviation()))};
  }
  [[nodiscard]] std::int32_t encode(float w, const State& state, int bits) const noexcept {
    const std::int32_t half = 1 << (bits - 1);
    return IntegerGrid{1 - half, half}.encode(w / step(state, bits) + 0.5F);
  }
  /// level 2 q + 1 - 2^k in halves of a step
  [[nodiscard]] IntegerLevels levels(const State& state, int bits) const noexcept {
    return {.scale = step(state, bits) / 2.0F, .multiplier = 2, .offset = 1 - (1 << bits)};
  }
  [[nodiscard]] float real_valued(float w, const State&) const noexcept { return w; }

 private:
  [[nodiscard]] static float step(const State& state, int bits) noexcept {
    return factor(bits) * state.deviation;
  }
};

}  // namespace bitdial::inline BITDIAL_ABI
