// SPDX-License-Identifier: Apache-2.0
// QIL: the interval that is quantized is learned; what lies below it is zero, beyond it one.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <bitdial/core/config.hpp>
#include <bitdial/quant/grid.hpp>
#include <bitdial/quant/learned_parameter.hpp>
#include <bitdial/quant/policy.hpp>
#include <bitdial/quant/smallest_scale.hpp>
#include <bitdial/quant/span_loops.hpp>
#include <bitdial/quant/statistics.hpp>
#include <bitdial/quant/straight_through.hpp>

namespace bitdial::inline BITDIAL_ABI {

namespace detail {

/// The interval centre - distance .. centre + distance; |distance| counts, and no less than
/// `smallest_scale`.
struct QilInterval {
  float centre;
  float half;

  QilInterval(float c, float d) noexcept : centre{c}, half{scale_size(d)} {}

  /// (m - centre) / (2 distance) + 1/2: 0 and 1 at the ends of the interval. It is the published
  /// alpha m + beta with alpha = 1 / (2 distance), beta = 1/2 - centre / (2 distance). Nothing but
  /// 0 comes from m <= 0, wherever the interval begins.
  template <class Real>
  [[nodiscard]] Real unit(Real m) const noexcept {
    if (!(m > Real{0})) return Real{0};
    const Real from_start = m - (static_cast<Real>(centre) - static_cast<Real>(half));
    return from_start / (Real{2} * static_cast<Real>(half));
  }

  /// Where both start: at half of min(max|x|, 2 mean|x| sqrt(top)), so that the interval begins at
  /// 0 and ends where the grid of LSQ starts with its last step.
  [[nodiscard]] static float initial(const AbsStatistics& statistics, int top) noexcept {
    const double reach =
        std::fmin(static_cast<double>(statistics.max), 2.0 * statistics.mean() * std::sqrt(top));
    const auto found = static_cast<float>(reach / 2.0);
    return found >= smallest_scale && std::isfinite(found) ? found : 0.5F;
  }
};

}  // namespace detail

/// Weights -1 .. 1 in steps of 1 / n, n = 2^(k-1) - 1, from a learned interval of magnitudes.
///
/// With u = (|w| - c) / (2 d) + 1/2: t = 0 where u <= 0, sign(w) where u >= 1, else
/// sign(w) u^gamma; w_q = round(n t) / n, half to even. Gradients: those of t by w, c, d and gamma,
/// straight through the rounding. c and d start at min(max|w|, 2 mean|w| sqrt(n)) / 2 (inferred),
/// gamma at 1; |d| counts. 32 bits: identity. Non-finite weights throw `Error`. From unofficial
/// implementations.
/// Jung et al., "Learning to quantize deep networks by optimizing quantization intervals", arXiv
/// 1808.05779.
struct QilWeights {
  static constexpr std::string_view name = "QilWeights";
  static constexpr std::string_view paper = "arXiv 1808.05779";
  static constexpr TensorRole role = TensorRole::weights;
  static constexpr int min_bits = 2;

  struct State {
    float centre = 0.5F;    ///< c
    float distance = 0.5F;  ///< d
    float gamma = 1.0F;
    friend bool operator==(const State&, const State&) = default;
  };
  static constexpr std::array parameters{learned<&State::centre>("centre"),
                                         learned<&State::distance>("distance"),
                                         learned<&State::gamma>("gamma")};

  [[nodiscard]] static constexpr std::int32_t code_count(int bits) noexcept {
    return 2 * top(bits) + 1;
  }
  [[nodiscard]] static constexpr bool represents_zero() noexcept { return true; }

  [[nodiscard]] State fit(std::span<const float> w, int bits) const {
    const AbsStatistics statistics = weight_statistics(name, w);
    if (bits == real_valued_bits) return {};
    const float start = detail::QilInterval::initial(statistics, top(bits));
    return {start, start, 1.0F};
  }
  [[nodiscard]] std::int32_t encode(float w, const State& state, int bits) const noexcept {
    const std::int32_t level = RoundGrid::encode(magnitude(std::fabs(w), state), bits - 1);
    return top(bits) + (w < 0.0F ? -level : level);
  }
  /// level q - n in steps of 1 / n
  [[nodiscard]] IntegerLevels levels(const State&, int bits) const noexcept {
    return {.scale = 1.0F / static_cast<float>(top(bits)), .multiplier = 1, .offset = -top(bits)};
  }
  [[nodiscard]] float real_valued(float w, const State&) const noexcept { return w; }

  template <class Real>
  void surrogate(std::span<const Real> w, const State& state, int bits, std::span<Real> y) const {
    if (bits == real_valued_bits) return IdentitySurrogate::forward(w, y);
    std::ranges::transform(w, y.begin(), [&](Real value) {
      return std::copysign(magnitude(std::abs(value), state), value);
    });
  }
  /// dw = dy gamma u^(gamma - 1) / (2 d) inside the interval, else 0
  void backward(std::span<const float> w, std::span<const float> dy, const State& state, int bits,
                std::span<float> dw) const {
    if (bits == real_valued_bits) return IdentitySurrogate::backward(dy, dw);
    const detail::QilInterval interval{state.centre, state.distance};
    detail::transform_spans(
        dw,
        [interval, state](float value, float gradient) {
          const float u = interval.unit(std::fabs(value));
          if (!(u > 0.0F && u < 1.0F)) return 0.0F;
          return gradient * power_slope(u, state.gamma) / (2.0F * interval.half);
        },
        w, dy);
  }
  /// With a = sign(w) gamma u^(gamma - 1) inside the interval, else 0: dc = sum dy a (-1 / (2 d)),
  /// dd = sum dy a (c - |w|) / (2 d^2), dgamma = sum dy sign(w) u^gamma log(u) inside.
  [[nodiscard]] State gradients(std::span<const float> w, std::span<const float> dy,
                                const State& state, int bits) const {
    if (bits == real_valued_bits) return {0.0F, 0.0F, 0.0F};
    const detail::QilInterval interval{state.centre, state.distance};
    const auto half = static_cast<double>(interval.half);
    const auto sums = sum_gradients<3>(w, dy, [=](float value, double gradient) {
      const double m = std::fabs(static_cast<double>(value));
      const double u = interval.unit(m);
      if (!(u > 0.0 && u < 1.0)) return std::array{0.0, 0.0, 0.0};
      const double upstream = std::copysign(1.0, static_cast<double>(value)) * gradient;
      const auto gamma = static_cast<double>(state.gamma);
      const double slope = upstream * power_slope(u, gamma) / (2.0 * half);
      return std::array{-slope, slope * (static_cast<double>(interval.centre) - m) / half,
                        upstream * std::pow(u, gamma) * std::log(u)};
    });
    return {static_cast<float>(sums[0]),
            std::copysign(1.0F, state.distance) * static_cast<float>(sums[1]),
            static_cast<float>(sums[2])};
  }

