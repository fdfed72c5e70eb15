// SPDX-License-Identifier: Apache-2.0
// LSQ: weights and activations on a grid whose step is learned.
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

/// Signed grids have Qn = -2^(k-1), Qp = 2^(k-1) - 1; unsigned ones Qn = 0, Qp = 2^k - 1.
enum class GridSigns { signed_values, unsigned_values };

/// The integers Qn .. Qp of LSQ at `bits` bits.
[[nodiscard]] constexpr IntegerGrid lsq_grid(GridSigns signs, int bits) noexcept {
  if (signs == GridSigns::unsigned_values) return {0, (1 << bits) - 1};
  return {-(1 << (bits - 1)), (1 << (bits - 1)) - 1};
}

/// What the gradient of a learned step is multiplied by.
enum class StepGradient {
  scaled,  ///< 1 / sqrt(N Qp), N = the number of elements of the tensor
  plain    ///< 1
};

/// The step of LSQ; |step| counts, and no less than `smallest_scale`.
struct LsqState {
  float step = 1.0F;

  [[nodiscard]] float size() const noexcept { return scale_size(step); }
  friend bool operator==(const LsqState&, const LsqState&) = default;
};

namespace detail {

/// 1 / sqrt(N Qp); Qp counts as 1 where it is 0.
[[nodiscard]] inline double step_gradient_factor(StepGradient kind, std::size_t size,
                                                 const IntegerGrid& grid) noexcept {
  if (kind == StepGradient::plain || size == 0) return 1.0;
  return 1.0 / std::sqrt(static_cast<double>(size) * std::max(1, grid.high));
}

/// d y / d step of one value v = x / step: round(v) - v inside, Qn or Qp outside.
[[nodiscard]] inline double step_slope(float v, const IntegerGrid& grid) noexcept {
  if (!(v > static_cast<float>(grid.low))) return std::isnan(v) ? 0.0 : grid.low;
  if (v >= static_cast<float>(grid.high)) return grid.high;
  return static_cast<double>(grid.low + grid.encode(v)) - static_cast<double>(v);
}

/// What LSQ of weights and of activations share.
struct LsqValues {
  using State = LsqState;
  static constexpr std::array parameters{learned<&State::step>("step")};

  [[nodiscard]] static std::int32_t encode(float x, const State& state,
                                           const IntegerGrid& grid) noexcept {
    return grid.encode(x / state.size());
  }
  [[nodiscard]] static IntegerLevels levels(const State& state, const IntegerGrid& grid) noexcept {
    return {.scale = state.size(), .multiplier = 1, .offset = grid.low};
  }
  template <class Real>
  static void surrogate(std::span<const Real> x, const State& state, const IntegerGrid& grid,
                        std::span<Real> y) {
    const float step = state.size();
    ClampSurrogate{step * static_cast<float>(grid.low), step * static_cast<float>(grid.high)}
        .forward(x, y);
  }
  /// dx = dy 1[Qn < x / step < Qp]
  static void backward(std::span<const float> x, std::span<const float> dy, const State& state,
                       const IntegerGrid& grid, std::span<float> dx) {
    transform_spans(
        dx,
        [step = state.size(), low = static_cast<float>(grid.low),
         high = static_cast<float>(grid.high)](float value, float gradient) {
          const float v = value / step;
          return (static_cast<int>(v > low) & static_cast<int>(v < high)) != 0 ? gradient : 0.0F;
        },
        x, dy);
  }
  [[nodiscard]] static State gradients(std::span<const float> x, std::span<const float> dy,
                                       const State& state, const IntegerGrid& grid,
                                       StepGradient kind) {
    const auto sums =
        sum_gradients<1>(x, dy, [step = state.size(), grid](float value, double gradient) {
          return std::array{gradient * step_slope(value / step, grid)};
        });
    const double factor = step_gradient_factor(kind, x.size(), grid);
    return {std::copysign(1.0F, state.step) * static_cast<float>(factor * sums[0])};
  }
  /// 2 mean|x| / sqrt(Qp); 1 for a tensor of zeros.
  [[nodiscard]] static State initial(const AbsStatistics& statistics,
                                     const IntegerGrid& grid) noexcept {
    const auto step =
        static_cast<float>(2.0 * statistics.mean() / std::sqrt(std::max(1, grid.high)));
    return {std::isfinite(step) ? scale_or_one(step) : 1.0F};
  }
};

}  // namespace detail

