// SPDX-License-Identifier: Apache-2.0
// A softmax-weighted mean of tape values.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <bitdial/autodiff/tape.hpp>
#include <bitdial/ops/add.hpp>
#include <bitdial/ops/mixture.hpp>

namespace bitdial::inline BITDIAL_ABI::ad {

/// y = sum_i softmax(alpha)[i] x_i: alpha [n], n terms of equal shape.
///
///   dalpha[i] = p[i] (s_i - sum_k p[k] s_k), s_i = <dy, x_i>;   dx_i = p[i] dy.
///
/// Terms are read again for the derivative: streamed ones are computed twice, not stored.
/// Throws `ShapeError` for other shapes. Source: EdMIPS, arXiv 2004.05795.
template <class T>
BasicVar<T> mixture(BasicVar<T> alpha, std::span<const BasicVar<T>> x) {
  if (x.empty()) throw ConfigError("mixture: at least one term is needed, there is none");
  const Shape& shape = x.front().shape();
  if (alpha.shape() != Shape{static_cast<std::int64_t>(x.size())}) {
    throw ShapeError(concat("mixture: alpha must be [", x.size(), "], it is ", alpha.shape()));
  }
  BasicTape<T>& tape = alpha.tape();
  std::vector<Reader<T>> terms;
  for (const BasicVar<T>& term : x) {
    if (term.shape() != shape) {
      throw ShapeError(concat("mixture: every term must be ", shape, ", one is ", term.shape()));
    }
    terms.push_back(tape.reader(term));
  }
  Tensor<T> p(alpha.shape());
  ops::mixture_shares(p.view(), alpha.value().view());
  Tensor<T> y(shape);
  for_each_piece<T>(shape, [&](std::int64_t begin, std::int64_t end, T* scratch) {
    for (std::size_t i = 0; i < terms.size(); ++i) {
      ops::mixture_add(end - begin, y.data() + begin, terms[i](begin, end, scratch),
                       p[static_cast<std::int64_t>(i)]);
    }
  });
  const auto learning = std::ranges::find_if(x, &BasicVar<T>::needs_grad);
  return tape.record("mixture", std::move(y), {alpha, learning == x.end() ? x.front() : *learning},
                     [alpha, terms = std::move(terms), p = std::move(p),
                      x = std::vector<BasicVar<T>>(x.begin(), x.end())](TensorView<const T> dy) {
                       BasicTape<T>& to = alpha.tape();
                       if (alpha.needs_grad()) {
                         std::vector<double> slopes;
                         for (const Reader<T>& term : terms) {
                           slopes.push_back(ops::mixture_slope(dy, term.all().view()));
                         }
                         ops::mixture_backward_alpha(to.accumulate(alpha), p.view(), slopes);
                       }
                       for (std::size_t i = 0; i < x.size(); ++i) {
                         if (!x[i].needs_grad()) continue;
                         Tensor<T> dx(dy.shape(), Uninitialized{});
                         ops::scale_forward(dx.view(), dy, p[static_cast<std::int64_t>(i)]);
                         to.give(x[i], BasicGradient<T>(std::move(dx)));
                       }
                     });
}

}  // namespace bitdial::inline BITDIAL_ABI::ad
