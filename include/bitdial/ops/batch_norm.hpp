// SPDX-License-Identifier: Apache-2.0
// Batch normalisation over all axes but the last: with the statistics of the batch (training), or
// folded into one multiply-add per element (evaluation).
// Ioffe and Szegedy, "Batch normalization", ICML 2015.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <bitdial/core/assert.hpp>
#include <bitdial/core/batch_group.hpp>
#include <bitdial/core/tensor.hpp>
#include <bitdial/kernels/active.hpp>
#include <bitdial/ops/bit_mask.hpp>
#include <bitdial/ops/channel_moments.hpp>
#include <bitdial/ops/detail/check.hpp>
#include <bitdial/ops/detail/elementwise.hpp>
#include <bitdial/ops/detail/exact_fma.hpp>
#include <bitdial/ops/gemm.hpp>
#include <bitdial/ops/gradient_sums.hpp>

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

/// sum dy and sum dy (x + shift) per channel over all rows:
/// `dy(begin, end)` returns its elements begin .. end - 1, whole rows and multiples of 128 unless
/// they end with the last one; it counts as 0 where `mask` is, which may be null.
///
/// Rows are added as in `add_gradient_sums`, chunks in order: the result depends on neither the
/// thread count nor the instruction set.
template <class Read>
void channel_sums(std::int64_t rows, std::int64_t channels, Read dy, const BitMask* mask,
                  const float* x, const float* shift, std::vector<double>& first,
                  std::vector<double>& second) {
  const auto width = static_cast<std::size_t>(channels);
  const std::int64_t grain = round_up(2 * row_grain(channels), float_sum_rows(channels));
  std::vector<double> partial(2 * width * static_cast<std::size_t>((rows + grain - 1) / grain));
  parallel_for(rows, grain, [&](std::int64_t begin, std::int64_t end) {
    double* const slot = partial.data() + 2 * width * static_cast<std::size_t>(begin / grain);
    add_gradient_sums(slot, begin, end, channels, dy, mask, x, shift);
  });
  add_slots(partial, width, first, second);
}

}  // namespace detail

/// Mean and biased variance of each channel: mean[c] = avg_r x(r, c), var[c] = avg_r (x - mean)^2.
///
/// Shapes: x [..., C], mean and var [C]. The sums are taken around the first row's value, in blocks
/// that end in double, so a large common offset costs no accuracy. With a group, over the rows of
/// all its processes. Returns the number of rows. `moments`, where there are any, are those of x,
/// of which only the first row is read then.
template <class T>
double batch_statistics(TensorView<T> mean, TensorView<T> var,
                        TensorView<const std::type_identity_t<T>> x, BatchGroup* group = nullptr,
                        const ChannelMoments* moments = nullptr) {
  const auto [rows, channels] = detail::channels_last("batch_norm", "x", x);
  detail::require_shape("batch_norm", "mean", mean, {channels});
  detail::require_shape("batch_norm", "var", var, {channels});
  if (rows < 1) throw ShapeError(concat("batch_norm: x ", x.shape(), " has no rows"));
  std::vector<double> sum;
  std::vector<double> squares;
  const T* const data = x.data();
  const std::int64_t width = channels;
  if constexpr (std::is_same_v<T, float>) {
    ChannelMoments own;
    if (moments == nullptr) {
      own.add_all(x.data(), rows, channels);
      moments = &own;
    }
    moments->around(data, sum, squares);
  } else {
    detail::channel_sums<T>(
        rows, channels,
        [=](std::int64_t r, std::int64_t c) -> std::array<T, 2> {
          const T d = data[r * width + c] - data[c];
          return {d, d * d};
        },
        sum, squares);
  }
  const auto count = static_cast<double>(rows);
  const auto store = [&](std::int64_t c, double average, double variance) {
    mean.data()[c] = static_cast<T>(average);
    var.data()[c] = static_cast<T>(std::max(0.0, variance));
  };
  // Sums of x and x^2 of all rows, then their number, where several processes add up.
  std::vector<double> shared(group == nullptr ? 0 : 2 * sum.size() + 1);
  for (std::int64_t c = 0; c < channels; ++c) {
    const auto i = static_cast<std::size_t>(c);
    const double shift = sum[i] / count;
    const double average = static_cast<double>(data[c]) + shift;
    const double variance = squares[i] / count - shift * shift;
    if (group == nullptr) {
      store(c, average, variance);
    } else {
      shared[i] = count * average;
      shared[sum.size() + i] = count * (variance + average * average);
    }
  }
  if (group == nullptr) return count;
  shared.back() = count;
  group->sum(shared);
  const double total = shared.back();
  for (std::int64_t c = 0; c < channels; ++c) {
    const auto i = static_cast<std::size_t>(c);
    const double average = shared[i] / total;
    store(c, average, shared[sum.size() + i] / total - average * average);
  }
  return total;
}