/// Weights Qn s .. Qp s with a learned step s; Qn = -2^(k-1), Qp = 2^(k-1) - 1, k >= 2.
///
/// y = s round(clip(w / s, Qn, Qp)), half to even. dw = dy 1[Qn < w / s < Qp];
/// ds = g sum dy {round(w / s) - w / s inside, Qn below, Qp above}, g = 1 / sqrt(N Qp), N = number
/// of weights. s starts at 2 mean|w| / sqrt(Qp). 32 bits: identity. Non-finite weights throw
/// `Error` where they are measured. Esser et al., "Learned step size quantization", arXiv
/// 1902.08153.
struct LsqWeights {
  static constexpr std::string_view name = "LsqWeights";
  static constexpr std::string_view paper = "arXiv 1902.08153";
  static constexpr TensorRole role = TensorRole::weights;
  static constexpr int min_bits = 2;
  using State = LsqState;
  static constexpr auto parameters = detail::LsqValues::parameters;

  StepGradient step_gradient = StepGradient::scaled;

  [[nodiscard]] static constexpr bool represents_zero() noexcept { return true; }
  [[nodiscard]] State fit(std::span<const float> w, int bits) const {
    const AbsStatistics statistics = weight_statistics(name, w);
    if (bits == real_valued_bits) return {};
    return detail::LsqValues::initial(statistics, grid(bits));
  }
  [[nodiscard]] std::int32_t encode(float w, const State& state, int bits) const noexcept {
    return detail::LsqValues::encode(w, state, grid(bits));
  }
  [[nodiscard]] IntegerLevels levels(const State& state, int bits) const noexcept {
    return detail::LsqValues::levels(state, grid(bits));
  }
  [[nodiscard]] float real_valued(float w, const State&) const noexcept { return w; }

  template <class Real>
  void surrogate(std::span<const Real> w, const State& state, int bits, std::span<Real> y) const {
    if (bits == real_valued_bits) return IdentitySurrogate::forward(w, y);
    detail::LsqValues::surrogate(w, state, grid(bits), y);
  }
  void backward(std::span<const float> w, std::span<const float> dy, const State& state, int bits,
                std::span<float> dw) const {
    if (bits == real_valued_bits) return IdentitySurrogate::backward(dy, dw);
    detail::LsqValues::backward(w, dy, state, grid(bits), dw);
  }
  [[nodiscard]] State gradients(std::span<const float> w, std::span<const float> dy,
                                const State& state, int bits) const {
    if (bits == real_valued_bits) return {0.0F};
    return detail::LsqValues::gradients(w, dy, state, grid(bits), step_gradient);
  }

 private:
  [[nodiscard]] static constexpr IntegerGrid grid(int bits) noexcept {
    return lsq_grid(GridSigns::signed_values, bits);
  }
};

/// Activations Qn s .. Qp s with a learned step s; unsigned (Qn = 0, Qp = 2^k - 1) or signed.
///
/// As `LsqWeights`; N is the number of elements of the batch, as in the public implementations (the
/// paper says features). NaN gets code 0 and no gradient. Esser et al., "Learned step size
/// quantization", arXiv 1902.08153.
struct LsqActivations {
  static constexpr std::string_view name = "LsqActivations";
  static constexpr std::string_view paper = "arXiv 1902.08153";
  static constexpr TensorRole role = TensorRole::activations;
  using State = LsqState;
  static constexpr auto parameters = detail::LsqValues::parameters;

  GridSigns signs = GridSigns::unsigned_values;
  StepGradient step_gradient = StepGradient::scaled;

  [[nodiscard]] static constexpr bool represents_zero() noexcept { return true; }
  [[nodiscard]] State fit(std::span<const float> x, int bits) const {
    if (bits == real_valued_bits) return {};
    return detail::LsqValues::initial(abs_statistics(x), grid(bits));
  }
  [[nodiscard]] std::int32_t encode(float x, const State& state, int bits) const noexcept {
    return detail::LsqValues::encode(x, state, grid(bits));
  }
  [[nodiscard]] IntegerLevels levels(const State& state, int bits) const noexcept {
    return detail::LsqValues::levels(state, grid(bits));
  }
  [[nodiscard]] float real_valued(float x, const State&) const noexcept { return x; }

  template <class Real>
  void surrogate(std::span<const Real> x, const State& state, int bits, std::span<Real> y) const {
    if (bits == real_valued_bits) return IdentitySurrogate::forward(x, y);
    detail::LsqValues::surrogate(x, state, grid(bits), y);
  }
  void backward(std::span<const float> x, std::span<const float> dy, const State& state, int bits,
                std::span<float> dx) const {
    if (bits == real_valued_bits) return IdentitySurrogate::backward(dy, dx);
    detail::LsqValues::backward(x, dy, state, grid(bits), dx);
  }
  [[nodiscard]] State gradients(std::span<const float> x, std::span<const float> dy,
                                const State& state, int bits) const {
    if (bits == real_valued_bits) return {0.0F};
    return detail::LsqValues::gradients(x, dy, state, grid(bits), step_gradient);
  }

 private:
  [[nodiscard]] constexpr IntegerGrid grid(int bits) const noexcept {
    return lsq_grid(signs, bits);
  }
};

}  // namespace bitdial::inline BITDIAL_ABI
