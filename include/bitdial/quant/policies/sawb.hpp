// SPDX-License-Identifier: Apache-2.0
// SAWB: weights whose clipping level follows from their statistics.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>

#include <bitdial/core/config.hpp>
#include <bitdial/quant/grid.hpp>
#include <bitdial/quant/policy.hpp>
#include <bitdial/quant/statistics.hpp>
#include <bitdial/quant/straight_through.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Weights of 2^k equidistant values between -clip and clip, without zero.
///
/// clip = rms_factor sqrt(mean w^2) + mean_factor mean|w|; w_q = clip (2 Q_k(w / (2 clip) + 1/2) -
/// 1). The factors are those of 2 bits; other widths use them too unless given theirs. Gradient:
/// identity (inferred). 32 bits: identity. A clip of 0 counts as 1. Non-finite weights throw
/// `Error`. Choi et al., "Accurate and efficient 2-bit quantized neural networks", SysML 2019.
struct SawbWeights {
  static constexpr std::string_view name = "SawbWeights";
  static constexpr std::string_view paper = "arXiv 1807.06964";
  static constexpr TensorRole role = TensorRole::weights;

  struct State {
    float clip = 1.0F;
    friend bool operator==(const State&, const State&) = default;
  };

  float rms_factor = 3.12F;
  float mean_factor = -2.064F;

  [[nodiscard]] State fit(std::span<const float> w) const {
    const AbsStatistics statistics = weight_statistics(name, w);
    if (w.empty()) return {};
    const Moments found = moments(w);
    const auto size = static_cast<double>(w.size());
    const double rms = std::sqrt(std::fma(found.mean, found.mean, found.squares / size));
    const double mean = statistics.sum / size;
    const auto clip = static_cast<float>(
        std::fma(static_cast<double>(rms_factor), rms, static_cast<double>(mean_factor) * mean));
    return {clip >= std::numeric_limits<float>::min() ? clip : 1.0F};
  }
  [[nodiscard]] std::int32_t encode(float w, const State& state, int bits) const noexcept {
    return RoundGrid::encode(w / (2.0F * state.clip) + 0.5F, bits);
  }
  /// level 2 q - (2^k - 1) in steps of clip / (2^k - 1)
  [[nodiscard]] IntegerLevels levels(const State& state, int bits) const noexcept {
    const std::int32_t top = (1 << bits) - 1;
    return {.scale = state.clip / static_cast<float>(top), .multiplier = 2, .offset = -top};
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

}  // namespace bitdial::inline BITDIAL_ABI
