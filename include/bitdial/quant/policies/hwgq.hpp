// SPDX-License-Identifier: Apache-2.0
// HWGQ: half-wave Gaussian activations.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>

#include <bitdial/core/config.hpp>
#include <bitdial/quant/grid.hpp>
#include <bitdial/quant/policy.hpp>
#include <bitdial/quant/straight_through.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// What a small positive activation becomes.
enum class HwgqRule {
  nearest,       ///< EdMIPS: the nearest value, zero included; gradient 1 for 0 <= x <= largest
  positive_step  ///< HWGQ (Caffe): at least one step; gradient 1 for 0 < x <= largest
};

/// Activations 0, s, 2 s, ..., (2^k - 1) s with steps that suit unit variance.
///
/// nearest: s round(clamp(x, 0, (2^k - 1) s) / s). positive_step: 0 for x <= 0, else the nearest
/// positive value, the middle of two belongs to the lower one. s = .799, .538, .3217, .185 for 1 to
/// 4 bits; .103, .0566, .0307, .0165 for 5 to 8 (inferred: the optimum of positive_step for a
/// normal x). 32 bits: ReLU. NaN gets code 0. Cai et al., "HWGQ", arXiv 1702.00953; EdMIPS, arXiv
/// 2004.05795.
struct HwgqActivations {
  static constexpr std::string_view name = "HwgqActivations";
  static constexpr std::string_view paper = "arXiv 1702.00953";
  static constexpr TensorRole role = TensorRole::activations;

  struct State {
    friend bool operator==(const State&, const State&) = default;
  };

  HwgqRule rule = HwgqRule::nearest;

  [[nodiscard]] static constexpr float step(int bits) noexcept {
    constexpr std::array<float, 8> steps{0.799F, 0.538F,  0.3217F, 0.185F,
                                         0.103F, 0.0566F, 0.0307F, 0.0165F};
    return steps[static_cast<std::size_t>(bits - 1)];
  }

  [[nodiscard]] static constexpr bool represents_zero() noexcept { return true; }
  [[nodiscard]] State fit(std::span<const float>) const noexcept { return {}; }

  [[nodiscard]] std::int32_t encode(float x, const State&, int bits) const noexcept {
    const std::int32_t top = (1 << bits) - 1;
    if (rule == HwgqRule::nearest) return IntegerGrid{0, top}.encode(x / step(bits));
    if (!(x > 0.0F)) return 0;
    const float above = std::ceil(x / step(bits) - 0.5F);
    return static_cast<std::int32_t>(std::clamp(above, 1.0F, static_cast<float>(top)));
  }
  /// level q in steps of s
  [[nodiscard]] IntegerLevels levels(const State&, int bits) const noexcept {
    return {.scale = step(bits), .multiplier = 1, .offset = 0};
  }
  [[nodiscard]] float real_valued(float x, const State&) const noexcept {
    return x > 0.0F ? x : 0.0F;
  }

  template <class Real>
  void surrogate(std::span<const Real> x, int bits, std::span<Real> y) const {
    clamp(bits).forward(x, y);
  }
  void backward(std::span<const float> x, std::span<const float> dy, const State&, int bits,
                std::span<float> dx) const {
    clamp(bits).backward(x, dy, dx);
  }
  [[nodiscard]] std::optional<ClampSurrogate> gate(int bits) const noexcept { return clamp(bits); }

 private:
  [[nodiscard]] ClampSurrogate clamp(int bits) const noexcept {
    // 0 < x is "x is at least the smallest positive float".
    const float low = rule == HwgqRule::nearest ? 0.0F : std::numeric_limits<float>::denorm_min();
    if (bits == real_valued_bits) return {low, std::numeric_limits<float>::infinity()};
    return {low, step(bits) * static_cast<float>((1 << bits) - 1)};
  }
};

}  // namespace bitdial::inline BITDIAL_ABI
