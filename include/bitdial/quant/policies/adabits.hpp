// SPDX-License-Identifier: Apache-2.0
// AdaBits: weights on a floor grid, so that one 8-bit code holds the code of every width.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include <bitdial/core/config.hpp>
#include <bitdial/quant/grid.hpp>
#include <bitdial/quant/policy.hpp>
#include <bitdial/quant/statistics.hpp>
#include <bitdial/quant/tanh_range.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Where in its cell of width 2^(1-k) a weight's value lies.
enum class AdaBitsGrid {
  modified,  ///< at the lower end: zero is a value, the range is [-1, 1 - 2^(1-k)]
  centred    ///< in the middle: symmetric, without zero
};

/// Weights of 2^k cells of equal width on [-1, 1]; the code of k bits is the top k bits of the
/// code of 8 bits.
///
/// u = t / (2 M) + 1/2 with t = tanh w, M = max |t|; q = min(floor(2^k u), 2^k - 1);
/// w_q = 2 q / 2^k - 1 (modified) or (2 q + 1) / 2^k - 1 (centred). The gradient is that of t / M,
/// M included. 32 bits: t / M. A tensor of zeros (or subnormal numbers) has M = 1. Non-finite
/// weights throw `Error`. One bit of the modified grid is {-1, 0}: use the centred grid there. Jin
/// et al., "AdaBits", arXiv 1912.09666.
struct AdaBitsWeights {
  static constexpr std::string_view name = "AdaBitsWeights";
  static constexpr std::string_view paper = "arXiv 1912.09666";
  static constexpr TensorRole role = TensorRole::weights;
  static constexpr bool nested = true;

  using State = TanhRange;

  AdaBitsGrid grid = AdaBitsGrid::modified;

  [[nodiscard]] bool represents_zero() const noexcept { return grid == AdaBitsGrid::modified; }

  [[nodiscard]] State fit(std::span<const float> w) const {
    return TanhRange::from(weight_statistics(name, w));
  }

  [[nodiscard]] std::int32_t encode(float w, const State& state, int bits) const noexcept {
    return FloorGrid::encode(state.unit(w), bits);
  }
  [[nodiscard]] bool sees_tanh(int bits) const noexcept { return bits != real_valued_bits; }
  [[nodiscard]] std::int32_t encode_tanh(float t, const State& state, int bits) const noexcept {
    return FloorGrid::encode(state.unit_of_tanh(t), bits);
  }

  /// modified: level q - 2^(k-1) in steps of 2^(1-k); centred: 2 q + 1 - 2^k in steps of 2^-k
  [[nodiscard]] IntegerLevels levels(const State&, int bits) const noexcept {
    const std::int32_t count = 1 << bits;
    if (grid == AdaBitsGrid::centred) {
      return {.scale = 1.0F / static_cast<float>(count), .multiplier = 2, .offset = 1 - count};
    }
    return {.scale = 2.0F / static_cast<float>(count), .multiplier = 1, .offset = -count / 2};
  }

  [[nodiscard]] float real_valued(float w, const State& state) const noexcept {
    return state.normalized(w);
  }

  template <class Real>
  void surrogate(std::span<const Real> w, int, std::span<Real> y) const {
    TanhRange::surrogate(w, y);
  }

  void backward(std::span<const float> w, std::span<const float> dy, const State& state, int,
                std::span<float> dw) const {
    state.backward(w, dy, dw);
  }
  void backward_tanh(std::span<const float> t, std::span<const float> dy, const State& state, int,
                     std::span<float> dw) const {
    state.backward_of_tanh(t, dy, dw);
  }
};

}  // namespace bitdial::inline BITDIAL_ABI