/// y = x factor + shift per channel: normalisation with known statistics.
template <class T>
struct ChannelMap {
  std::vector<T> factor;
  std::vector<T> shift;

  /// Maps the elements of whole rows; `y` may be `x`.
  void apply(std::int64_t size, T* y, const T* x) const {
    const auto channels = static_cast<std::int64_t>(factor.size());
    if constexpr (std::is_same_v<T, float>) {
      return kernels::active_real_kernels().scale_channels({.rows = size / channels,
                                                            .channels = channels,
                                                            .x = x,
                                                            .factor = factor.data(),
                                                            .shift = shift.data(),
                                                            .y = y});
    }
    for (std::int64_t at = 0; at < size; at += channels) {
      detail::map_span(
          channels, y + at, [](T v, T g, T h) { return v * g + h; }, x + at, factor.data(),
          shift.data());
    }
  }
};

/// The map of batch normalisation with the statistics of this batch,
/// y = gamma (x - mean) inv_std + beta.
///
/// Saves mean and inv_std = 1 / sqrt(var + epsilon), var biased. Running statistics (empty views:
/// none) move by `momentum` towards the batch mean and the *unbiased* variance var R / (R - 1), R
/// rows (var itself for R = 1), as in PyTorch. Shapes: x [..., C], the others [C].
template <class T>
[[nodiscard]] ChannelMap<T> batch_norm_map(TensorView<T> mean, TensorView<T> inv_std,
                                           TensorView<T> running_mean, TensorView<T> running_var,
                                           TensorView<const std::type_identity_t<T>> x,
                                           TensorView<const std::type_identity_t<T>> gamma,
                                           TensorView<const std::type_identity_t<T>> beta,
                                           const BatchNormOptions& options = {},
                                           BatchGroup* group = nullptr,
                                           const ChannelMoments* moments = nullptr) {
  detail::require_options("batch_norm", options);
  const auto [rows, channels] = detail::channels_last("batch_norm", "x", x);
  detail::require_shape("batch_norm", "gamma", gamma, {channels});
  detail::require_shape("batch_norm", "beta", beta, {channels});
  // inv_std holds the variance for a moment.
  const double count = batch_statistics(mean, inv_std, x, group, moments);
  if (running_mean.data() != nullptr) {
    detail::require_shape("batch_norm", "running_mean", running_mean, {channels});
    detail::require_shape("batch_norm", "running_var", running_var, {channels});
    const double unbiased = count > 1.0 ? count / (count - 1.0) : 1.0;
    const auto move = [&](T& running, double batch) {
      const auto old = static_cast<double>(running);
      running = static_cast<T>(old + options.momentum * (batch - old));
    };
    for (std::int64_t c = 0; c < channels; ++c) {
      move(running_mean.data()[c], static_cast<double>(mean.data()[c]));
      move(running_var.data()[c], unbiased * static_cast<double>(inv_std.data()[c]));
    }
  }
  ChannelMap<T> map{std::vector<T>(static_cast<std::size_t>(channels)),
                    std::vector<T>(static_cast<std::size_t>(channels))};
  for (std::int64_t c = 0; c < channels; ++c) {
    const auto i = static_cast<std::size_t>(c);
    inv_std.data()[c] =
        static_cast<T>(1.0 / std::sqrt(static_cast<double>(inv_std.data()[c]) + options.epsilon));
    map.factor[i] = gamma.data()[c] * inv_std.data()[c];
    map.shift[i] = beta.data()[c] - mean.data()[c] * map.factor[i];
  }
  return map;
}

