// SPDX-License-Identifier: Apache-2.0
// Batch normalisation on tape handles: with the statistics of the batch, and folded.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include <bitdial/autodiff/tape.hpp>
#include <bitdial/ops/batch_norm.hpp>
#include <bitdial/ops/bit_mask.hpp>
#include <bitdial/ops/gemm.hpp>
#include <bitdial/ops/gradient_sums.hpp>

namespace bitdial::inline BITDIAL_ABI::ad {

namespace detail {

/// The gradient of x to add to, or an empty view when x needs none.
template <class T>
[[nodiscard]] TensorView<T> grad_of(BasicVar<T> x) {
  return x.needs_grad() ? x.tape().accumulate(x) : TensorView<T>{};
}

/// For the gradient of a normalised x: the sums that its derivative needs, unless it must compute
/// x first.
template <class T>
[[nodiscard]] std::shared_ptr<ops::GradientSums> sums_for(BasicVar<T> x, const Reader<T>& read,
                                                          const Tensor<T>& mean) {
  if constexpr (std::is_same_v<T, float>) {
    if (read.is_stored() && ops::BatchNormSlope<T>::takes_mask(x.shape().back())) {
      std::vector<float> shift(static_cast<std::size_t>(mean.size()));
      std::ranges::transform(mean.span(), shift.begin(), std::negate{});
      return std::make_shared<ops::GradientSums>(read.all().view().data(), std::move(shift));
    }
  }
  return nullptr;
}

}  // namespace detail

/// `ops::batch_norm_forward` with the statistics of the batch, of all parts of it where the tape
/// has a group; moves the running statistics. The result is streamed: x is kept, y is computed
/// where it is read.
template <class T>
BasicVar<T> batch_norm(BasicVar<T> x, BasicVar<T> gamma, BasicVar<T> beta, Tensor<T>& running_mean,
                       Tensor<T>& running_var, const ops::BatchNormOptions& options = {}) {
  Tensor<T> mean(gamma.shape());
  Tensor<T> inv_std(gamma.shape());
  const auto moments = x.tape().take_moments(x);
  auto map = ops::batch_norm_map(mean.view(), inv_std.view(), running_mean.view(),
                                 running_var.view(), x.value().view(), gamma.value().view(),
                                 beta.value().view(), options, x.tape().group(), moments.get());
  const Reader<T> read = x.tape().reader(x);
  const auto sums = detail::sums_for(x, read, mean);
  const auto result = x.tape().record(
      "batch_norm", x.shape(),
      [read, map = std::move(map)](std::int64_t begin, std::int64_t end, T* to) {
        map.apply(end - begin, to, read(begin, end, to));
      },
      BasicTape<T>::Cost::small, {x, gamma, beta},
      [x, gamma, beta, read, sums, mean = std::move(mean),
       inv_std = std::move(inv_std)](BasicGradient<T>& dy) {
        const Whole<T> values = read.all();
        std::shared_ptr<const ops::BitMask> mask;
        if (ops::BatchNormSlope<T>::takes_mask(x.shape().back())) mask = dy.take_mask();
        const bool is_summed = sums != nullptr && sums->are_known();
        const bool in_place = !is_summed && dy.waits() && dy.size() < BasicGradient<T>::large;
        if (in_place) dy.own();
        auto slope = std::make_shared<const ops::BatchNormSlope<T>>(
            detail::grad_of(gamma), detail::grad_of(beta),
            [&dy, in_place](std::int64_t begin, std::int64_t end) {
              if (in_place) return dy.take(begin, end);
              return dy.read(begin, end, ops::detail::gemm_scratch<T, 11>(end - begin));
            },
            values.view(), gamma.value().view(), mean.view(), inv_std.view(), x.tape().group(),
            std::move(mask), is_summed ? sums.get() : nullptr);
        if (in_place) dy.all_taken();
        if (!x.needs_grad()) return;
        dy.then([slope = std::move(slope), read](std::int64_t begin, std::int64_t end,
                                                 const T* from, T* to) {
          const auto size = static_cast<std::size_t>(end - begin);
          AlignedBuffer<T> scratch(read.is_stored() ? 0 : size, Uninitialized{});
          slope->apply(begin, end, to, from, read(begin, end, scratch.data()));
        });
        x.tape().give(x, std::move(dy));
      });
  x.tape().attach(result, sums);
  result.tape().keep(result, {gamma});
  return result;
}

/// y = fma(x, g, h) per channel: x [..., C], g and h [C].
template <class T>
BasicVar<T> scale_shift(BasicVar<T> x, BasicVar<T> g, BasicVar<T> h) {
  Tensor<T> y(x.shape(), Uninitialized{});
  ops::scale_shift_forward(y.view(), x.value().view(), g.value().view(), h.value().view());
  const auto result =
      x.tape().record("scale_shift", std::move(y), {x, g, h}, [x, g, h](TensorView<const T> dy) {
        ops::scale_shift_backward(detail::grad_of(x), detail::grad_of(g), detail::grad_of(h), dy,
                                  g.needs_grad() ? x.value().view() : TensorView<const T>{},
                                  g.value().view());
      });
  if (g.needs_grad()) result.tape().keep(result, {x});
  result.tape().keep(result, {g});
  return result;
}

/// Batch normalisation in evaluation: fixed statistics, folded by `ops::fold_batch_norm` into
/// constants g, h, then y = fma(x, g, h). Gamma and beta get no gradient here.
template <class T>
BasicVar<T> batch_norm_eval(BasicVar<T> x, const Tensor<T>& gamma, const Tensor<T>& beta,
                            const Tensor<T>& mean, const Tensor<T>& var, double epsilon = 1e-5) {
  Tensor<T> g(gamma.shape());
  Tensor<T> h(gamma.shape());
  ops::fold_batch_norm(g.view(), h.view(), gamma.view(), beta.view(), mean.view(), var.view(),
                       epsilon);
  BasicTape<T>& tape = x.tape();
  return scale_shift(x, tape.constant(std::move(g)), tape.constant(std::move(h)));
}

}  // namespace bitdial::inline BITDIAL_ABI::ad
