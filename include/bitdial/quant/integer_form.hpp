// SPDX-License-Identifier: Apache-2.0
// The integers that stand for the codes of a policy in evaluation and in packed networks.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include <bitdial/core/config.hpp>
#include <bitdial/quant/levels.hpp>
#include <bitdial/quant/policy.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Codes on an integer line, found by looking the policy's codes up.
///
/// For an affine policy these are its own codes and levels, exactly. Values that are not
/// equidistant become multiples of one unit, level = value / unit rounded half to even: codes of
/// `bits` bits, of which 2^k occur. The unit is (largest |value|) / L with the L up to 2^bits - 1
/// (no negative value) or 2^(bits - 1) - 1 that makes `error` smallest; ties go to the smaller L.
/// Filterwise codes have room for negative values even where one filter has none: all filters of a
/// layer differ in their scales alone.
struct IntegerForm {
  int bits = 8;
  IntegerLevels levels;
  std::array<std::uint8_t, 256> codes{};  ///< by the policy's code
  double error = 0.0;                     ///< the largest |value - level * unit|; at most unit / 2
};

/// The width of the integer form of codes of `bits` bits: theirs for an affine policy, else 8, and
/// for weights of 1 to 3 bits four bits more than they have.
template <class P>
[[nodiscard]] constexpr int integer_form_bits(int bits) noexcept {
  if (AffinePolicy<P>) return bits;
  return P::role == TensorRole::weights ? std::min(8, bits + 4) : 8;
}

/// The integer form of a policy's codes. Cost: 2^16 operations at most, once per tensor.
template <QuantizationPolicy P>
[[nodiscard]] IntegerForm integer_form(const P& policy, const typename P::State& state, int bits) {
  IntegerForm form;
  form.bits = integer_form_bits<P>(bits);
  const auto count = static_cast<std::size_t>(code_count<P>(bits));
  if constexpr (AffinePolicy<P>) {
    form.levels = policy.levels(state, bits);
    for (std::size_t code = 0; code < count; ++code) {
      form.codes[code] = static_cast<std::uint8_t>(code);
    }
  } else {
    std::array<double, 256> values{};
    double largest = 0.0;
    bool is_signed = FilterwisePolicy<P>;
    for (std::size_t code = 0; code < count; ++code) {
      values[code] = static_cast<double>(policy.decode(static_cast<int>(code), state, bits));
      largest = std::max(largest, std::fabs(values[code]));
      is_signed = is_signed || values[code] < 0.0;
    }
    const int zero = is_signed ? 1 << (form.bits - 1) : 0;
    const int most = (1 << form.bits) - 1 - zero;
    int best = most;
    double smallest = std::fabs(largest);
    for (int top = 1; top <= most && largest > 0.0; ++top) {
      const double unit = largest / top;
      double worst = 0.0;
      for (std::size_t code = 0; code < count && worst < smallest; ++code) {
        const double level = std::nearbyint(values[code] / unit);
        worst = std::max(worst, std::fabs(std::fma(-level, unit, values[code])));
      }
      // A unit that is better only in the last bits of double is not better.
      if (worst < smallest * (1.0 - 1e-6) && smallest > largest * 1e-7) {
        smallest = worst;
        best = top;
      }
    }
    const double unit = largest > 0.0 ? largest / best : 1.0;
    form.error = largest > 0.0 ? smallest : 0.0;
    form.levels = {.scale = static_cast<float>(unit), .multiplier = 1, .offset = -zero};
    for (std::size_t code = 0; code < count; ++code) {
      form.codes[code] =
          static_cast<std::uint8_t>(static_cast<int>(std::nearbyint(values[code] / unit)) + zero);
    }
  }
  return form;
}

}  // namespace bitdial::inline BITDIAL_ABI
