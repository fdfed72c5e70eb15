// SPDX-License-Identifier: Apache-2.0
// From real values to activation codes: any monotone step function, as the floats where it steps.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include <bitdial/quant/uniform_steps.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// code(x) = #{j : x >= thresholds[j]}.
///
/// `thresholds` ascend (equal neighbours skip a code) and number at most 2^bits - 1. So -0 encodes
/// like +0, NaN gives code 0, and +-infinity are ordinary values. A code above the number of
/// thresholds is never produced. `uniform` may stand in for the thresholds only where `is_uniform`
/// has proved them equal; the model file is refused otherwise.
struct ActivationEncoder {
  int bits = 8;
  std::vector<float> thresholds;
  std::optional<UniformSteps> uniform{};

  friend bool operator==(const ActivationEncoder&, const ActivationEncoder&) = default;
};

namespace detail {

// Floats in order as integers: -0 and +0 share key 0, the infinities are +-0x7F800000.
inline constexpr std::int32_t infinity_key = 0x7F800000;

[[nodiscard]] constexpr float float_of_key(std::int32_t key) noexcept {
  return key >= 0 ? std::bit_cast<float>(key) : -std::bit_cast<float>(-key);
}

[[nodiscard]] constexpr std::int32_t key_of_float(float x) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const auto magnitude = static_cast<std::int32_t>(bits & 0x7FFFFFFFU);
  return (bits >> 31U) != 0 ? -magnitude : magnitude;
}

}  // namespace detail

/// The code of one value; `thresholds` as in `ActivationEncoder`.
[[nodiscard]] inline int threshold_code(const std::vector<float>& thresholds, float x) noexcept {
  // A partition point: `x >= t` is true for a prefix of the ascending thresholds, false for NaN.
  const auto first_above = std::partition_point(thresholds.begin(), thresholds.end(),
                                                [x](float threshold) { return x >= threshold; });
  return static_cast<int>(first_above - thresholds.begin());
}

/// The floats where `encode` steps: thresholds[j - 1] is the smallest float x with
/// encode(x) >= j, for j = 1 .. codes - 1, as far as +infinity reaches.
///
/// Bisects over the ordered floats, -0 left out, with at most 32 calls per code; no algebra on the
/// formula of `encode`, so the result agrees with it at every float. `encode` must be monotone and
/// treat -0 as +0; what it does with NaN is not asked.
template <class Encode>
[[nodiscard]] std::vector<float> find_thresholds(const Encode& encode, int codes) {
  std::vector<float> thresholds;
  const auto code_at = [&](std::int32_t key) {
    return static_cast<int>(encode(detail::float_of_key(key)));
  };
  std::int32_t low = -detail::infinity_key;
  for (int code = 1; code < codes && code_at(detail::infinity_key) >= code; ++code) {
    std::int32_t high = detail::infinity_key;
    while (low < high) {
      const auto middle = static_cast<std::int32_t>((std::int64_t{low} + high) >> 1);
      if (code_at(middle) >= code) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    thresholds.push_back(detail::float_of_key(low));
  }
  return thresholds;
}

/// True when `steps` gives the code of `thresholds` for every float.
///
/// Both are monotone, so equality at each threshold, at the float before it, and at both infinities
/// proves equality everywhere.
[[nodiscard]] inline bool is_uniform(const std::vector<float>& thresholds, int bits,
                                     const UniformSteps& steps) noexcept {
  if (!(steps.clip >= 0.0F && steps.inverse_step >= 0.0F &&
        steps.clip <= std::numeric_limits<float>::max() &&
        steps.clip * steps.inverse_step <= 0x1p22F)) {
    return false;
  }
  const auto equal_at = [&](float x) {
    return steps.code(x, bits) == threshold_code(thresholds, x);
  };
  const float infinity = std::numeric_limits<float>::infinity();
  if (!equal_at(-infinity) || !equal_at(infinity)) return false;
  for (const float threshold : thresholds) {
    const std::int32_t key = detail::key_of_float(threshold);
    const float before = detail::float_of_key(std::max(key - 1, -detail::infinity_key));
    if (!equal_at(threshold) || !equal_at(before)) return false;
  }
  return true;
}

/// The product that gives the code of `thresholds` for every float, if there is one: DoReFa, PACT
/// and whatever else rounds a multiple of x have it.
///
/// The distance of the first threshold and the last gives the multiple up to rounding; the floats
/// around it are tried.
[[nodiscard]] inline std::optional<UniformSteps> find_uniform_steps(
    const std::vector<float>& thresholds, int bits) noexcept {
  if (thresholds.size() < 2) return std::nullopt;
  const double distance =
      static_cast<double>(thresholds.back()) - static_cast<double>(thresholds.front());
  const double estimate = static_cast<double>(thresholds.size() - 1) / distance;
  if (!(estimate >= 0x1p-100 && estimate <= 0x1p100)) return std::nullopt;
  const std::int32_t key = detail::key_of_float(static_cast<float>(estimate));
  for (const std::int32_t step : {0, 1, -1, 2, -2, 3, -3}) {
    const UniformSteps steps{.clip = thresholds.back(),
                             .inverse_step = detail::float_of_key(key + step)};
    if (is_uniform(thresholds, bits, steps)) return steps;
  }
  return std::nullopt;
}

/// A line through thresholds that stand at almost equal distances, see `kernels::CodeSteps`.
/// Factor 0: there is none.
struct CodeLine {
  float factor = 0.0F;
  float constant = 0.0F;
  float margin = 0.0F;
};

/// The line through the first and the last threshold, if it gives every code up to 1/4.
///
/// Line and code are monotone, so the distance at each threshold, and at the float before it,
/// bounds the distance everywhere.
[[nodiscard]] inline CodeLine code_line(const std::vector<float>& thresholds) noexcept {
  if (thresholds.size() < 2) return {};
  const double first = static_cast<double>(thresholds.front());
  const double factor =
      static_cast<double>(thresholds.size() - 1) / (static_cast<double>(thresholds.back()) - first);
  const double constant = 0.5 - first * factor;
  // Neither infinities nor subnormal numbers, which some programs flush to zero.
  constexpr double largest = 0x1p100;
  if (!(factor > 1.0 / largest && factor < largest && std::abs(constant) < largest)) return {};
  CodeLine line{static_cast<float>(factor), static_cast<float>(constant)};
  for (std::size_t i = 0; i < thresholds.size(); ++i) {
    const std::int32_t key = detail::key_of_float(thresholds[i]);
    for (const float x : {thresholds[i], detail::float_of_key(key - 1)}) {
      const float step = static_cast<float>(i) + 0.5F;
      line.margin = std::max(line.margin, std::abs(std::fma(x, line.factor, line.constant) - step));
    }
  }
  return line.margin <= 0.25F ? line : CodeLine{};
}

/// The encoder that equals `encode` at every float: thresholds found by bisection, and the short
/// form when it is DoReFa's.
template <class Encode>
[[nodiscard]] ActivationEncoder make_activation_encoder(const Encode& encode, int bits) {
  ActivationEncoder encoder{.bits = bits, .thresholds = find_thresholds(encode, 1 << bits)};
  const UniformSteps dorefa{.clip = 1.0F, .inverse_step = static_cast<float>((1 << bits) - 1)};
  if (is_uniform(encoder.thresholds, bits, dorefa)) encoder.uniform = dorefa;
  return encoder;
}

}  // namespace bitdial::inline BITDIAL_ABI