/// y = gamma (x - mean) inv_std + beta as `batch_norm_map` says. Shapes: x, y [..., C].
template <class T>
void batch_norm_forward(TensorView<T> y, TensorView<T> mean, TensorView<T> inv_std,
                        TensorView<T> running_mean, TensorView<T> running_var,
                        TensorView<const std::type_identity_t<T>> x,
                        TensorView<const std::type_identity_t<T>> gamma,
                        TensorView<const std::type_identity_t<T>> beta,
                        const BatchNormOptions& options = {}) {
  const auto [rows, channels] = detail::channels_last("batch_norm", "x", x);
  detail::require_shape("batch_norm", "y", y, x.shape());
  const ChannelMap<T> map =
      batch_norm_map(mean, inv_std, running_mean, running_var, x, gamma, beta, options);
  const std::int64_t width = channels;
  parallel_for(rows, detail::row_grain(channels), [&](std::int64_t begin, std::int64_t end) {
    map.apply((end - begin) * width, y.data() + begin * width, x.data() + begin * width);
  });
}

/// The first half of the derivative of batch normalisation, up to the sums over the batch. With
/// n = (x - mean) inv_std and averages over all rows:
///   dbeta += sum dy,  dgamma += sum dy n,  dx = gamma inv_std (dy - avg dy - n avg(dy n)),
/// the last one as dx = dy a + (x - mean) b + k per channel.
///
/// A mask says where dy counts as 0, which spares a pass over dy: for float, and channels that
/// `takes_mask` says. Sums that are known already, if they are not null, spare another one.
template <class T>
struct BatchNormSlope {
  std::vector<T> a;
  std::vector<T> b;
  std::vector<T> k;
  std::vector<T> shift;  ///< -mean
  std::shared_ptr<const BitMask> mask;

  [[nodiscard]] static constexpr bool takes_mask(std::int64_t channels) noexcept {
    return std::is_same_v<T, float> && channels % kernels::gated_channels == 0;
  }

  /// Empty dgamma or dbeta are skipped; with a group they get the part of this process, while a, b
  /// and k use the averages over all rows of all processes. Shapes as in `batch_norm_forward`;
  /// `dy(begin, end)` returns elements of dy as in `channel_sums`, or all of them.
  template <class Read>
  BatchNormSlope(TensorView<T> dgamma, TensorView<T> dbeta, Read dy,
                 TensorView<const std::type_identity_t<T>> x,
                 TensorView<const std::type_identity_t<T>> gamma,
                 TensorView<const std::type_identity_t<T>> mean,
                 TensorView<const std::type_identity_t<T>> inv_std, BatchGroup* group = nullptr,
                 std::shared_ptr<const BitMask> gate = nullptr, const GradientSums* known = nullptr)
      : mask{std::move(gate)} {
    const auto [rows, channels] = detail::channels_last("batch_norm_backward", "x", x);
    BITDIAL_ASSERT(mask == nullptr || takes_mask(channels));
    detail::require_shape("batch_norm_backward", "gamma", gamma, {channels});
    detail::require_shape("batch_norm_backward", "mean", mean, {channels});
    detail::require_shape("batch_norm_backward", "inv_std", inv_std, {channels});
    if (dgamma.data() != nullptr) {
      detail::require_shape("batch_norm_backward", "dgamma", dgamma, {channels});
    }
    if (dbeta.data() != nullptr) {
      detail::require_shape("batch_norm_backward", "dbeta", dbeta, {channels});
    }
    std::vector<double> sum;
    std::vector<double> projection;
    shift.resize(static_cast<std::size_t>(channels));
    detail::map_span(
        channels, shift.data(), [](T v) { return -v; }, mean.data());
    if (known != nullptr) {
      known->total(sum, projection);
    } else if constexpr (std::is_same_v<T, float>) {
      detail::channel_sums(rows, channels, dy, mask.get(), x.data(), shift.data(), sum, projection);
    } else {
      detail::channel_sums<T>(
          rows, channels,
          [g = dy(0, x.size()), v = x.data(), m = shift.data(), width = channels](
              std::int64_t r, std::int64_t c) -> std::array<T, 2> {
            const T d = g[r * width + c];
            return {d, d * (v[r * width + c] + m[c])};
          },
          sum, projection);
    }
    for (std::int64_t c = 0; c < channels; ++c) {
      const auto i = static_cast<std::size_t>(c);
      projection[i] *= static_cast<double>(inv_std.data()[c]);  // sum dy n
      if (dgamma.data() != nullptr) dgamma.data()[c] += static_cast<T>(projection[i]);
      if (dbeta.data() != nullptr) dbeta.data()[c] += static_cast<T>(sum[i]);
    }
    auto count = static_cast<double>(rows);
    if (group != nullptr) {
      std::vector<double> shared(sum);
      shared.insert(shared.end(), projection.begin(), projection.end());
      shared.push_back(count);
      group->sum(shared);
      count = shared.back();
      std::copy_n(shared.begin(), sum.size(), sum.begin());
      std::copy_n(shared.begin() + channels, sum.size(), projection.begin());
    }
    a.resize(sum.size());
    b.resize(sum.size());
    k.resize(sum.size());
    for (std::int64_t c = 0; c < channels; ++c) {
      const auto i = static_cast<std::size_t>(c);
      const auto inverse = static_cast<double>(inv_std.data()[c]);
      const double along = projection[i];
      const double outer = static_cast<double>(gamma.data()[c]) * inverse;
      a[i] = static_cast<T>(outer);
      b[i] = static_cast<T>(-outer * inverse * along / count);
      k[i] = static_cast<T>(-outer * sum[i] / count);
    }
  }

