// SPDX-License-Identifier: Apache-2.0
// Two-sided activations through tanh: the Tanh quantizer of SP-Nets.
#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <bitdial/core/config.hpp>
#include <bitdial/quant/grid.hpp>
#include <bitdial/quant/policy.hpp>
#include <bitdial/quant/statistics.hpp>
#include <bitdial/quant/straight_through.hpp>
#include <bitdial/quant/tanh_range.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Activations of 2^k equidistant values on [-1, 1], without zero.
///
/// k >= 2: x_q = 2 Q_k(t / (2 M) + 1/2) - 1 with t = tanh x, M = max |t| over the whole tensor;
/// the gradient goes through M too. k = 1: sign(x) with sign(0) = -1, gradient 1 for |x| <= 1.
/// 32 bits: t / M. M of a tensor of zeros (or subnormal numbers) is 1. With a frozen M values
/// beyond it are clamped. NaN is not measured and gets code 0. From code of the first author of
/// SP-Nets: that the paper means this quantizer is inferred, and so is a running M. Guerra et al.,
/// "Switchable precision neural networks", arXiv 2002.02815.
struct TanhActivations {
  static constexpr std::string_view name = "TanhActivations";
  static constexpr std::string_view paper = "arXiv 2002.02815";
  static constexpr TensorRole role = TensorRole::activations;

  using State = TanhRange;

  [[nodiscard]] State fit(std::span<const float> x) const {
    return TanhRange::from(abs_statistics(x));
  }

  /// The running maximum; it belongs to no tensor, so it gets no gradient.
  [[nodiscard]] State blend(const State& previous, const State& batch,
                            float momentum) const noexcept {
    return {std::fma(momentum, batch.max - previous.max, previous.max), -1};
  }

  /// Monotone in x, which a single-precision tanh need not be to the last bit: a packed network
  /// stores the floats where the code steps. So the position is computed in double and rounded.
  [[nodiscard]] std::int32_t encode(float x, const State& state, int bits) const noexcept {
    if (bits == 1) return SignGrid::encode_zero_down(x);
    const double t = std::tanh(static_cast<double>(x));
    const double unit = t / (2.0 * static_cast<double>(state.max)) + 0.5;
    return RoundGrid::encode(static_cast<float>(unit), bits);
  }

  /// level 2 u - (2^k - 1) in steps of 1 / (2^k - 1); one bit: -1 and 1
  [[nodiscard]] IntegerLevels levels(const State&, int bits) const noexcept {
    return TwoSidedGrid{}.levels(bits);
  }

  [[nodiscard]] float real_valued(float x, const State& state) const noexcept {
    return state.normalized(x);
  }

  template <class Real>
  void surrogate(std::span<const Real> x, int bits, std::span<Real> y) const {
    if (bits == 1) return SignGrid::hard_tanh().forward(x, y);
    TanhRange::surrogate(x, y);
  }

  void backward(std::span<const float> x, std::span<const float> dy, const State& state, int bits,
                std::span<float> dx) const {
    if (bits == 1) return SignGrid::hard_tanh().backward(x, dy, dx);
    state.backward(x, dy, dx);
  }

  [[nodiscard]] std::optional<ClampSurrogate> gate(int bits) const noexcept {
    if (bits == 1) return SignGrid::hard_tanh();
    return std::nullopt;
  }
};

}  // namespace bitdial::inline BITDIAL_ABI
