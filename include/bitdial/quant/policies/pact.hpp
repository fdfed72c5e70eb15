// SPDX-License-Identifier: Apache-2.0
// PACT: activations with a learned clipping level.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <bitdial/core/config.hpp>
#include <bitdial/quant/grid.hpp>
#include <bitdial/quant/learned_parameter.hpp>
#include <bitdial/quant/policy.hpp>
#include <bitdial/quant/precision.hpp>
#include <bitdial/quant/span_loops.hpp>
#include <bitdial/quant/straight_through.hpp>
#include <bitdial/quant/uniform_steps.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// The clipping level of PACT; |alpha| counts, and no less than 2^-100: steps have an inverse.
struct PactState {
  float alpha = 8.0F;

  [[nodiscard]] float clip() const noexcept { return std::fmax(std::fabs(alpha), 0x1p-100F); }
  friend bool operator==(const PactState&, const PactState&) = default;
};

/// Which values a clipping level lets through.
enum class ClipSides {
  one,  ///< [0, alpha]: after a ReLU
  two   ///< [-alpha, alpha]: AdaBits' `double_side`
};

namespace detail {

/// A level that leaves a normalised input of variance 1 something to say at every width: with few
/// bits, the larger half of a wide range would never be reached, and alpha never move. Inferred;
/// the papers do not share a level between widths.
[[nodiscard]] constexpr float initial_clip(int bits) noexcept {
  constexpr std::array clips{1.0F, 1.8F, 2.5F, 3.0F, 3.5F, 4.0F, 4.0F, 4.0F};
  return bits == real_valued_bits ? 8.0F : clips[static_cast<std::size_t>(bits - 1)];
}

/// What PACT and CG-PACT share: everything but the gradient of alpha.
struct PactValues {
  static constexpr TensorRole role = TensorRole::activations;
  using State = PactState;
  static constexpr std::array parameters{learned<&State::alpha>("alpha")};

  /// Where alpha starts; none: `initial_clip`. AdaBits: 8 before convolutions, 10 before linear
  /// layers, whatever the width.
  std::optional<float> initial_alpha{};
  ClipSides sides = ClipSides::one;

  [[nodiscard]] constexpr bool represents_zero() const noexcept { return sides == ClipSides::one; }
  [[nodiscard]] State fit(std::span<const float>, int bits) const noexcept {
    return {initial_alpha.value_or(initial_clip(bits))};
  }

  /// One side: round(x (2^k - 1) / alpha) of x clamped to [0, alpha].
  [[nodiscard]] std::optional<UniformSteps> uniform_steps(const State& state,
                                                          int bits) const noexcept {
    if (sides == ClipSides::two) return std::nullopt;
    return UniformSteps{.clip = state.clip(),
                        .inverse_step = static_cast<float>((1 << bits) - 1) / state.clip()};
  }

  [[nodiscard]] std::int32_t encode(float x, const State& state, int bits) const noexcept {
    if (const auto steps = uniform_steps(state, bits)) return steps->code(x, bits);
    return TwoSidedGrid{state.clip()}.encode(x, bits);
  }
  /// level q, or 2 q - (2^k - 1), in steps of alpha / (2^k - 1)
  [[nodiscard]] IntegerLevels levels(const State& state, int bits) const noexcept {
    if (sides == ClipSides::two) return TwoSidedGrid{state.clip()}.levels(bits);
    return {.scale = state.clip() / static_cast<float>((1 << bits) - 1)};
  }
  [[nodiscard]] float real_valued(float x, const State& state) const noexcept {
    return clamp_nan_low(x, lowest(state), state.clip());
  }

  template <class Real>
  void surrogate(std::span<const Real> x, const State& state, int, std::span<Real> y) const {
    ClampSurrogate{lowest(state), state.clip()}.forward(x, y);
  }
  /// dx = dy 1[low < x < alpha]
  void backward(std::span<const float> x, std::span<const float> dy, const State& state, int,
                std::span<float> dx) const {
    transform_spans(
        dx,
        [clip = LearnedClip{.low = lowest(state), .high = state.clip()}](
            float value, float gradient) { return clip.passes(value) ? gradient : 0.0F; },
        x, dy);
  }

 protected:
  /// The lower end of the range: 0 or -alpha.
  [[nodiscard]] float lowest(const State& state) const noexcept {
    return sides == ClipSides::one ? 0.0F : -state.clip();
  }
  /// d y / d alpha beyond the range: 1 above it; below it 0, or -1 on two sides.
  [[nodiscard]] double slope_below() const noexcept { return sides == ClipSides::one ? 0.0 : -1.0; }
};

}  // namespace detail

/// Activations of 2^k equidistant values on [0, alpha], alpha learned, zero included.
///
/// y = alpha Q_k(clamp(x, 0, alpha) / alpha). dx = dy 1[0 < x < alpha];
/// dalpha = sum over x >= alpha of dy. 32 bits: clamp(x, 0, alpha). A negative alpha counts as its
/// magnitude; NaN gets code 0 and no gradient. Two sides: clamp to [-alpha, alpha], map to [0, 1],
/// quantize, map back; without zero, and dalpha also has -sum over x <= -alpha of dy.
/// Choi et al., "PACT", arXiv 1805.06085; initial value, two sides: AdaBits, arXiv 1912.09666.
struct PactActivations : detail::PactValues {
  static constexpr std::string_view name = "PactActivations";
  static constexpr std::string_view paper = "arXiv 1805.06085";

  [[nodiscard]] State gradients(std::span<const float> x, std::span<const float> dy,
                                const State& state, int) const {
    const auto sums =
        sum_gradients<1>(x, dy, [clip = learned_clip(state)](float value, double gradient) {
          return std::array{value >= clip.high  ? static_cast<double>(clip.above) * gradient
                            : value <= clip.low ? static_cast<double>(clip.below) * gradient
                                                : 0.0};
        });
    return {static_cast<float>(sums[0])};
  }
  [[nodiscard]] LearnedClip learned_clip(const State& state) const noexcept {
    const float sign = std::copysign(1.0F, state.alpha);
    return {.low = lowest(state),
            .high = state.clip(),
            .above = sign,
            .below = sign * static_cast<float>(slope_below())};
  }
};

}  // namespace bitdial::inline BITDIAL_ABI
