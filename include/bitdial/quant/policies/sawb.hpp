// SPDX-License-Identifier: Apache-2.0
// SAWB: weights whose clipping level follows from their statistics.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <bitdial/core/config.hpp>
#include <bitdial/quant/grid.hpp>
#include <bitdial/quant/policy.hpp>
#include <bitdial/quant/precision.hpp>
#include <bitdial/quant/smallest_scale.hpp>
#include <bitdial/quant/statistics.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// What the clip of one width is made of: rms sqrt(mean w^2) + mean_abs mean|w|.
struct SawbFactors {
  float rms = 0.0F;
  float mean_abs = 0.0F;
};

/// Weights of 2^k equidistant values between -clip and clip, without zero.
///
/// clip = c1 sqrt(mean w^2) + c2 mean|w|, w_q = clip (2 Q_k(w / (2 clip) + 1/2) - 1). (c1, c2) =
/// (3.12, -2.064), (7.509, -6.892), (12.68, -12.80), (17.74, -18.64) for 2 to 5 bits; (0, 1) for 1
/// bit, the least squared error of any weights, and (3.278, 0), (3.611, 0), (3.922, 0) for 6 to 8,
/// that of normal ones (inferred). Gradient: identity (inferred). 32 bits: identity. A clip of 0 or
/// less, which weights far from normal may have, counts as 1. Non-finite weights throw `Error`.
/// Choi et al., "Accurate and efficient 2-bit quantized neural networks", SysML 2019.
struct SawbWeights {
  static constexpr std::string_view name = "SawbWeights";
  static constexpr std::string_view paper = "arXiv 1807.06964";
  static constexpr TensorRole role = TensorRole::weights;
  static constexpr bool straight_through = true;

  struct State {
    float clip = 1.0F;
    friend bool operator==(const State&, const State&) = default;
  };

  std::array<SawbFactors, 8> factors{{{0.0F, 1.0F},
                                      {3.12F, -2.064F},
                                      {7.509F, -6.892F},
                                      {12.68F, -12.80F},
                                      {17.74F, -18.64F},
                                      {3.278F, 0.0F},
                                      {3.611F, 0.0F},
                                      {3.922F, 0.0F}}};  ///< for 1 to 8 bits

  [[nodiscard]] State fit(std::span<const float> w, int bits) const {
    const AbsStatistics statistics = weight_statistics(name, w);
    if (w.empty() || bits == real_valued_bits) return {};
    const Moments found = moments(w);
    const auto size = static_cast<double>(w.size());
    const double rms = std::sqrt(std::fma(found.mean, found.mean, found.squares / size));
    const SawbFactors& factor = factors[static_cast<std::size_t>(bits - 1)];
    const auto clip =
        static_cast<float>(std::fma(static_cast<double>(factor.rms), rms,
                                    static_cast<double>(factor.mean_abs) * statistics.mean()));
    return {scale_or_one(clip)};
  }
  [[nodiscard]] std::int32_t encode(float w, const State& state, int bits) const noexcept {
    return RoundGrid::encode(w / (2.0F * state.clip) + 0.5F, bits);
  }
  /// level 2 q - (2^k - 1) in steps of clip / (2^k - 1)
  [[nodiscard]] IntegerLevels levels(const State& state, int bits) const noexcept {
    return TwoSidedGrid{state.clip}.levels(bits);
  }
  [[nodiscard]] float real_valued(float w, const State&) const noexcept { return w; }
};

}  // namespace bitdial::inline BITDIAL_ABI
