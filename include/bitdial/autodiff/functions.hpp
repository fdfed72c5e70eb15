// SPDX-License-Identifier: Apache-2.0
// The operations of a network on tape handles. Each function runs the forward half of its pair in
// ops/ and records the backward half.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <bitdial/autodiff/tape.hpp>
#include <bitdial/ops/activation.hpp>
#include <bitdial/ops/add.hpp>
#include <bitdial/ops/batch_norm.hpp>
#include <bitdial/ops/conv2d.hpp>
#include <bitdial/ops/fake_quantize.hpp>
#include <bitdial/ops/grouped_conv2d.hpp>
#include <bitdial/ops/linear.hpp>
#include <bitdial/ops/losses.hpp>
#include <bitdial/ops/pooling.hpp>

namespace bitdial::inline BITDIAL_ABI::ad {

namespace detail {

/// The gradient of x to add to, or an empty view when x needs none.
template <class T>
[[nodiscard]] TensorView<T> grad_of(BasicVar<T> x) {
  return x.needs_grad() ? x.tape().accumulate(x) : TensorView<T>{};
}

/// Keeps the values that a recorded derivative will read.
template <class T>
void keep(BasicVar<T> y, std::initializer_list<BasicVar<T>> read) {
  if (!y.needs_grad()) return;
  for (const BasicVar<T>& x : read) y.tape().keep(x);
}

}  // namespace detail

/// `ops::conv2d_forward`: x [N, H, W, Cin], w [Cout, kh, kw, Cin] -> [N, OH, OW, Cout].
template <class T>
BasicVar<T> conv2d(BasicVar<T> x, BasicVar<T> w, const ops::Window& window) {
  Tensor<T> y(ops::conv2d_output_shape(x.shape(), w.shape(), window), Uninitialized{});
  ops::conv2d_forward(y.view(), x.value().view(), w.value().view(), window);
  const auto result =
      x.tape().record("conv2d", std::move(y), {x, w}, [x, w, window](TensorView<const T> dy) {
        if (w.needs_grad()) {
          ops::conv2d_backward_weight(x.tape().accumulate(w), dy, x.value().view(), window);
        }
        if (x.needs_grad()) {
          ops::conv2d_backward_input(x.tape().accumulate(x), dy, w.value().view(), window);
        }
      });
  if (w.needs_grad()) detail::keep(result, {x});
  if (x.needs_grad()) detail::keep(result, {w});
  return result;
}

/// `ops::grouped_conv2d_forward`: x [N, H, W, Cin], w [Cout, kh, kw, Cin / groups] ->
/// [N, OH, OW, Cout]; depthwise when Cin = Cout = groups.
template <class T>
BasicVar<T> grouped_conv2d(BasicVar<T> x, BasicVar<T> w, const ops::Window& window,
                           std::int64_t groups) {
  Tensor<T> y(ops::grouped_conv2d_output_shape(x.shape(), w.shape(), window, groups),
              Uninitialized{});
  ops::grouped_conv2d_forward(y.view(), x.value().view(), w.value().view(), window, groups);
  const auto result = x.tape().record(
      "grouped_conv2d", std::move(y), {x, w}, [x, w, window, groups](TensorView<const T> dy) {
        if (w.needs_grad()) {
          ops::grouped_conv2d_backward_weight(x.tape().accumulate(w), dy, x.value().view(), window,
                                              groups);
        }
        if (x.needs_grad()) {
          ops::grouped_conv2d_backward_input(x.tape().accumulate(x), dy, w.value().view(), window,
                                             groups);
        }
      });
  if (w.needs_grad()) detail::keep(result, {x});
  if (x.needs_grad()) detail::keep(result, {w});
  return result;
}

/// y = x w^T + bias: x [N, in], w [out, in], bias [out] -> [N, out].
template <class T>
BasicVar<T> linear(BasicVar<T> x, BasicVar<T> w, BasicVar<T> bias) {
  Tensor<T> y({x.shape()[0], w.shape()[0]}, Uninitialized{});
  ops::linear_forward(y.view(), x.value().view(), w.value().view(), bias.value().view());
  const auto result =
      x.tape().record("linear", std::move(y), {x, w, bias}, [x, w, bias](TensorView<const T> dy) {
        if (bias.needs_grad()) ops::linear_backward_bias(x.tape().accumulate(bias), dy);
        if (w.needs_grad()) {
          ops::linear_backward_weight(x.tape().accumulate(w), dy, x.value().view());
        }
        if (x.needs_grad()) {
          ops::linear_backward_input(x.tape().accumulate(x), dy, w.value().view());
        }
      });
  detail::keep(result, {x, w});
  return result;
}

/// y = x w^T.
template <class T>
BasicVar<T> linear(BasicVar<T> x, BasicVar<T> w) {
  return linear(x, w, x.tape().constant(Tensor<T>({w.shape()[0]})));
}

/// `ops::batch_norm_forward` with the statistics of the batch; moves the running statistics.
template <class T>
BasicVar<T> batch_norm(BasicVar<T> x, BasicVar<T> gamma, BasicVar<T> beta, Tensor<T>& running_mean,
                       Tensor<T>& running_var, const ops::BatchNormOptions& options = {}) {
  Tensor<T> y(x.shape(), Uninitialized{});
  Tensor<T> mean(gamma.shape());
  Tensor<T> inv_std(gamma.shape());
  ops::batch_norm_forward(y.view(), mean.view(), inv_std.view(), running_mean.view(),
                          running_var.view(), x.value().view(), gamma.value().view(),
                          beta.value().view(), options);
  const auto result =
      x.tape().record("batch_norm", std::move(y), {x, gamma, beta},
                      [x, gamma, beta, mean = std::move(mean),
                       inv_std = std::move(inv_std)](TensorView<const T> dy) {
                        ops::batch_norm_backward(detail::grad_of(x), detail::grad_of(gamma),
                                                 detail::grad_of(beta), dy, x.value().view(),
                                                 gamma.value().view(), mean.view(), inv_std.view());
                      });
  detail::keep(result, {x, gamma});
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
  if (g.needs_grad()) detail::keep(result, {x});
  detail::keep(result, {g});
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

/// max(x, 0).
template <class T>
BasicVar<T> relu(BasicVar<T> x) {
  Tensor<T> y(x.shape(), Uninitialized{});
  ops::relu_forward(y.view(), x.value().view());
  BasicTape<T>& tape = x.tape();
  // The derivative reads its own result, whose handle is known before it is recorded.
  const BasicVar<T> result = tape.next();
  tape.record("relu", std::move(y), {x}, [x, result](TensorView<const T> dy) {
    ops::relu_backward(x.tape().accumulate(x), dy, result.value().view());
  });
  detail::keep(result, {result});
  return result;
}

/// a + b, equal shapes.
template <class T>
BasicVar<T> add(BasicVar<T> a, BasicVar<T> b) {
  Tensor<T> y(a.shape(), Uninitialized{});
  ops::add_forward(y.view(), a.value().view(), b.value().view());
  return a.tape().record("add", std::move(y), {a, b}, [a, b](TensorView<const T> dy) {
    if (a.needs_grad()) ops::add_backward(a.tape().accumulate(a), dy);
    if (b.needs_grad()) ops::add_backward(b.tape().accumulate(b), dy);
  });
}

/// factor * x.
template <class T>
BasicVar<T> scale(BasicVar<T> x, std::type_identity_t<T> factor) {
  Tensor<T> y(x.shape(), Uninitialized{});
  ops::scale_forward(y.view(), x.value().view(), factor);
  return x.tape().record("scale", std::move(y), {x}, [x, factor](TensorView<const T> dy) {
    ops::scale_backward(x.tape().accumulate(x), dy, factor);
  });
}

/// The sum of one or more terms of equal shape, such as losses, added from left to right.
template <class T>
BasicVar<T> sum(std::span<const BasicVar<T>> terms) {
  if (terms.empty()) throw ConfigError("sum: at least one term is needed, there is none");
  BasicVar<T> total = terms.front();
  for (const BasicVar<T>& term : terms.subspan(1)) total = add(total, term);
  return total;
}
template <class T>
BasicVar<T> sum(std::initializer_list<BasicVar<T>> terms) {
  return sum(std::span<const BasicVar<T>>(terms.begin(), terms.size()));
}

/// `ops::max_pool2d_forward`.
template <class T>
BasicVar<T> max_pool2d(BasicVar<T> x, const ops::Window& window) {
  const Shape shape = ops::pool2d_output_shape("max_pool2d", x.shape(), window);
  Tensor<T> y(shape, Uninitialized{});
  Tensor<std::int32_t> argmax(shape);
  ops::max_pool2d_forward(y.view(), argmax.view(), x.value().view(), window);
  return x.tape().record("max_pool2d", std::move(y), {x},
                         [x, argmax = std::move(argmax)](TensorView<const T> dy) {
                           ops::max_pool2d_backward(x.tape().accumulate(x), dy, argmax.view());
                         });
}

/// `ops::average_pool2d_forward`.
template <class T>
BasicVar<T> average_pool2d(BasicVar<T> x, const ops::Window& window) {
  Tensor<T> y(ops::pool2d_output_shape("average_pool2d", x.shape(), window), Uninitialized{});
  ops::average_pool2d_forward(y.view(), x.value().view(), window);
  return x.tape().record("average_pool2d", std::move(y), {x}, [x, window](TensorView<const T> dy) {
    ops::average_pool2d_backward(x.tape().accumulate(x), dy, window);
  });
}

/// [N, H, W, C] -> [N, C], the mean over pixels.
template <class T>
BasicVar<T> global_average_pool(BasicVar<T> x) {
  if (x.shape().rank() != 4) {
    throw ShapeError(concat("global_average_pool: x must be [N, H, W, C], it is ", x.shape()));
  }
  Tensor<T> y({x.shape()[0], x.shape()[3]}, Uninitialized{});
  ops::global_average_pool_forward(y.view(), x.value().view());
  return x.tape().record("global_average_pool", std::move(y), {x}, [x](TensorView<const T> dy) {
    ops::global_average_pool_backward(x.tape().accumulate(x), dy);
  });
}

/// The mean cross-entropy of softmax(logits) with labels, one element. Labels are copied.
template <class T>
BasicVar<T> softmax_cross_entropy(BasicVar<T> logits, std::span<const std::int32_t> labels) {
  Tensor<T> loss({1});
  Tensor<T> p(logits.shape());
  ops::softmax_cross_entropy_forward(loss.view(), p.view(), logits.value().view(), labels);
  return logits.tape().record(
      "softmax_cross_entropy", std::move(loss), {logits},
      [logits, p = std::move(p),
       saved = std::vector<std::int32_t>(labels.begin(), labels.end())](TensorView<const T> dy) {
        ops::softmax_cross_entropy_backward(logits.tape().accumulate(logits), dy, p.view(), saved);
      });
}

/// `ops::soft_cross_entropy_forward` against a teacher's distribution, which is copied and gets no
/// gradient.
template <class T>
BasicVar<T> soft_cross_entropy(BasicVar<T> logits,
                               TensorView<const std::type_identity_t<T>> teacher,
                               const ops::DistillationOptions& options = {}) {
  Tensor<T> loss({1});
  Tensor<T> p(logits.shape());
  ops::soft_cross_entropy_forward(loss.view(), p.view(), logits.value().view(), teacher, options);
  Tensor<T> t(teacher.shape());
  std::copy_n(teacher.data(), teacher.size(), t.data());
  return logits.tape().record(
      "soft_cross_entropy", std::move(loss), {logits},
      [logits, p = std::move(p), t = std::move(t), options](TensorView<const T> dy) {
        ops::soft_cross_entropy_backward(logits.tape().accumulate(logits), dy, p.view(), t.view(),
                                         options);
      });
}

/// `ops::kl_divergence_forward` from a teacher's distribution, which is copied and gets no
/// gradient.
template <class T>
BasicVar<T> kl_divergence(BasicVar<T> logits, TensorView<const std::type_identity_t<T>> teacher,
                          const ops::DistillationOptions& options = {}) {
  Tensor<T> loss({1});
  Tensor<T> p(logits.shape());
  ops::kl_divergence_forward(loss.view(), p.view(), logits.value().view(), teacher, options);
  Tensor<T> t(teacher.shape());
  std::copy_n(teacher.data(), teacher.size(), t.data());
  return logits.tape().record(
      "kl_divergence", std::move(loss), {logits},
      [logits, p = std::move(p), t = std::move(t), options](TensorView<const T> dy) {
        ops::kl_divergence_backward(logits.tape().accumulate(logits), dy, p.view(), t.view(),
                                    options);
      });
}

/// The quantizer's `fake_quantize` with its declared surrogate derivative (straight-through or
/// other). `state` is what `quantizer.fit` measured, `bits` 1..8 or 32, the policy's real-valued
/// path. Quantizer and state are copied.
template <class Quantizer>
Var fake_quantize(Var x, const Quantizer& quantizer, const typename Quantizer::State& state,
                  int bits) {
  Tensor<float> y(x.shape(), Uninitialized{});
  ops::fake_quantize_forward(y.view(), x.value().view(), quantizer, state, bits);
  const Var result = x.tape().record(
      "fake_quantize", std::move(y), {x}, [x, quantizer, state, bits](TensorView<const float> dy) {
        ops::fake_quantize_backward(x.tape().accumulate(x), dy, x.value().view(), quantizer, state,
                                    bits);
      });
  detail::keep(result, {x});
  return result;
}

/// The same with a state measured on x.
template <class Quantizer>
Var fake_quantize(Var x, const Quantizer& quantizer, int bits) {
  return fake_quantize(x, quantizer, quantizer.fit(x.value().span()), bits);
}

}  // namespace bitdial::inline BITDIAL_ABI::ad
