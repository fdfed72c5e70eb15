// SPDX-License-Identifier: Apache-2.0
// Weights that are powers of two.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

#include <bitdial/core/config.hpp>
#include <bitdial/quant/policy.hpp>
#include <bitdial/quant/statistics.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Which exponents the codes of weights that are powers of two have.
enum class ExponentRange : std::uint8_t {
  closed,  ///< FSR - 2^k to FSR; only 0 is 0: the clip of an unofficial implementation
  paper    ///< FSR - 2^k + 1 to FSR - 1; what rounds below is 0
};

/// Weights 0 and +-2^e, e an integer of `Range` at k bits with FSR = `full_scale`.
///
/// w_q = sign(w) 2^clip(round(log2|w|), lowest, highest): the middle of two exponents is their
/// geometric mean. k is the width of the exponent as published, so there are 2 (2^k + 1) + 1 codes
/// (k <= 6), 2 (2^k - 1) + 1 in the paper's range. Both ranges are inferred: the first from an
/// unofficial implementation, the second from accounts of the paper, in which the lowest exponent
/// stands for zero. Gradient: identity. 32 bits: identity. Non-finite weights throw `Error`. Exact
/// on every machine: no logarithm is computed. Miyashita et al., "Convolutional neural networks
/// using logarithmic data representation", arXiv 1603.01025.
template <ExponentRange Range>
struct PowersOfTwo {
  static constexpr bool is_closed = Range == ExponentRange::closed;
  static constexpr std::string_view name =
      is_closed ? "PowerOfTwoWeights" : "PaperPowerOfTwoWeights";
  static constexpr std::string_view paper = "arXiv 1603.01025";
  static constexpr TensorRole role = TensorRole::weights;
  static constexpr int max_bits = 6;
  static constexpr bool straight_through = true;

  struct State {
    friend bool operator==(const State&, const State&) = default;
  };

  int full_scale = 0;  ///< FSR: the largest exponent, or one above it in the paper's range

  [[nodiscard]] static constexpr std::int32_t code_count(int bits) noexcept {
    return 2 * exponents(bits) + 1;
  }
  [[nodiscard]] static constexpr bool represents_zero() noexcept { return true; }

  [[nodiscard]] State fit(std::span<const float> w) const {
    static_cast<void>(weight_statistics(name, w));
    return {};
  }
  /// The negative powers, largest magnitude first; zero; the positive powers.
  [[nodiscard]] std::int32_t encode(float w, const State&, int bits) const noexcept {
    const std::int32_t zero = exponents(bits);
    if (w == 0.0F || std::isnan(w)) return zero;
    int exponent = 0;
    const double mantissa = std::frexp(std::fabs(static_cast<double>(w)), &exponent);
    constexpr double root_half = 0.70710678118654752440;  // mantissas from 1/2 to 1
    const int rounded = mantissa < root_half ? exponent - 1 : exponent;
    if (!is_closed && rounded < lowest(bits)) return zero;
    const int e = std::clamp(rounded - lowest(bits), 0, exponents(bits) - 1);
    return w > 0.0F ? zero + 1 + e : zero - 1 - e;
  }
  [[nodiscard]] float decode(std::int32_t code, const State&, int bits) const noexcept {
    const std::int32_t from_zero = code - exponents(bits);
    if (from_zero == 0) return 0.0F;
    const int e = std::abs(from_zero) - 1 + lowest(bits);
    return std::copysign(std::ldexp(1.0F, e), static_cast<float>(from_zero));
  }
  [[nodiscard]] float real_valued(float w, const State&) const noexcept { return w; }

 private:
  [[nodiscard]] static constexpr std::int32_t exponents(int bits) noexcept {
    return is_closed ? (1 << bits) + 1 : (1 << bits) - 1;
  }
  [[nodiscard]] constexpr int lowest(int bits) const noexcept {
    return full_scale - (1 << bits) + (is_closed ? 0 : 1);
  }
};

using PowerOfTwoWeights = PowersOfTwo<ExponentRange::closed>;
using PaperPowerOfTwoWeights = PowersOfTwo<ExponentRange::paper>;

}  // namespace bitdial::inline BITDIAL_ABI
