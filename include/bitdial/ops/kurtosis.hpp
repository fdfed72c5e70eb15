// SPDX-License-Identifier: Apache-2.0
// The distance of a tensor's kurtosis from a wanted one.
// Shkolnik et al., "Robust quantization: one model to rule them all", NeurIPS 2020, arXiv
// 2002.07686.
#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>

#include <bitdial/ops/detail/check.hpp>

namespace bitdial::inline BITDIAL_ABI::ops {

/// Which standard deviation the kurtosis divides by.
enum class Deviation : std::uint8_t {
  unbiased,   ///< sqrt(S / (n - 1)), S = sum (w - mean)^2: as the authors' code does
  population  ///< sqrt(S / n)
};

/// `target` is 1.8 for a uniform distribution, 3 for a normal one.
struct KurtosisOptions {
  double target = 1.8;
  Deviation deviation = Deviation::unbiased;

  friend bool operator==(const KurtosisOptions&, const KurtosisOptions&) = default;
};

namespace detail {

/// Central sums of a tensor, in double.
struct CentralSums {
  double count = 0.0;
  double mean = 0.0;
  double squares = 0.0;
  double cubes = 0.0;
  double fourths = 0.0;

  template <class T>
  explicit CentralSums(TensorView<const T> w) : count{static_cast<double>(w.size())} {
    for (const T value : w.span()) mean += static_cast<double>(value);
    mean /= std::fmax(1.0, count);
    for (const T value : w.span()) {
      const double d = static_cast<double>(value) - mean;
      squares += d * d;
      cubes += d * d * d;
      fourths += d * d * d * d;
    }
  }
  /// sum of squares over the variance
  [[nodiscard]] double divisor(Deviation kind) const noexcept {
    return kind == Deviation::unbiased ? count - 1.0 : count;
  }
  /// mean(((w - mean) / deviation)^4); 0 for a tensor of equal numbers
  [[nodiscard]] double kurtosis(Deviation kind) const noexcept {
    if (!(squares > 0.0)) return 0.0;
    const double per_square = divisor(kind) / squares;
    return fourths * per_square * per_square / count;
  }
};

}  // namespace detail

/// mean(((w - mean) / deviation)^4); 0 for a tensor of equal numbers.
template <class T>
[[nodiscard]] double kurtosis(TensorView<const T> w, Deviation deviation = Deviation::unbiased) {
  return detail::CentralSums(w).kurtosis(deviation);
}

/// loss[0] = (kurtosis(w) - target)^2. Shapes: loss [1], w any. Cost: two passes over w.
template <class T>
void kurtosis_penalty_forward(TensorView<T> loss, TensorView<const std::type_identity_t<T>> w,
                              const KurtosisOptions& options = {}) {
  detail::require_shape("kurtosis_penalty", "loss", loss, {1});
  detail::require_shape("kurtosis_penalty", "w", w, w.shape());
  const double distance = kurtosis(w, options.deviation) - options.target;
  loss.data()[0] = static_cast<T>(distance * distance);
}

/// With d = w - mean, S = sum d^2, v = S / variance and K the kurtosis:
/// dw += dloss 2 (K - target) 4 (v^2 (d^3 - mean d^3) / (n S^2) - K d / S). Nothing where S = 0.
template <class T>
void kurtosis_penalty_backward(TensorView<T> dw, TensorView<const std::type_identity_t<T>> dloss,
                               TensorView<const std::type_identity_t<T>> w,
                               const KurtosisOptions& options = {}) {
  detail::require_shape("kurtosis_penalty_backward", "dw", dw, w.shape());
  detail::require_shape("kurtosis_penalty_backward", "dloss", dloss, {1});
  const detail::CentralSums sums(w);
  if (!(sums.squares > 0.0)) return;
  const double k = sums.kurtosis(options.deviation);
  const double per_square = sums.divisor(options.deviation) / sums.squares;
  const double cubic = per_square * per_square / sums.count;
  const double mean_cube = sums.cubes / sums.count;
  const double upstream = 8.0 * static_cast<double>(dloss.data()[0]) * (k - options.target);
  for (std::int64_t i = 0; i < w.size(); ++i) {
    const double d = static_cast<double>(w.data()[i]) - sums.mean;
    const double slope = cubic * (d * d * d - mean_cube) - k * d / sums.squares;
    dw.data()[i] += static_cast<T>(upstream * slope);
  }
}

}  // namespace bitdial::inline BITDIAL_ABI::ops
