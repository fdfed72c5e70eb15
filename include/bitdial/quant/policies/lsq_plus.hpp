// SPDX-License-Identifier: Apache-2.0
// LSQ+: activations whose offset is learned beside their step, weights that start from deviations.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <string_view>

#include <bitdial/core/config.hpp>
#include <bitdial/quant/grid.hpp>
#include <bitdial/quant/learned_parameter.hpp>
#include <bitdial/quant/least_error_line.hpp>
#include <bitdial/quant/policies/lsq.hpp>
#include <bitdial/quant/policy.hpp>
#include <bitdial/quant/smallest_scale.hpp>
#include <bitdial/quant/span_loops.hpp>
#include <bitdial/quant/statistics.hpp>
#include <bitdial/quant/straight_through.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// `LsqWeights` with another start: s = max(|m - 3 d|, |m + 3 d|) / 2^(k-1), m and d the mean and
/// the unbiased deviation of the weights; no offset.
///
/// Bhalgat et al., "LSQ+", arXiv 2004.09576.
struct LsqPlusWeights : LsqWeights {
  static constexpr std::string_view name = "LsqPlusWeights";
  static constexpr std::string_view paper = "arXiv 2004.09576";

  [[nodiscard]] State fit(std::span<const float> w, int bits) const {
    static_cast<void>(weight_statistics(name, w));
    if (bits == real_valued_bits) return {};
    const Moments found = moments(w);
    const double reach = std::fabs(found.mean) + 3.0 * found.deviation();
    const auto step = static_cast<float>(std::ldexp(reach, 1 - bits));
    return {scale_or_one(step)};
  }
};

/// Activations Qn s + beta .. Qp s + beta with a learned step s and a learned offset beta; unsigned
/// (Qn = 0, Qp = 2^k - 1) or signed.
///
/// y = s round(clip(v, Qn, Qp)) + beta, v = (x - beta) / s, half to even. dx = dy 1[Qn < v < Qp];
/// ds = g sum dy {round(v) - v inside, Qn below, Qp above}, g = 1 / sqrt(N Qp), N = number of
/// elements; dbeta = sum dy 1[outside]. Both start where the square error of the first batch is
/// least. |s| counts. 32 bits: identity. NaN gets code 0 and no gradient.
/// Bhalgat et al., "LSQ+", arXiv 2004.09576.
struct LsqPlusActivations {
  static constexpr std::string_view name = "LsqPlusActivations";
  static constexpr std::string_view paper = "arXiv 2004.09576";
  static constexpr TensorRole role = TensorRole::activations;

  struct State {
    float step = 1.0F;
    float beta = 0.0F;
    friend bool operator==(const State&, const State&) = default;
  };
  static constexpr std::array parameters{learned<&State::step>("step"),
                                         learned<&State::beta>("beta")};

  GridSigns signs = GridSigns::unsigned_values;
  StepGradient step_gradient = StepGradient::scaled;

  [[nodiscard]] State fit(std::span<const float> x, int bits) const {
    if (bits == real_valued_bits) return {};
    const UniformLine line = least_error_line(x, (1 << bits) - 1);
    const auto step = static_cast<float>(line.step);
    if (!(step >= smallest_scale)) return {};
    return {step, static_cast<float>(line.low - line.step * grid(bits).low)};
  }
  [[nodiscard]] std::int32_t encode(float x, const State& state, int bits) const noexcept {
    return grid(bits).encode(units(x, state));
  }
  [[nodiscard]] float decode(std::int32_t code, const State& state, int bits) const noexcept {
    return std::fma(LsqState{state.step}.size(), static_cast<float>(grid(bits).low + code),
                    state.beta);
  }
  [[nodiscard]] float real_valued(float x, const State&) const noexcept { return x; }

  template <class Real>
  void surrogate(std::span<const Real> x, const State& state, int bits, std::span<Real> y) const {
    if (bits == real_valued_bits) return IdentitySurrogate::forward(x, y);
    ClampSurrogate{decode(0, state, bits), decode((1 << bits) - 1, state, bits)}.forward(x, y);
  }
  void backward(std::span<const float> x, std::span<const float> dy, const State& state, int bits,
                std::span<float> dx) const {
    if (bits == real_valued_bits) return IdentitySurrogate::backward(dy, dx);
    detail::transform_spans(
        dx,
        [state, low = static_cast<float>(grid(bits).low),
         high = static_cast<float>(grid(bits).high)](float value, float gradient) {
          const float v = units(value, state);
          return (static_cast<int>(v > low) & static_cast<int>(v < high)) != 0 ? gradient : 0.0F;
        },
        x, dy);
  }
  [[nodiscard]] State gradients(std::span<const float> x, std::span<const float> dy,
                                const State& state, int bits) const {
    if (bits == real_valued_bits) return {0.0F, 0.0F};
    const IntegerGrid line = grid(bits);
    const auto sums = sum_gradients<2>(x, dy, [state, line](float value, double gradient) {
      const float v = units(value, state);
      const bool outside = v <= static_cast<float>(line.low) || v >= static_cast<float>(line.high);
      return std::array{gradient * detail::step_slope(v, line), outside ? gradient : 0.0};
    });
    const double factor = detail::step_gradient_factor(step_gradient, x.size(), line);
    return {std::copysign(1.0F, state.step) * static_cast<float>(factor * sums[0]),
            static_cast<float>(sums[1])};
  }

 private:
  [[nodiscard]] constexpr IntegerGrid grid(int bits) const noexcept {
    return lsq_grid(signs, bits);
  }
  [[nodiscard]] static float units(float x, const State& state) noexcept {
    return (x - state.beta) / LsqState{state.step}.size();
  }
};

}  // namespace bitdial::inline BITDIAL_ABI
