// SPDX-License-Identifier: Apache-2.0
// DoReFa-Net: uniform weights on [-1, 1] and activations on [0, 1]. The ReLU quantizer of
// SP-Nets (inferred).
#pragma once

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

/// What one bit of weights is.
enum class OneBitWeights : std::uint8_t {
  mean_abs,  ///< -mean|w| and mean|w|: DoReFa
  unit       ///< -1 and 1: SP-Nets
};

/// Weights of 2^k equidistant values, symmetric, without zero.
///
/// k >= 2: w_q = 2 Q_k(t / (2 M) + 1/2) - 1 with t = tanh w, M = max |t|; the gradient goes through
/// the division by M and through M itself. k = 1: mean|w| sign(w) with sign(0) = +1, or sign(w)
/// (`one_bit`); gradient identity. 32 bits: identity. A tensor of zeros (or subnormal numbers) has
/// M = 1. Non-finite weights throw `Error`. Zhou et al., "DoReFa-Net", arXiv 1606.06160; one bit:
/// Rastegari et al., arXiv 1603.05279, and SP-Nets, arXiv 2002.02815 (inferred: from code of its
/// first author, sign(0) = 0 there).
struct DoReFaWeights {
  static constexpr std::string_view name = "DoReFaWeights";
  static constexpr std::string_view paper = "arXiv 1606.06160";
  static constexpr TensorRole role = TensorRole::weights;

  struct State {
    TanhRange range;
    float mean_abs = 0.0F;
    friend bool operator==(const State&, const State&) = default;
  };

  OneBitWeights one_bit = OneBitWeights::mean_abs;

  [[nodiscard]] State fit(std::span<const float> w) const {
    const AbsStatistics statistics = weight_statistics(name, w);
    return {TanhRange::from(statistics), static_cast<float>(statistics.mean())};
  }

  [[nodiscard]] std::int32_t encode(float w, const State& state, int bits) const noexcept {
    if (bits == 1) return SignGrid::encode_zero_up(w);
    return encode_tanh(hyperbolic_tangent(w), state, bits);
  }
  [[nodiscard]] bool sees_tanh(int bits) const noexcept { return !is_identity(bits); }
  [[nodiscard]] std::int32_t encode_tanh(float t, const State& state, int bits) const noexcept {
    return RoundGrid::encode(state.range.unit_of_tanh(t), bits);
  }

  /// level 2 q - (2^k - 1) in steps of 1 / (2^k - 1); one bit: -1 and 1 in steps of mean|w| or 1.
  [[nodiscard]] IntegerLevels levels(const State& state, int bits) const noexcept {
    const bool is_scaled = bits == 1 && one_bit == OneBitWeights::mean_abs;
    return TwoSidedGrid{is_scaled ? state.mean_abs : 1.0F}.levels(bits);
  }

  [[nodiscard]] float real_valued(float w, const State&) const noexcept { return w; }

  template <class Real>
  void surrogate(std::span<const Real> w, int bits, std::span<Real> y) const {
    if (is_identity(bits)) return IdentitySurrogate::forward(w, y);
    TanhRange::surrogate(w, y);
  }

  void backward(std::span<const float> w, std::span<const float> dy, const State& state, int bits,
                std::span<float> dw) const {
    if (is_identity(bits)) return IdentitySurrogate::backward(dy, dw);
    state.range.backward(w, dy, dw);
  }
  void backward_tanh(std::span<const float> t, std::span<const float> dy, const State& state, int,
                     std::span<float> dw) const {
    state.range.backward_of_tanh(t, dy, dw);
  }

  [[nodiscard]] std::optional<ClampSurrogate> gate(int bits) const noexcept {
    if (is_identity(bits)) return ClampSurrogate::identity();
    return std::nullopt;
  }

 private:
  [[nodiscard]] static constexpr bool is_identity(int bits) noexcept {
    return bits == 1 || bits == real_valued_bits;
  }
};

/// What one bit of activations is.
enum class OneBitActivations : std::uint8_t {
  unit,  ///< 0 and 1, as at every other width
  sign   ///< -1 and 1 with sign(0) = -1, gradient 1 for |x| <= 1: SP-Nets, whose W1A1 is a BNN
};

/// Activations of 2^k equidistant values on [0, 1], zero included.
///
/// x_q = Q_k(clamp(x, 0, 1)), Q_k(u) = round(u (2^k - 1)) / (2^k - 1), half to even. Gradient 1 for
/// 0 <= x <= 1, else 0. 32 bits: identity. Nothing is measured; NaN gets code 0 and no gradient.
/// Zhou et al., "DoReFa-Net", arXiv 1606.06160; sign: SP-Nets, arXiv 2002.02815 (inferred: from
/// code of its first author).
struct DoReFaActivations {
  static constexpr std::string_view name = "DoReFaActivations";
  static constexpr std::string_view paper = "arXiv 1606.06160";
  static constexpr TensorRole role = TensorRole::activations;

  struct State {
    friend bool operator==(const State&, const State&) = default;
  };

  OneBitActivations one_bit = OneBitActivations::unit;

  [[nodiscard]] constexpr bool represents_zero(int bits) const noexcept { return !is_sign(bits); }

  [[nodiscard]] State fit(std::span<const float>) const noexcept { return {}; }

  [[nodiscard]] std::int32_t encode(float x, const State&, int bits) const noexcept {
    return is_sign(bits) ? SignGrid::encode_zero_down(x) : RoundGrid::encode(x, bits);
  }

  [[nodiscard]] std::optional<UniformSteps> uniform_steps(const State&, int bits) const noexcept {
    if (is_sign(bits)) return std::nullopt;
    return UniformSteps{.clip = 1.0F, .inverse_step = static_cast<float>((1 << bits) - 1)};
  }

  /// level u in steps of 1 / (2^k - 1)
  [[nodiscard]] IntegerLevels levels(const State&, int bits) const noexcept {
    if (is_sign(bits)) return SignGrid::levels();
    return {.scale = 1.0F / static_cast<float>((1 << bits) - 1), .multiplier = 1, .offset = 0};
  }

  [[nodiscard]] float real_valued(float x, const State&) const noexcept { return x; }

  template <class Real>
  void surrogate(std::span<const Real> x, int bits, std::span<Real> y) const {
    if (bits == real_valued_bits) return IdentitySurrogate::forward(x, y);
    clamp(bits).forward(x, y);
  }

  void backward(std::span<const float> x, std::span<const float> dy, const State&, int bits,
                std::span<float> dx) const {
    if (bits == real_valued_bits) return IdentitySurrogate::backward(dy, dx);
    clamp(bits).backward(x, dy, dx);
  }

  [[nodiscard]] std::optional<ClampSurrogate> gate(int bits) const noexcept {
    return bits == real_valued_bits ? ClampSurrogate::identity() : clamp(bits);
  }

 private:
  [[nodiscard]] constexpr bool is_sign(int bits) const noexcept {
    return bits == 1 && one_bit == OneBitActivations::sign;
  }
  [[nodiscard]] constexpr ClampSurrogate clamp(int bits) const noexcept {
    return is_sign(bits) ? SignGrid::hard_tanh() : ClampSurrogate{0.0F, 1.0F};
  }
};

}  // namespace bitdial::inline BITDIAL_ABI
