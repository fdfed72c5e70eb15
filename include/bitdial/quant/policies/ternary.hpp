// SPDX-License-Identifier: Apache-2.0
// Three values: ternary weight networks and trained ternary quantization.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <bitdial/core/config.hpp>
#include <bitdial/quant/learned_parameter.hpp>
#include <bitdial/quant/policy.hpp>
#include <bitdial/quant/span_loops.hpp>
#include <bitdial/quant/statistics.hpp>
#include <bitdial/quant/straight_through.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Code 0 below -threshold, 2 above threshold, else 1.
[[nodiscard]] constexpr std::int32_t ternary_code(float w, float threshold) noexcept {
  return w > threshold ? 2 : w < -threshold ? 0 : 1;
}

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

  struct State {
    float threshold = 0.0F;
    float alpha = 0.0F;
    friend bool operator==(const State&, const State&) = default;
  };

  float threshold_factor = 0.7F;

  [[nodiscard]] static constexpr std::int32_t code_count(int) noexcept { return 3; }
  [[nodiscard]] static constexpr bool represents_zero() noexcept { return true; }

  [[nodiscard]] State fit(std::span<const float> w) const {
    const AbsStatistics statistics = weight_statistics(name, w);
    if (w.empty()) return {};
    const double mean = statistics.sum / static_cast<double>(w.size());
    const auto threshold = static_cast<float>(static_cast<double>(threshold_factor) * mean);
    const auto above = sum_gradients<2>(w, w, [threshold](float value, double) {
      const bool is_above = std::fabs(value) > threshold;
      return std::array{is_above ? std::fabs(static_cast<double>(value)) : 0.0,
                        is_above ? 1.0 : 0.0};
    });
    return {threshold, above[1] > 0.0 ? static_cast<float>(above[0] / above[1]) : 0.0F};
  }
  [[nodiscard]] std::int32_t encode(float w, const State& state, int) const noexcept {
    return ternary_code(w, state.threshold);
  }
  /// level q - 1 in steps of alpha
  [[nodiscard]] IntegerLevels levels(const State& state, int) const noexcept {
    return {.scale = state.alpha, .multiplier = 1, .offset = -1};
  }
  [[nodiscard]] float real_valued(float w, const State&) const noexcept { return w; }

  template <class Real>
  void surrogate(std::span<const Real> w, int, std::span<Real> y) const {
    IdentitySurrogate::forward(w, y);
  }
  void backward(std::span<const float>, std::span<const float> dy, const State&, int,
                std::span<float> dw) const {
    IdentitySurrogate::backward(dy, dw);
  }
  [[nodiscard]] std::optional<ClampSurrogate> gate(int) const noexcept {
    return ClampSurrogate::identity();
  }
};

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
    return ternary_code(w, state.threshold);
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
      const std::int32_t code = ternary_code(value, state.threshold);
      return std::array{code == 2 ? gradient : 0.0, code == 0 ? -gradient : 0.0};
    });
    return {0.0F, static_cast<float>(sums[0]), static_cast<float>(sums[1])};
  }

 private:
  [[nodiscard]] static float slope(float w, const State& state, int bits) noexcept {
    const std::int32_t code = bits == real_valued_bits ? 1 : ternary_code(w, state.threshold);
    return code == 2 ? state.positive : code == 1 ? 1.0F : state.negative;
  }
};

}  // namespace bitdial::inline BITDIAL_ABI
