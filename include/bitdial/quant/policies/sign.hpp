// SPDX-License-Identifier: Apache-2.0
// One-bit weights and activations: the BinaryConnect ... BNN family.
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

namespace bitdial::inline BITDIAL_ABI {

/// How a training pass chooses the sign of a binary weight.
enum class SignRounding : std::uint8_t {
  nearest,    ///< sign(w), the deterministic form
  stochastic  ///< +1 with probability clip((w / H + 1) / 2, 0, 1)
};

/// Weights -H and H: sign(w), sign(0) = +1, gradient identity. H = 1 unless set.
///
/// Stochastic: in the training passes of a layer the sign is drawn anew (from the random streams of
/// the tape); evaluation, packing and `Quantizer` alone take sign(w). Only 1 bit, and 32 bits =
/// identity (with real activations: BinaryConnect's real-valued twin). Non-finite weights throw
/// `Error`. `train::BinaryConnectUpdate` clips the weights to H after each update.
/// Courbariaux et al., "BinaryConnect", arXiv 1511.00363.
struct SignWeights {
  static constexpr std::string_view name = "SignWeights";
  static constexpr std::string_view paper = "arXiv 1511.00363";
  static constexpr TensorRole role = TensorRole::weights;
  static constexpr int max_bits = 1;
  static constexpr bool straight_through = true;

  struct State {
    friend bool operator==(const State&, const State&) = default;
  };

  SignRounding rounding = SignRounding::nearest;
  float magnitude = 1.0F;  ///< H > 0

  /// w - H (2 u - 1) with u uniform is positive with the probability above.
  [[nodiscard]] float noise() const noexcept {
    return rounding == SignRounding::stochastic ? magnitude : 0.0F;
  }

  [[nodiscard]] State fit(std::span<const float> w) const {
    static_cast<void>(weight_statistics(name, w));
    return {};
  }

  [[nodiscard]] std::int32_t encode(float w, const State&, int) const noexcept {
    return SignGrid::encode_zero_up(w);
  }
  [[nodiscard]] IntegerLevels levels(const State&, int) const noexcept {
    return SignGrid::levels(magnitude);
  }
  [[nodiscard]] float real_valued(float w, const State&) const noexcept { return w; }
};

/// The sign of an activation that is 0.
enum class SignOfZero : std::uint8_t { minus, plus };

/// Activations -1 and 1: sign(x) with sign(0) = -1, so that the zeros of a ReLU count as -1 (BNN
/// has sign(0) = +1: an option); gradient 1 for |x| <= 1, else 0.
///
/// Only 1 bit, and 32 bits = identity. NaN gets -1 and no gradient.
/// Courbariaux et al., "Binarized neural networks", arXiv 1602.02830.
struct SignActivations {
  static constexpr std::string_view name = "SignActivations";
  static constexpr std::string_view paper = "arXiv 1602.02830";
  static constexpr TensorRole role = TensorRole::activations;
  static constexpr int max_bits = 1;

  struct State {
    friend bool operator==(const State&, const State&) = default;
  };

  SignOfZero zero = SignOfZero::minus;

  [[nodiscard]] State fit(std::span<const float>) const noexcept { return {}; }

  [[nodiscard]] std::int32_t encode(float x, const State&, int) const noexcept {
    return zero == SignOfZero::minus ? SignGrid::encode_zero_down(x) : SignGrid::encode_zero_up(x);
  }
  [[nodiscard]] IntegerLevels levels(const State&, int) const noexcept {
    return SignGrid::levels();
  }
  [[nodiscard]] float real_valued(float x, const State&) const noexcept { return x; }

  template <class Real>
  void surrogate(std::span<const Real> x, int bits, std::span<Real> y) const {
    if (bits == real_valued_bits) return IdentitySurrogate::forward(x, y);
    SignGrid::hard_tanh().forward(x, y);
  }
  void backward(std::span<const float> x, std::span<const float> dy, const State&, int bits,
                std::span<float> dx) const {
    if (bits == real_valued_bits) return IdentitySurrogate::backward(dy, dx);
    SignGrid::hard_tanh().backward(x, dy, dx);
  }

  [[nodiscard]] std::optional<ClampSurrogate> gate(int bits) const noexcept {
    return bits == real_valued_bits ? ClampSurrogate::identity() : SignGrid::hard_tanh();
  }
};

}  // namespace bitdial::inline BITDIAL_ABI
