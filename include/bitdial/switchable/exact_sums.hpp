// SPDX-License-Identifier: Apache-2.0
// The integer sums of a quantized layer, computed with real-valued operations that are exact.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>

#include <bitdial/autodiff/tape.hpp>
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

[[nodiscard]] inline Tensor<double> widened(const Tensor<float>& narrow) {
  Tensor<double> wide(narrow.shape(), Uninitialized{});
  std::ranges::copy(narrow.span(), wide.span().begin());
  return wide;
}

/// The levels of `codes`, as numbers.
[[nodiscard]] inline Tensor<float> as_levels(std::span<const std::uint8_t> codes,
                                             const IntegerLevels& levels, const Shape& shape) {
  Tensor<float> result(shape, Uninitialized{});
  std::ranges::transform(codes, result.span().begin(),
                         [&](std::uint8_t code) { return static_cast<float>(levels.level(code)); });
  return result;
}

/// float(I) for I = layer(x, w) on integer-valued tensors.
///
/// Sums of integers are exact in f32, in any order, while every partial sum stays within 2^24;
/// wider sums run in double (exact to 2^53) and round once, as the conversion of an int32 would.
template <class Layer>
[[nodiscard]] Tensor<float> exact_sums(const Layer& layer, const Tensor<float>& x,
                                       const Tensor<float>& w, double largest_activation) {
  if (sum_bound(w, largest_activation) <= 0x1p24) {
    Tape tape;
    return layer.apply(tape.borrow(x), tape.borrow(w)).value();
  }
  BasicTape<double> tape;
  const Tensor<double> sums =
      layer.apply(tape.constant(widened(x)), tape.constant(widened(w))).value();
  Tensor<float> rounded(sums.shape(), Uninitialized{});
  std::ranges::transform(sums.span(), rounded.span().begin(),
                         [](double sum) { return static_cast<float>(sum); });
  return rounded;
}

}  // namespace bitdial::inline BITDIAL_ABI::detail
