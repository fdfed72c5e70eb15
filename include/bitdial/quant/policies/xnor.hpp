// SPDX-License-Identifier: Apache-2.0
// XNOR-Net: signs of centred weights at the size of each filter.
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
#include <bitdial/quant/policy.hpp>
#include <bitdial/quant/span_loops.hpp>
#include <bitdial/quant/statistics.hpp>
#include <bitdial/quant/straight_through.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// The mean that XNOR-Net weights lose before anything else.
enum class XnorCentring : std::uint8_t {
  none,
  taps,   ///< of each tap of a filter, over its input channels, as in the public code
  filter  ///< of the whole filter: the same for 1 x 1 kernels
};

/// Which gradient XNOR-Net weights get.
enum class XnorGradient {
  paper,      ///< dw = dy (1 / n + alpha 1[|w'| < 1])
  repository  ///< the same times (1 - 1 / c_in) n, as the public training code does for SGD
};

/// Weights -alpha and alpha, one alpha per output filter.
///
/// w' = clamp(w - mean, -1, 1), alpha = mean|w'|, w_q = alpha sign(w') with sign(0) = +1, over one
/// filter of n weights `[taps, input channels]`; the mean is that of the input channels of a tap.
/// alpha and the means are constants for the gradient. 32 bits: identity. Non-finite weights throw
/// `Error`. Rastegari et al., "XNOR-Net", arXiv 1603.05279.
struct XnorWeights {
  static constexpr std::string_view name = "XnorWeights";
  static constexpr std::string_view paper = "arXiv 1603.05279";
  static constexpr TensorRole role = TensorRole::weights;
  static constexpr int max_bits = 1;
  static constexpr bool filterwise = true;

  struct State {
    float mean = 0.0F;  ///< of the whole filter, where it is taken off as one
    float alpha = 0.0F;
    std::int64_t size = 0;  ///< n
    friend bool operator==(const State&, const State&) = default;
  };

  XnorCentring centring = XnorCentring::taps;
  XnorGradient gradient = XnorGradient::paper;
  std::int64_t input_channels = 0;  ///< c_in; a layer sets it. 0: n (1 x 1 kernels)

  [[nodiscard]] XnorWeights for_shape(const WeightShape& shape) const {
    return {centring, gradient, input_channels > 0 ? input_channels : shape.in_channels};
  }
  /// Takes the mean of every tap off. Filters of unknown shape have one tap.
  void shift(std::span<const float> w, std::span<float> centred) const {
    std::ranges::copy(w, centred.begin());
    if (!is_centred_by_tap()) return;
    const auto channels = static_cast<std::size_t>(input_channels);
    for (std::size_t tap = 0; tap + channels <= w.size(); tap += channels) {
      const auto mean = static_cast<float>(moments(w.subspan(tap, channels)).mean);
      for (float& value : centred.subspan(tap, channels)) value -= mean;
    }
  }
  [[nodiscard]] State fit(std::span<const float> w) const {
    static_cast<void>(weight_statistics(name, w));
    if (w.empty()) return {};
    const bool has_one_mean = centring != XnorCentring::none && !is_centred_by_tap();
    const auto mean = has_one_mean ? static_cast<float>(moments(w).mean) : 0.0F;
    const auto sum = detail::sum_spans<1>(
        [mean](float value) {
          const float clamped = clamp_nan_low(value - mean, -1.0F, 1.0F);
          return std::array{std::fabs(static_cast<double>(clamped))};
        },
        w);
    return {mean, static_cast<float>(sum[0] / static_cast<double>(w.size())),
            static_cast<std::int64_t>(w.size())};
  }
  [[nodiscard]] std::int32_t encode(float w, const State& state, int) const noexcept {
    return SignGrid::encode_zero_up(w - state.mean);
  }
  [[nodiscard]] IntegerLevels levels(const State& state, int) const noexcept {
    return SignGrid::levels(state.alpha);
  }
  [[nodiscard]] float real_valued(float w, const State&) const noexcept { return w; }

  template <class Real>
  void surrogate(std::span<const Real> w, const State& state, int bits, std::span<Real> y) const {
    if (bits == real_valued_bits) return IdentitySurrogate::forward(w, y);
    const auto share = static_cast<Real>(factor(state)) / static_cast<Real>(state.size);
    const auto slope = static_cast<Real>(factor(state)) * static_cast<Real>(state.alpha);
    std::ranges::transform(w, y.begin(), [&](Real value) {
      const Real centred = value - static_cast<Real>(state.mean);
      return share * value + slope * std::clamp(centred, Real{-1}, Real{1});
    });
  }
  void backward(std::span<const float> w, std::span<const float> dy, const State& state, int bits,
                std::span<float> dw) const {
    if (bits == real_valued_bits) return IdentitySurrogate::backward(dy, dw);
    const float share = factor(state) / static_cast<float>(std::max<std::int64_t>(1, state.size));
    const float slope = factor(state) * state.alpha;
    detail::transform_spans(
        dw,
        [mean = state.mean, share, slope](float value, float upstream) {
          const bool inside = std::fabs(value - mean) < 1.0F;
          return upstream * (inside ? share + slope : share);
        },
        w, dy);
  }

 private:
  [[nodiscard]] bool is_centred_by_tap() const noexcept {
    return centring == XnorCentring::taps && input_channels > 0;
  }
  [[nodiscard]] float factor(const State& state) const noexcept {
    if (gradient == XnorGradient::paper) return 1.0F;
    const auto size = static_cast<float>(state.size);
    return (1.0F - 1.0F / (input_channels > 0 ? static_cast<float>(input_channels) : size)) * size;
  }
};

}  // namespace bitdial::inline BITDIAL_ABI
