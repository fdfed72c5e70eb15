// SPDX-License-Identifier: Apache-2.0
// Bi-Real Net: signs of weights at the size of each filter, signs of activations with the gradient
// of a parabola.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <bitdial/core/config.hpp>
#include <bitdial/quant/grid.hpp>
#include <bitdial/quant/policies/sign.hpp>
#include <bitdial/quant/policy.hpp>
#include <bitdial/quant/span_loops.hpp>
#include <bitdial/quant/statistics.hpp>
#include <bitdial/quant/straight_through.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Which gradient Bi-Real weights get.
enum class ScaledSignGradient {
  clipped,  ///< dw = dy 1[|w| <= 1]: Bi-Real
  straight  ///< dw = dy: the weights of HWGQ
};

/// Weights -alpha and alpha, alpha = mean|w| of each output filter; sign(0) = +1.
///
/// alpha is a constant for the gradient. 32 bits: identity. Non-finite weights throw `Error`.
/// Liu et al., "Bi-Real Net", arXiv 1808.00278; straight: Cai et al., "HWGQ", arXiv 1702.00953.
struct BiRealWeights {
  static constexpr std::string_view name = "BiRealWeights";
  static constexpr std::string_view paper = "arXiv 1808.00278";
  static constexpr TensorRole role = TensorRole::weights;
  static constexpr int max_bits = 1;
  static constexpr bool filterwise = true;

  struct State {
    float alpha = 0.0F;
    friend bool operator==(const State&, const State&) = default;
  };

  ScaledSignGradient gradient = ScaledSignGradient::clipped;

  [[nodiscard]] State fit(std::span<const float> w) const {
    const double sum = weight_statistics(name, w).sum;
    return {w.empty() ? 0.0F : static_cast<float>(sum / static_cast<double>(w.size()))};
  }
  [[nodiscard]] std::int32_t encode(float w, const State&, int) const noexcept {
    return SignGrid::encode_zero_up(w);
  }
  [[nodiscard]] IntegerLevels levels(const State& state, int) const noexcept {
    return SignGrid::levels(state.alpha);
  }
  [[nodiscard]] float real_valued(float w, const State&) const noexcept { return w; }

  template <class Real>
  void surrogate(std::span<const Real> w, int bits, std::span<Real> y) const {
    clamp(bits).forward(w, y);
  }
  void backward(std::span<const float> w, std::span<const float> dy, const State&, int bits,
                std::span<float> dw) const {
    clamp(bits).backward(w, dy, dw);
  }
  [[nodiscard]] std::optional<ClampSurrogate> gate(int bits) const noexcept { return clamp(bits); }

 private:
  [[nodiscard]] ClampSurrogate clamp(int bits) const noexcept {
    const bool passes = bits == real_valued_bits || gradient == ScaledSignGradient::straight;
    return passes ? ClampSurrogate::identity() : SignGrid::hard_tanh();
  }
};

/// `SignActivations` with the derivative of a piecewise parabola.
///
/// Gradient 2 + 2 x for -1 <= x < 0, 2 - 2 x for 0 <= x < 1, else 0. Only 1 bit, and 32 bits =
/// identity. NaN gets -1 and no gradient. Liu et al., "Bi-Real Net", arXiv 1808.00278.
struct BiRealActivations : SignActivations {
  static constexpr std::string_view name = "BiRealActivations";
  static constexpr std::string_view paper = "arXiv 1808.00278";

  /// 2 x + x^2 on [-1, 0), 2 x - x^2 on [0, 1), -1 and 1 beyond
  template <class Real>
  void surrogate(std::span<const Real> x, int bits, std::span<Real> y) const {
    if (bits == real_valued_bits) return IdentitySurrogate::forward(x, y);
    std::ranges::transform(x, y.begin(), [](Real value) {
      const Real inside = std::clamp(value, Real{-1}, Real{1});
      return inside * (Real{2} - std::abs(inside));
    });
  }
  void backward(std::span<const float> x, std::span<const float> dy, const State&, int bits,
                std::span<float> dx) const {
    if (bits == real_valued_bits) return IdentitySurrogate::backward(dy, dx);
    detail::transform_spans(
        dx,
        [](float value, float gradient) {
          const float magnitude = std::fabs(value);
          return magnitude < 1.0F ? gradient * (2.0F - 2.0F * magnitude) : 0.0F;
        },
        x, dy);
  }
  /// The parabola is no clamp.
  [[nodiscard]] std::optional<ClampSurrogate> gate(int bits) const noexcept {
    if (bits == real_valued_bits) return ClampSurrogate::identity();
    return std::nullopt;
  }
};

}  // namespace bitdial::inline BITDIAL_ABI
