// SPDX-License-Identifier: Apache-2.0
// PACT: activations with a learned clipping level, and AdaBits' calibrated gradient for it.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

#include <bitdial/core/config.hpp>
#include <bitdial/quant/grid.hpp>
#include <bitdial/quant/learned_parameter.hpp>
#include <bitdial/quant/policy.hpp>
#include <bitdial/quant/straight_through.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// The clipping level of PACT; |alpha| counts, and no less than the smallest normal float.
struct PactState {
  float alpha = 8.0F;

  [[nodiscard]] float clip() const noexcept {
    return std::fmax(std::fabs(alpha), std::numeric_limits<float>::min());
  }
  friend bool operator==(const PactState&, const PactState&) = default;
};

namespace detail {

/// What PACT and CG-PACT share: everything but the gradient of alpha.
struct PactValues {
  static constexpr TensorRole role = TensorRole::activations;
  using State = PactState;
  static constexpr std::array parameters{learned<&State::alpha>("alpha")};

  float initial_alpha = 8.0F;  ///< AdaBits: 8 before convolutions, 10 before linear layers

  [[nodiscard]] static constexpr bool represents_zero() noexcept { return true; }
  [[nodiscard]] State fit(std::span<const float>) const noexcept { return {initial_alpha}; }

  [[nodiscard]] std::int32_t encode(float x, const State& state, int bits) const noexcept {
    return RoundGrid::encode(x / state.clip(), bits);
  }
  /// level q in steps of alpha / (2^k - 1)
  [[nodiscard]] IntegerLevels levels(const State& state, int bits) const noexcept {
    return {.scale = state.clip() / static_cast<float>((1 << bits) - 1)};
  }
  [[nodiscard]] float real_valued(float x, const State& state) const noexcept {
    return clamp_nan_low(x, 0.0F, state.clip());
  }

  template <class Real>
  void surrogate(std::span<const Real> x, const State& state, int, std::span<Real> y) const {
    ClampSurrogate{0.0F, state.clip()}.forward(x, y);
  }
  /// dx = dy 1[0 < x < alpha]
  void backward(std::span<const float> x, std::span<const float> dy, const State& state, int,
                std::span<float> dx) const {
    transform_spans(
        dx,
        [clip = state.clip()](float value, float gradient) {
          return (static_cast<int>(value > 0.0F) & static_cast<int>(value < clip)) != 0 ? gradient
                                                                                        : 0.0F;
        },
        x, dy);
  }
};

}  // namespace detail

/// Activations of 2^k equidistant values on [0, alpha], alpha learned, zero included.
///
/// y = alpha Q_k(clamp(x, 0, alpha) / alpha). dx = dy 1[0 < x < alpha];
/// dalpha = sum over x >= alpha of dy. 32 bits: clamp(x, 0, alpha). A negative alpha counts as its
/// magnitude; NaN gets code 0 and no gradient.
/// Choi et al., "PACT", arXiv 1805.06085; initial value: AdaBits, arXiv 1912.09666.
struct PactActivations : detail::PactValues {
  static constexpr std::string_view name = "PactActivations";
  static constexpr std::string_view paper = "arXiv 1805.06085";

  [[nodiscard]] State gradients(std::span<const float> x, std::span<const float> dy,
                                const State& state, int) const {
    const auto sums = sum_gradients<1>(x, dy, [clip = state.clip()](float value, double gradient) {
      return std::array{value >= clip ? gradient : 0.0};
    });
    return {std::copysign(1.0F, state.alpha) * static_cast<float>(sums[0])};
  }
};

/// PACT with the calibrated gradient of AdaBits: alpha also gets the rounding error inside.
///
/// dalpha = sum over x >= alpha of dy + sum over 0 < x < alpha of dy (Q_k(x / alpha) - x / alpha);
/// all else as `PactActivations`. Jin et al., "AdaBits", arXiv 1912.09666.
struct CgPactActivations : detail::PactValues {
  static constexpr std::string_view name = "CgPactActivations";
  static constexpr std::string_view paper = "arXiv 1912.09666";

  [[nodiscard]] State gradients(std::span<const float> x, std::span<const float> dy,
                                const State& state, int bits) const {
    const float clip = state.clip();
    const double top = bits == real_valued_bits ? 0.0 : (1 << bits) - 1;
    const auto sums = sum_gradients<1>(x, dy, [clip, top, bits](float value, double gradient) {
      if (value >= clip) return std::array{gradient};
      if (!(value > 0.0F) || bits == real_valued_bits) return std::array{0.0};
      const double unit = static_cast<double>(value) / static_cast<double>(clip);
      const double rounded = RoundGrid::encode(value / clip, bits) / top;
      return std::array{gradient * (rounded - unit)};
    });
    return {std::copysign(1.0F, state.alpha) * static_cast<float>(sums[0])};
  }
};

}  // namespace bitdial::inline BITDIAL_ABI
