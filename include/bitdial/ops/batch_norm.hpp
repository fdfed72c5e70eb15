// SPDX-License-Identifier: Apache-2.0
// Batch normalisation over all axes but the last: with the statistics of the batch (training), or
// folded into one multiply-add per element (evaluation).
// Ioffe and Szegedy, "Batch normalization", ICML 2015.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <vector>

#include <bitdial/ops/detail/check.hpp>
#include <bitdial/ops/detail/elementwise.hpp>
#include <bitdial/ops/detail/exact_fma.hpp>

namespace bitdial::inline BITDIAL_ABI::ops {

/// `momentum` is the weight of the new batch in the running statistics, in [0, 1]; `epsilon` >= 0
/// is added to the variance. Other values are a `ConfigError`.
struct BatchNormOptions {
  double momentum = 0.1;
  double epsilon = 1e-5;

  friend bool operator==(const BatchNormOptions&, const BatchNormOptions&) = default;
};

namespace detail {

inline void require_epsilon(std::string_view op, double epsilon) {
  if (!(epsilon >= 0.0)) {
    throw ConfigError(concat(op, ": epsilon must not be negative, it is ", epsilon));
  }
}

inline void require_options(std::string_view op, const BatchNormOptions& options) {
  if (!(options.momentum >= 0.0 && options.momentum <= 1.0)) {
    throw ConfigError(concat(op, ": momentum must lie in [0, 1], it is ", options.momentum));
  }
  require_epsilon(op, options.epsilon);
}

}  // namespace detail

/// Mean and biased variance of each channel: mean[c] = avg_r x(r, c), var[c] = avg_r (x - mean)^2.
///
/// Shapes: x [..., C], mean and var [C]. The sums are taken around the first row's value, in blocks
/// that end in double, so a large common offset costs no accuracy.
template <class T>
void batch_statistics(TensorView<T> mean, TensorView<T> var,
                      TensorView<const std::type_identity_t<T>> x) {
  const auto [rows, channels] = detail::channels_last("batch_norm", "x", x);
  detail::require_shape("batch_norm", "mean", mean, {channels});
  detail::require_shape("batch_norm", "var", var, {channels});
  if (rows < 1) throw ShapeError(concat("batch_norm: x ", x.shape(), " has no rows"));
  std::vector<double> sum;
  std::vector<double> squares;
  const T* const data = x.data();
  const std::int64_t width = channels;
  detail::channel_sums<T>(
      rows, channels,
      [=](std::int64_t r, std::int64_t c) -> std::array<T, 2> {
        const T d = data[r * width + c] - data[c];
        return {d, d * d};
      },
      sum, squares);
  const auto count = static_cast<double>(rows);
  for (std::int64_t c = 0; c < channels; ++c) {
    const double shift = sum[static_cast<std::size_t>(c)] / count;
    const double square = squares[static_cast<std::size_t>(c)] / count;
    mean.data()[c] = static_cast<T>(static_cast<double>(data[c]) + shift);
    var.data()[c] = static_cast<T>(std::max(0.0, square - shift * shift));
  }
}

/// y = gamma (x - mean) inv_std + beta with the statistics of this batch.
///
/// Saves mean and inv_std = 1 / sqrt(var + epsilon), var biased. Running statistics (empty views:
/// none) move by `momentum` towards the batch mean and the *unbiased* variance var R / (R - 1), R
/// rows (var itself for R = 1), as in PyTorch. Shapes: x, y [..., C], the others [C].
template <class T>
void batch_norm_forward(TensorView<T> y, TensorView<T> mean, TensorView<T> inv_std,
                        TensorView<T> running_mean, TensorView<T> running_var,
                        TensorView<const std::type_identity_t<T>> x,
                        TensorView<const std::type_identity_t<T>> gamma,
                        TensorView<const std::type_identity_t<T>> beta,
                        const BatchNormOptions& options = {}) {
  detail::require_options("batch_norm", options);
  const auto [rows, channels] = detail::channels_last("batch_norm", "x", x);
  detail::require_shape("batch_norm", "y", y, x.shape());
  detail::require_shape("batch_norm", "gamma", gamma, {channels});
  detail::require_shape("batch_norm", "beta", beta, {channels});
  batch_statistics(mean, inv_std, x);  // inv_std holds the variance for a moment
  if (running_mean.data() != nullptr) {
    detail::require_shape("batch_norm", "running_mean", running_mean, {channels});
    detail::require_shape("batch_norm", "running_var", running_var, {channels});
    const double unbiased =
        rows > 1 ? static_cast<double>(rows) / static_cast<double>(rows - 1) : 1.0;
    const auto move = [&](T& running, double batch) {
      const auto old = static_cast<double>(running);
      running = static_cast<T>(old + options.momentum * (batch - old));
    };
    for (std::int64_t c = 0; c < channels; ++c) {
      move(running_mean.data()[c], static_cast<double>(mean.data()[c]));
      move(running_var.data()[c], unbiased * static_cast<double>(inv_std.data()[c]));
    }
  }
  std::vector<T> factor(static_cast<std::size_t>(channels));
  std::vector<T> shift(static_cast<std::size_t>(channels));
  for (std::int64_t c = 0; c < channels; ++c) {
    const auto i = static_cast<std::size_t>(c);
    inv_std.data()[c] =
        static_cast<T>(1.0 / std::sqrt(static_cast<double>(inv_std.data()[c]) + options.epsilon));
    factor[i] = gamma.data()[c] * inv_std.data()[c];
    shift[i] = beta.data()[c] - mean.data()[c] * factor[i];
  }
  const std::int64_t width = channels;
  detail::for_each_row(rows, channels, [&](std::int64_t r) {
    detail::map_span(
        width, y.data() + r * width, [](T v, T g, T h) { return v * g + h; }, x.data() + r * width,
        factor.data(), shift.data());
  });
}

/// With n = (x - mean) inv_std and averages over all rows:
///   dbeta += sum dy,  dgamma += sum dy n,  dx += gamma inv_std (dy - avg dy - n avg(dy n)).
///
/// Empty dx, dgamma or dbeta are skipped. Shapes as in `batch_norm_forward`.
template <class T>
void batch_norm_backward(TensorView<T> dx, TensorView<T> dgamma, TensorView<T> dbeta,
                         TensorView<const std::type_identity_t<T>> dy,
                         TensorView<const std::type_identity_t<T>> x,
                         TensorView<const std::type_identity_t<T>> gamma,
                         TensorView<const std::type_identity_t<T>> mean,
                         TensorView<const std::type_identity_t<T>> inv_std) {
  const auto [rows, channels] = detail::channels_last("batch_norm_backward", "x", x);
  detail::require_shape("batch_norm_backward", "dy", dy, x.shape());
  detail::require_shape("batch_norm_backward", "gamma", gamma, {channels});
  detail::require_shape("batch_norm_backward", "mean", mean, {channels});
  detail::require_shape("batch_norm_backward", "inv_std", inv_std, {channels});
  std::vector<double> sum;
  std::vector<double> projection;
  const std::int64_t width = channels;
  detail::channel_sums<T>(
      rows, channels,
      [g = dy.data(), v = x.data(), m = mean.data(), width](std::int64_t r,
                                                            std::int64_t c) -> std::array<T, 2> {
        const T d = g[r * width + c];
        return {d, d * (v[r * width + c] - m[c])};
      },
      sum, projection);
  const auto count = static_cast<double>(rows);
  // dx += dy * a + x * b + k per channel, the formula above with its constants collected.
  std::vector<T> a(static_cast<std::size_t>(channels));
  std::vector<T> b(a.size());
  std::vector<T> k(a.size());
  if (dgamma.data() != nullptr) {
    detail::require_shape("batch_norm_backward", "dgamma", dgamma, {channels});
  }
  if (dbeta.data() != nullptr) {
    detail::require_shape("batch_norm_backward", "dbeta", dbeta, {channels});
  }
  for (std::int64_t c = 0; c < channels; ++c) {
    const auto i = static_cast<std::size_t>(c);
    const auto inverse = static_cast<double>(inv_std.data()[c]);
    const double along = projection[i] * inverse;  // sum dy n
    if (dgamma.data() != nullptr) dgamma.data()[c] += static_cast<T>(along);
    if (dbeta.data() != nullptr) dbeta.data()[c] += static_cast<T>(sum[i]);
    const double outer = static_cast<double>(gamma.data()[c]) * inverse;
    a[i] = static_cast<T>(outer);
    b[i] = static_cast<T>(-outer * inverse * along / count);
    k[i] = static_cast<T>(-outer * sum[i] / count);
  }
  if (dx.data() == nullptr) return;
  detail::require_shape("batch_norm_backward", "dx", dx, x.shape());
  detail::for_each_row(rows, channels, [&](std::int64_t r) {
    T* const out = dx.data() + r * width;
    detail::map_span(
        width, out,
        [](T old, T g, T v, T m, T p, T q, T s) { return old + (g * p + (v - m) * q + s); }, out,
        dy.data() + r * width, x.data() + r * width, mean.data(), a.data(), b.data(), k.data());
  });
}

/// The evaluation form of batch normalisation: g = gamma / sqrt(var + epsilon), h = beta - mean g,
/// so that y = fma(x, g, h). Every operation is correctly rounded: the same bits on every machine.
template <class T>
void fold_batch_norm(TensorView<T> g, TensorView<T> h,
                     TensorView<const std::type_identity_t<T>> gamma,
                     TensorView<const std::type_identity_t<T>> beta,
                     TensorView<const std::type_identity_t<T>> mean,
                     TensorView<const std::type_identity_t<T>> var, double epsilon) {
  detail::require_epsilon("fold_batch_norm", epsilon);
  const Shape& shape = gamma.shape();
  detail::require_shape("fold_batch_norm", "beta", beta, shape);
  detail::require_shape("fold_batch_norm", "mean", mean, shape);
  detail::require_shape("fold_batch_norm", "var", var, shape);
  detail::require_shape("fold_batch_norm", "g", g, shape);
  detail::require_shape("fold_batch_norm", "h", h, shape);
  for (std::int64_t c = 0; c < shape.size(); ++c) {
    g.data()[c] = gamma.data()[c] / std::sqrt(var.data()[c] + static_cast<T>(epsilon));
    h.data()[c] = std::fma(-mean.data()[c], g.data()[c], beta.data()[c]);
  }
}

/// y = fma(x, g, h) per channel: batch normalisation with fixed statistics. Shapes: x, y [..., C],
/// g and h [C]. `y` may be `x`.
template <class T>
void scale_shift_forward(TensorView<T> y, TensorView<const std::type_identity_t<T>> x,
                         TensorView<const std::type_identity_t<T>> g,
                         TensorView<const std::type_identity_t<T>> h) {
  const auto [rows, channels] = detail::channels_last("scale_shift", "x", x);
  detail::require_shape("scale_shift", "y", y, x.shape());
  detail::require_shape("scale_shift", "g", g, {channels});
  detail::require_shape("scale_shift", "h", h, {channels});
  const std::int64_t width = channels;
  detail::for_each_row(rows, channels, [&](std::int64_t r) {
    T* const to = y.data() + r * width;
    const T* const from = x.data() + r * width;
    if constexpr (std::is_same_v<T, float>) {
      detail::fma_span(width, to, from, g.data(), h.data());
    } else {
      detail::map_span(
          width, to, [](T v, T p, T q) { return std::fma(v, p, q); }, from, g.data(), h.data());
    }
  });
}

/// dx += dy g, dg += sum dy x, dh += sum dy. Empty gradients are skipped.
template <class T>
void scale_shift_backward(TensorView<T> dx, TensorView<T> dg, TensorView<T> dh,
                          TensorView<const std::type_identity_t<T>> dy,
                          TensorView<const std::type_identity_t<T>> x,
                          TensorView<const std::type_identity_t<T>> g) {
  const auto [rows, channels] = detail::channels_last("scale_shift_backward", "dy", dy);
  detail::require_shape("scale_shift_backward", "g", g, {channels});
  const std::int64_t width = channels;
  if (dg.data() != nullptr || dh.data() != nullptr) {
    detail::require_shape("scale_shift_backward", "x", x, dy.shape());
    std::vector<double> sum;
    std::vector<double> projection;
    detail::channel_sums<T>(
        rows, channels,
        [d = dy.data(), v = x.data(), width](std::int64_t r, std::int64_t c) -> std::array<T, 2> {
          return {d[r * width + c], d[r * width + c] * v[r * width + c]};
        },
        sum, projection);
    for (std::int64_t c = 0; c < channels; ++c) {
      const auto i = static_cast<std::size_t>(c);
      if (dh.data() != nullptr) dh.data()[c] += static_cast<T>(sum[i]);
      if (dg.data() != nullptr) dg.data()[c] += static_cast<T>(projection[i]);
    }
  }
  if (dx.data() == nullptr) return;
  detail::require_shape("scale_shift_backward", "dx", dx, dy.shape());
  detail::for_each_row(rows, channels, [&](std::int64_t r) {
    T* const out = dx.data() + r * width;
    detail::map_span(
        width, out, [](T old, T d, T p) { return old + d * p; }, out, dy.data() + r * width,
        g.data());
  });
}

}  // namespace bitdial::inline BITDIAL_ABI::ops
