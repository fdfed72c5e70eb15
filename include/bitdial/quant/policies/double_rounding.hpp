// SPDX-License-Identifier: Apache-2.0
// Double rounding: narrow codes are rounded from the 8-bit codes.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <string_view>

#include <bitdial/core/config.hpp>
#include <bitdial/quant/grid.hpp>
#include <bitdial/quant/learned_parameter.hpp>
#include <bitdial/quant/policies/lsq.hpp>
#include <bitdial/quant/policy.hpp>
#include <bitdial/quant/smallest_scale.hpp>
#include <bitdial/quant/statistics.hpp>
#include <bitdial/quant/straight_through.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Weights of k bits whose codes are rounded from the codes of 8 bits: the latter are all that is
/// stored, k >= 2.
///
/// h = clip(round(w / s), -128, 127), l = clip(round(h / 2^d), -2^(k-1), 2^(k-1) - 1), d = 8 - k,
/// w_q = l s 2^d. s is learned, as the step of LSQ at the step s 2^d (inferred), and starts at
/// max|w| / 127. 32 bits: identity. Non-finite weights throw `Error`.
/// "Nearly lossless adaptive bit switching" (double rounding).
struct DoubleRoundingWeights {
  static constexpr std::string_view name = "DoubleRoundingWeights";
  static constexpr std::string_view paper = "Nearly lossless adaptive bit switching";
  static constexpr TensorRole role = TensorRole::weights;
  static constexpr int min_bits = 2;
  using State = LsqState;
  static constexpr auto parameters = detail::LsqValues::parameters;

  StepGradient step_gradient = StepGradient::scaled;

  [[nodiscard]] static constexpr bool represents_zero() noexcept { return true; }
  [[nodiscard]] State fit(std::span<const float> w) const {
    return {scale_or_one(weight_statistics(name, w).max / 127.0F)};
  }
  [[nodiscard]] std::int32_t encode(float w, const State& state, int bits) const noexcept {
    const std::int32_t high = grid(8).encode(w / state.size()) - 128;
    return grid(bits).encode(static_cast<float>(high) / width(bits));
  }
  /// level q - 2^(k-1) in steps of s 2^d
  [[nodiscard]] IntegerLevels levels(const State& state, int bits) const noexcept {
    return detail::LsqValues::levels(coarse(state, bits), grid(bits));
  }
  [[nodiscard]] float real_valued(float w, const State&) const noexcept { return w; }

  template <class Real>
  void surrogate(std::span<const Real> w, const State& state, int bits, std::span<Real> y) const {
    if (bits == real_valued_bits) return IdentitySurrogate::forward(w, y);
    detail::LsqValues::surrogate(w, coarse(state, bits), grid(bits), y);
  }
  void backward(std::span<const float> w, std::span<const float> dy, const State& state, int bits,
                std::span<float> dw) const {
    if (bits == real_valued_bits) return IdentitySurrogate::backward(dy, dw);
    detail::LsqValues::backward(w, dy, coarse(state, bits), grid(bits), dw);
  }
  /// ds = g 2^d sum dy {l - v inside, Qn below, Qp above}, v = w / (s 2^d), g = 1 / sqrt(N Qp)
  [[nodiscard]] State gradients(std::span<const float> w, std::span<const float> dy,
                                const State& state, int bits) const {
    if (bits == real_valued_bits) return {0.0F};
    const IntegerGrid line = grid(bits);
    const float step = coarse(state, bits).step;
    const auto sums = sum_gradients<1>(w, dy, [=, this](float value, double gradient) {
      const float v = value / step;
      const bool inside = v > static_cast<float>(line.low) && v < static_cast<float>(line.high);
      const double level = encode(value, state, bits) + line.low;
      return std::array{gradient * (inside ? level - static_cast<double>(v) : level)};
    });
    const double factor = detail::step_gradient_factor(step_gradient, w.size(), line);
    const double scale = factor * static_cast<double>(width(bits));
    return {std::copysign(1.0F, state.step) * static_cast<float>(scale * sums[0])};
  }

 private:
  [[nodiscard]] static constexpr IntegerGrid grid(int bits) noexcept {
    return lsq_grid(GridSigns::signed_values, bits);
  }
  [[nodiscard]] static constexpr float width(int bits) noexcept {
    return static_cast<float>(1 << (8 - bits));
  }
  [[nodiscard]] static State coarse(const State& state, int bits) noexcept {
    return {state.size() * width(bits)};
  }
};

}  // namespace bitdial::inline BITDIAL_ABI
