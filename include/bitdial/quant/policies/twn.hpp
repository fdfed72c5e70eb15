// SPDX-License-Identifier: Apache-2.0
// TWN, ternary weight networks: three values whose size is measured.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <string_view>

#include <bitdial/core/config.hpp>
#include <bitdial/quant/grid.hpp>
#include <bitdial/quant/policy.hpp>
#include <bitdial/quant/span_loops.hpp>
#include <bitdial/quant/statistics.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Weights -alpha, 0, alpha; 2 bits, of which three codes occur.
///
/// threshold = 0.7 mean|w|, alpha = mean of |w| above it; one of each per tensor. Gradient:
/// identity. 32 bits: identity. Non-finite weights throw `Error`.
/// Li et al., "Ternary weight networks", arXiv 1605.04711.
struct TernaryWeights {
  static constexpr std::string_view name = "TernaryWeights";
  static constexpr std::string_view paper = "arXiv 1605.04711";
  static constexpr TensorRole role = TensorRole::weights;
  static constexpr int min_bits = 2;
  static constexpr int max_bits = 2;
  static constexpr bool straight_through = true;

  struct State {
    float threshold = 0.0F;
    float alpha = 0.0F;
    friend bool operator==(const State&, const State&) = default;
  };

  float threshold_factor = 0.7F;

  [[nodiscard]] static constexpr std::int32_t code_count(int) noexcept { return 3; }
  [[nodiscard]] static constexpr bool represents_zero() noexcept { return true; }

  [[nodiscard]] State fit(std::span<const float> w) const {
    const double mean = weight_statistics(name, w).mean();
    const auto threshold = static_cast<float>(static_cast<double>(threshold_factor) * mean);
    const auto above = detail::sum_spans<2>(
        [threshold](float value) {
          const bool is_above = std::fabs(value) > threshold;
          return std::array{is_above ? std::fabs(static_cast<double>(value)) : 0.0,
                            is_above ? 1.0 : 0.0};
        },
        w);
    return {threshold, above[1] > 0.0 ? static_cast<float>(above[0] / above[1]) : 0.0F};
  }
  [[nodiscard]] std::int32_t encode(float w, const State& state, int) const noexcept {
    return TernaryGrid::encode(w, state.threshold);
  }
  [[nodiscard]] IntegerLevels levels(const State& state, int) const noexcept {
    return TernaryGrid::levels(state.alpha);
  }
  [[nodiscard]] float real_valued(float w, const State&) const noexcept { return w; }
};

}  // namespace bitdial::inline BITDIAL_ABI