  /// Elements begin .. end - 1 of dx, whole rows; `dx` may be `dy`.
  void apply(std::int64_t begin, std::int64_t end, T* dx, const T* dy, const T* x) const {
    const auto channels = static_cast<std::int64_t>(a.size());
    const std::int64_t size = end - begin;
    if constexpr (std::is_same_v<T, float>) {
      const std::uint32_t* const words = mask == nullptr ? nullptr : mask->words(begin);
      return kernels::active_real_kernels().combine_channels({.rows = size / channels,
                                                              .channels = channels,
                                                              .dy = dy,
                                                              .words = words,
                                                              .x = x,
                                                              .shift = shift.data(),
                                                              .a = a.data(),
                                                              .b = b.data(),
                                                              .k = k.data(),
                                                              .y = dx});
    }
    for (std::int64_t at = 0; at < size; at += channels) {
      detail::map_span(
          channels, dx + at, [](T g, T v, T m, T p, T q, T s) { return g * p + (v + m) * q + s; },
          dy + at, x + at, shift.data(), a.data(), b.data(), k.data());
    }
  }
};

/// dgamma, dbeta and dx of `BatchNormSlope`, added up. Empty dx, dgamma or dbeta are skipped.
template <class T>
void batch_norm_backward(TensorView<T> dx, TensorView<T> dgamma, TensorView<T> dbeta,
                         TensorView<const std::type_identity_t<T>> dy,
                         TensorView<const std::type_identity_t<T>> x,
                         TensorView<const std::type_identity_t<T>> gamma,
                         TensorView<const std::type_identity_t<T>> mean,
                         TensorView<const std::type_identity_t<T>> inv_std) {
  detail::require_shape("batch_norm_backward", "dy", dy, x.shape());
  const BatchNormSlope<T> slope(
      dgamma, dbeta, [dy](std::int64_t begin, std::int64_t) { return dy.data() + begin; }, x, gamma,
      mean, inv_std);
  if (dx.data() == nullptr) return;
  detail::require_shape("batch_norm_backward", "dx", dx, x.shape());
  Tensor<T> term(x.shape(), Uninitialized{});
  const auto [rows, channels] = detail::channels_last("batch_norm_backward", "x", x);
  parallel_for(rows, detail::row_grain(channels),
               [&, width = channels](std::int64_t begin, std::int64_t end) {
                 const std::int64_t at = begin * width;
                 slope.apply(at, end * width, term.data() + at, dy.data() + at, x.data() + at);
               });
  detail::map(
      dx.size(), dx.data(), [](T old, T t) { return old + t; }, dx.data(), term.data());
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
