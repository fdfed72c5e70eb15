// SPDX-License-Identifier: Apache-2.0
// The integer sums of a quantized layer, computed with real-valued operations that are exact.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include <bitdial/autodiff/tape.hpp>
#include <bitdial/core/error.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/quant/levels.hpp>

namespace bitdial::inline BITDIAL_ABI::detail {

/// The largest sum over one output channel of |weight level| * `largest_activation`: a bound of
/// every partial sum of the layer. `weights` is `[out, ...]`, integer-valued.
[[nodiscard]] inline double sum_bound(const Tensor<float>& weights, double largest_activation) {
  const std::int64_t rows = weights.extent(0);
  const std::int64_t row_size = rows == 0 ? 0 : weights.size() / rows;
  double bound = 0;
  for (std::int64_t row = 0; row < rows; ++row) {
    double sum = 0;
    for (std::int64_t i = 0; i < row_size; ++i) {
      sum += std::abs(static_cast<double>(weights[row * row_size + i]));
    }
    bound = std::max(bound, sum);
  }
  return bound * largest_activation;
}

/// The levels of `codes`, as numbers.
[[nodiscard]] inline Tensor<float> as_levels(std::span<const std::uint8_t> codes,
                                             const IntegerLevels& levels, const Shape& shape) {
  Tensor<float> result(shape, Uninitialized{});
  std::ranges::transform(codes, result.span().begin(),
                         [&](std::uint8_t code) { return static_cast<float>(levels.level(code)); });
  return result;
}

/// The largest power of two from 2 to 2^24 whose digits, below it, keep sums of `unit` times a
/// digit within 2^24.
[[nodiscard]] inline float digit_base(double unit) {
  if (unit > 0x1p24) {
    throw ShapeError(concat("exact sums: the weights of an output channel add up to ", unit,
                            " in magnitude, integer sums need at most 2^24: split the layer"));
  }
  float base = 2.0F;
  while (base < 0x1p24F && unit * (2.0 * static_cast<double>(base) - 1.0) <= 0x1p24) base *= 2.0F;
  return base;
}

/// float(I) for I = layer(x, w) on integer-valued tensors, |x| <= `largest_activation`.
///
/// Sums of integers are exact in f32, in any order, while every partial sum stays within 2^24.
/// Where they would leave it, x is taken apart into digits, x = sum_k base^k d_k with the sign of x
/// in every digit; I = sum_k base^k layer(d_k, w) is added in double (exact to 2^53) and rounded
/// once, as the conversion of an int32 would. Weights whose magnitudes leave 2^24 already are a
/// `ShapeError`. Cost: one call of the layer per digit.
template <class Layer>
[[nodiscard]] Tensor<float> exact_sums(const Layer& layer, const Tensor<float>& x,
                                       const Tensor<float>& w, double largest_activation) {
  const auto sums_of = [&](const Tensor<float>& digits) {
    Tape tape;
    return layer.apply(tape.borrow(digits), tape.borrow(w)).value();
  };
  const double unit = sum_bound(w, 1.0);
  if (unit * largest_activation <= 0x1p24) return sums_of(x);
  const float base = digit_base(unit);
  Tensor<float> rest = x;
  Tensor<float> digits(x.shape(), Uninitialized{});
  Tensor<float> rounded;
  std::vector<double> sums;
  for (double place = 1.0; place <= largest_activation; place *= static_cast<double>(base)) {
    for (std::int64_t i = 0; i < x.size(); ++i) {
      const float quotient = std::trunc(rest[i] / base);
      digits[i] = rest[i] - quotient * base;
      rest[i] = quotient;
    }
    rounded = sums_of(digits);
    sums.resize(static_cast<std::size_t>(rounded.size()));
    std::ranges::transform(sums, rounded.span(), sums.begin(), [place](double sum, float digit) {
      return sum + place * static_cast<double>(digit);
    });
  }
  std::ranges::transform(sums, rounded.span().begin(),
                         [](double sum) { return static_cast<float>(sum); });
  return rounded;
}

}  // namespace bitdial::inline BITDIAL_ABI::detail