 private:
  [[nodiscard]] static constexpr std::int32_t top(int bits) noexcept {
    return (1 << (bits - 1)) - 1;
  }
  /// |t| of a magnitude.
  template <class Real>
  [[nodiscard]] static Real magnitude(Real m, const State& state) noexcept {
    const Real u = detail::QilInterval{state.centre, state.distance}.unit(m);
    if (!(u > Real{0})) return Real{0};
    if (u >= Real{1}) return Real{1};
    return state.gamma == 1.0F ? u : std::pow(u, static_cast<Real>(state.gamma));
  }
  /// gamma u^(gamma - 1)
  template <class Real>
  [[nodiscard]] static Real power_slope(Real u, Real gamma) noexcept {
    return gamma == Real{1} ? Real{1} : gamma * std::pow(u, gamma - Real{1});
  }
};

/// Activations 0 .. 1 in steps of 1 / n, n = 2^k - 1, from a learned interval.
///
/// x_q = round(n t) / n, t = clamp(u, 0, 1), u = (x - c) / (2 d) + 1/2: `QilWeights` with gamma = 1
/// and one side, 0 for x <= 0. c and d start at min(max|x|, 2 mean|x| sqrt(n)) / 2 of the first
/// batch (inferred). 32 bits: identity. NaN gets code 0 and no gradient. Jung et al., arXiv
/// 1808.05779.
struct QilActivations {
  static constexpr std::string_view name = "QilActivations";
  static constexpr std::string_view paper = "arXiv 1808.05779";
  static constexpr TensorRole role = TensorRole::activations;

  struct State {
    float centre = 0.5F;    ///< c
    float distance = 0.5F;  ///< d
    friend bool operator==(const State&, const State&) = default;
  };
  static constexpr std::array parameters{learned<&State::centre>("centre"),
                                         learned<&State::distance>("distance")};

  [[nodiscard]] static constexpr bool represents_zero() noexcept { return true; }

  [[nodiscard]] State fit(std::span<const float> x, int bits) const {
    if (bits == real_valued_bits) return {};
    const float start = detail::QilInterval::initial(abs_statistics(x), (1 << bits) - 1);
    return {start, start};
  }
  [[nodiscard]] std::int32_t encode(float x, const State& state, int bits) const noexcept {
    return RoundGrid::encode(interval(state).unit(x), bits);
  }
  /// level q in steps of 1 / n
  [[nodiscard]] IntegerLevels levels(const State&, int bits) const noexcept {
    return {.scale = 1.0F / static_cast<float>((1 << bits) - 1)};
  }
  [[nodiscard]] float real_valued(float x, const State&) const noexcept { return x; }

  template <class Real>
  void surrogate(std::span<const Real> x, const State& state, int bits, std::span<Real> y) const {
    if (bits == real_valued_bits) return IdentitySurrogate::forward(x, y);
    std::ranges::transform(x, y.begin(), [line = interval(state)](Real value) {
      return std::clamp(line.unit(value), Real{0}, Real{1});
    });
  }
  /// dx = dy / (2 d) inside the interval, else 0
  void backward(std::span<const float> x, std::span<const float> dy, const State& state, int bits,
                std::span<float> dx) const {
    if (bits == real_valued_bits) return IdentitySurrogate::backward(dy, dx);
    detail::transform_spans(
        dx,
        [line = interval(state)](float value, float gradient) {
          const float u = line.unit(value);
          return u > 0.0F && u < 1.0F ? gradient / (2.0F * line.half) : 0.0F;
        },
        x, dy);
  }
  /// Inside the interval: dc = -sum dy / (2 d), dd = sum dy (c - x) / (2 d^2).
  [[nodiscard]] State gradients(std::span<const float> x, std::span<const float> dy,
                                const State& state, int bits) const {
    if (bits == real_valued_bits) return {0.0F, 0.0F};
    const auto sums = sum_gradients<2>(x, dy, [line = interval(state)](float value, double g) {
      const auto wide = static_cast<double>(value);
      const double u = line.unit(wide);
      if (!(u > 0.0 && u < 1.0)) return std::array{0.0, 0.0};
      const auto half = static_cast<double>(line.half);
      const double slope = g / (2.0 * half);
      return std::array{-slope, slope * (static_cast<double>(line.centre) - wide) / half};
    });
    return {static_cast<float>(sums[0]),
            std::copysign(1.0F, state.distance) * static_cast<float>(sums[1])};
  }

 private:
  [[nodiscard]] static detail::QilInterval interval(const State& state) noexcept {
    return {state.centre, state.distance};
  }
};

}  // namespace bitdial::inline BITDIAL_ABI
