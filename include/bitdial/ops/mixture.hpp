// SPDX-License-Identifier: Apache-2.0
// A weighted mean of tensors, y = sum_i p[i] x_i with p = softmax(alpha), term by term: terms that
// are streamed need not be in memory together.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include <bitdial/ops/detail/elementwise.hpp>
#include <bitdial/ops/losses.hpp>

namespace bitdial::inline BITDIAL_ABI::ops {

/// p = softmax(alpha): shapes [n], n at least 1.
template <class T>
void mixture_shares(TensorView<T> p, TensorView<const std::type_identity_t<T>> alpha) {
  detail::require_rank("mixture", "alpha", alpha, 1, "[n]");
  detail::require_shape("mixture", "p", p, alpha.shape());
  const Shape row{1, alpha.size()};
  softmax_forward(TensorView<T>{p.data(), row}, TensorView<const T>{alpha.data(), row});
}

/// y += share x, for `count` elements of one term.
template <class T>
void mixture_add(std::int64_t count, T* y, const T* x, std::type_identity_t<T> share) {
  detail::map_span(
      count, y, [share](T sum, T v) { return sum + share * v; }, y, x);
}

/// s = <dy, x>, the derivative of the loss by the share of the term x. Equal shapes. Sums are in
/// double, and do not depend on the number of threads.
template <class T>
[[nodiscard]] double mixture_slope(TensorView<const T> dy,
                                   TensorView<const std::type_identity_t<T>> x) {
  detail::require_shape("mixture_slope", "dy", dy, dy.shape());
  detail::require_shape("mixture_slope", "x", x, dy.shape());
  constexpr std::int64_t grain = detail::elementwise_grain;
  std::vector<double> partial(static_cast<std::size_t>((dy.size() + grain - 1) / grain));
  parallel_for(dy.size(), grain, [&](std::int64_t begin, std::int64_t end) {
    constexpr std::int64_t lanes = 8;
    std::array<double, lanes> sums{};
    std::int64_t i = begin;
    const auto product = [&](std::int64_t at) {
      return static_cast<double>(dy.data()[at]) * static_cast<double>(x.data()[at]);
    };
    for (; i + lanes <= end; i += lanes) {
      for (std::int64_t lane = 0; lane < lanes; ++lane) {
        sums[static_cast<std::size_t>(lane)] += product(i + lane);
      }
    }
    for (; i < end; ++i) sums[0] += product(i);
    double& sum = partial[static_cast<std::size_t>(begin / grain)];
    for (const double lane : sums) sum += lane;
  });
  double sum = 0.0;
  for (const double chunk : partial) sum += chunk;
  return sum;
}

/// dalpha[i] += p[i] (s[i] - sum_k p[k] s[k]), p = softmax(alpha), s as `mixture_slope` says.
template <class T>
void mixture_backward_alpha(TensorView<T> dalpha, TensorView<const std::type_identity_t<T>> p,
                            std::span<const double> slopes) {
  const Shape shape{static_cast<std::int64_t>(slopes.size())};
  detail::require_shape("mixture_backward", "p", p, shape);
  detail::require_shape("mixture_backward", "dalpha", dalpha, shape);
  double mean = 0.0;
  for (std::size_t i = 0; i < slopes.size(); ++i) {
    mean += static_cast<double>(p.data()[i]) * slopes[i];
  }
  for (std::size_t i = 0; i < slopes.size(); ++i) {
    dalpha.data()[i] += static_cast<T>(static_cast<double>(p.data()[i]) * (slopes[i] - mean));
  }
}

}  // namespace bitdial::inline BITDIAL_ABI::ops
