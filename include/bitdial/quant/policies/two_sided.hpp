// SPDX-License-Identifier: Apache-2.0
// Two-sided activations without a measured range: for layers that read signed values.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <bitdial/core/config.hpp>
#include <bitdial/quant/grid.hpp>
#include <bitdial/quant/policy.hpp>
#include <bitdial/quant/straight_through.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Activations of 2^k equidistant values on [-range, range], without zero.
///
/// x_q = range (2 Q_k(clamp(x / range, -1, 1) / 2 + 1/2) - 1); gradient 1 for |x| <= range, else 0.
/// 32 bits: identity. Nothing is measured; NaN gets code 0 and no gradient.
/// It is the two-sided option of AdaBits' activations with a fixed clipping level, for inputs that
/// no ReLU has made positive, such as the linear bottlenecks of MobileNet-V2. Jin et al.,
/// "AdaBits", arXiv 1912.09666.
struct TwoSidedActivations {
  static constexpr std::string_view name = "TwoSidedActivations";
  static constexpr std::string_view paper = "arXiv 1912.09666";
  static constexpr TensorRole role = TensorRole::activations;

  float range = 2.0F;  ///< positive; inferred: AdaBits learns its level

  struct State {
    friend bool operator==(const State&, const State&) = default;
  };

  [[nodiscard]] State fit(std::span<const float>) const noexcept { return {}; }

  [[nodiscard]] std::int32_t encode(float x, const State&, int bits) const noexcept {
    return TwoSidedGrid{range}.encode(x, bits);
  }
  [[nodiscard]] IntegerLevels levels(const State&, int bits) const noexcept {
    return TwoSidedGrid{range}.levels(bits);
  }

  [[nodiscard]] float real_valued(float x, const State&) const noexcept { return x; }

  template <class Real>
  void surrogate(std::span<const Real> x, int bits, std::span<Real> y) const {
    clamp(bits).forward(x, y);
  }

  void backward(std::span<const float> x, std::span<const float> dy, const State&, int bits,
                std::span<float> dx) const {
    clamp(bits).backward(x, dy, dx);
  }

  [[nodiscard]] std::optional<ClampSurrogate> gate(int bits) const noexcept { return clamp(bits); }

 private:
  [[nodiscard]] ClampSurrogate clamp(int bits) const noexcept {
    return bits == real_valued_bits ? ClampSurrogate::identity() : ClampSurrogate{-range, range};
  }
};

}  // namespace bitdial::inline BITDIAL_ABI
