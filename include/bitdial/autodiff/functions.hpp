// SPDX-License-Identifier: Apache-2.0
// The operations of a network on tape handles. Each function runs the forward half of its pair in
// ops/ and records the backward half.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <bitdial/autodiff/batch_norm.hpp>
#include <bitdial/autodiff/convolution.hpp>
#include <bitdial/autodiff/tape.hpp>
#include <bitdial/kernels/active.hpp>
#include <bitdial/ops/activation.hpp>
#include <bitdial/ops/add.hpp>
#include <bitdial/ops/bit_mask.hpp>
#include <bitdial/ops/detail/image_rows.hpp>
#include <bitdial/ops/fake_quantize.hpp>
#include <bitdial/ops/kurtosis.hpp>
#include <bitdial/ops/linear.hpp>
#include <bitdial/ops/losses.hpp>
#include <bitdial/ops/pooling.hpp>
#include <bitdial/quant/policy.hpp>
#include <bitdial/quant/precision.hpp>
#include <bitdial/quant/straight_through.hpp>

namespace bitdial::inline BITDIAL_ABI::ad {

/// y = x w^T + bias: x [N, in], w [out, in], bias [out] -> [N, out].
template <class T>
BasicVar<T> linear(BasicVar<T> x, BasicVar<T> w, BasicVar<T> bias) {
  BasicTape<T>& tape = x.tape();
  const Reader<T> read_x = tape.reader(x);
  const Reader<T> read_w = tape.reader(w);
  Tensor<T> y({x.shape()[0], w.shape()[0]}, Uninitialized{});
  ops::linear_forward(y.view(), read_x.all().view(), read_w.all().view(), bias.value().view());
  return tape.record(
      "linear", std::move(y), {x, w, bias}, [x, w, bias, read_x, read_w](TensorView<const T> dy) {
        if (bias.needs_grad()) {
          ops::linear_backward_bias(x.tape().accumulate(bias), dy);
        }
        if (w.needs_grad()) {
          ops::linear_backward_weight(x.tape().accumulate(w), dy, read_x.all().view());
        }
        if (x.needs_grad()) {
          ops::linear_backward_input(x.tape().accumulate(x), dy, read_w.all().view());
        }
      });
}

/// y = x w^T.
template <class T>
BasicVar<T> linear(BasicVar<T> x, BasicVar<T> w) {
  return linear(x, w, x.tape().constant(Tensor<T>({w.shape()[0]})));
}

/// `ops::Rectifier`: max(x, 0). What is kept is a bit per element. The result is streamed where x
/// is, and stored where it is not, or where streaming x again would cost much.
template <class T>
BasicVar<T> relu(BasicVar<T> x) {
  BasicTape<T>& tape = x.tape();
  const bool is_streamed = tape.is_streamed_at_small_cost(x);
  const auto mask = x.needs_grad() ? std::make_shared<ops::BitMask>(x.shape().size()) : nullptr;
  Stream<T> stream = [read = tape.read_once(x), mask](std::int64_t begin, std::int64_t end, T* to) {
    const T* const from = read(begin, end, to);
    if (mask != nullptr) return mask->rectify(begin, end, from, to);
    ops::detail::map_span(
        end - begin, to, [](T v) { return ops::Rectifier::map(v); }, from);
  };
  const auto backward = [x, mask](BasicGradient<T>& dy) {
    dy.gate(mask);
    x.tape().give(x, std::move(dy));
  };
  const BasicVar<T> y =
      is_streamed
          ? tape.record("relu", x.shape(), std::move(stream), BasicTape<T>::Cost::small, {x},
                        backward)
          : tape.record("relu", Reader<T>(x.shape(), std::move(stream)).computed(), {x}, backward);
  tape.pass_gated(y, x, mask);
  return y;
}

/// a + b, equal shapes. The sum is computed by its first reader, and stored unless that is `relu`.
template <class T>
BasicVar<T> add(BasicVar<T> a, BasicVar<T> b) {
  if (a.shape() != b.shape()) {
    throw ShapeError(concat("add: b must be ", a.shape(), ", it is ", b.shape()));
  }
  BasicTape<T>& tape = a.tape();
  return tape.record(
      "add", a.shape(),
      [read_a = tape.reader(a), read_b = b.tape().reader(b)](std::int64_t begin, std::int64_t end,
                                                             T* to) {
        const auto size = static_cast<std::size_t>(end - begin);
        AlignedBuffer<T> second(read_b.is_stored() ? 0 : size, Uninitialized{});
        const T* const u = read_a(begin, end, to);
        const T* const v = read_b(begin, end, second.data());
        if constexpr (std::is_same_v<T, float>) {
          ops::BitMask::add_gated(begin, end, nullptr, u, nullptr, v, to);
        } else {
          ops::detail::map_span(
              end - begin, to, [](T p, T q) { return p + q; }, u, v);
        }
      },
      BasicTape<T>::Cost::large, {a, b},
      [a, b](BasicGradient<T>& dy) {
        if (a.needs_grad() && b.needs_grad()) a.tape().give(a, dy.copy());
        a.tape().give(b.needs_grad() ? b : a, std::move(dy));
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

/// `ops::mean_squared_error_forward` from a teacher's logits, which are copied and get no gradient.
template <class T>
BasicVar<T> mean_squared_error(BasicVar<T> logits,
                               TensorView<const std::type_identity_t<T>> teacher) {
  Tensor<T> loss({1});
  ops::mean_squared_error_forward(loss.view(), logits.value().view(), teacher);
  Tensor<T> t(teacher.shape());
  std::copy_n(teacher.data(), teacher.size(), t.data());
  const auto result =
      logits.tape().record("mean_squared_error", std::move(loss), {logits},
                           [logits, t = std::move(t)](TensorView<const T> dy) {
                             ops::mean_squared_error_backward(logits.tape().accumulate(logits), dy,
                                                              logits.value().view(), t.view());
                           });
  result.tape().keep(result, {logits});
  return result;
}

/// `ops::kurtosis_penalty_forward`: (kurtosis(w) - target)^2, one element.
template <class T>
BasicVar<T> kurtosis_penalty(BasicVar<T> w, const ops::KurtosisOptions& options = {}) {
  Tensor<T> loss({1});
  ops::kurtosis_penalty_forward(loss.view(), w.value().view(), options);
  const auto result = w.tape().record(
      "kurtosis_penalty", std::move(loss), {w}, [w, options](TensorView<const T> dy) {
        ops::kurtosis_penalty_backward(w.tape().accumulate(w), dy, w.value().view(), options);
      });
  result.tape().keep(result, {w});
  return result;
}

namespace detail {

/// Is shown the elements begin .. end - 1 of a value; pieces are those of `for_each_piece`.
using Marker = std::function<void(std::int64_t begin, std::int64_t end, const float* values)>;

/// Records the fake-quantized x: streamed from its codes, one byte per element, and at 32 bits from
/// x itself. `mark(begin, end, values)`, where there is one, is shown every element of x once, in
/// pieces; all at once where a policy shifts x, by constants that depend on all of it.
template <class Quantizer>
Var record_quantized(std::string_view op, Var x, std::initializer_list<Var> inputs,
                     const Quantizer& quantizer, const typename Quantizer::State& state, int bits,
                     const Marker& mark, Tape::Backward backward) {
  Tape& tape = x.tape();
  const Reader<float> read = tape.reader(x);
  if (bits == real_valued_bits) {
    if (mark) {
      for_each_piece<float>(x.shape(), [&](std::int64_t begin, std::int64_t end, float* scratch) {
        mark(begin, end, read(begin, end, scratch));
      });
    }
    return tape.record(
        op, x.shape(),
        [read, quantizer, state, bits](std::int64_t begin, std::int64_t end, float* to) {
          const auto size = static_cast<std::size_t>(end - begin);
          quantizer.fake_quantize({read(begin, end, to), size}, state, bits, {to, size});
        },
        Tape::Cost::large, inputs, std::move(backward));
  }
  const std::optional<UniformSteps> steps = quantizer.uniform_steps(state, bits);
  const auto codes =
      std::make_shared<Codes>(Codes{Tensor<std::uint8_t>(x.shape(), Uninitialized{}), {}, bits});
  const auto encode = [&](std::int64_t begin, std::int64_t end, const float* from) {
    std::uint8_t* const to = codes->values.data() + begin;
    const auto size = static_cast<std::size_t>(end - begin);
    if (steps) {
      kernels::active_kernels().quantize(
          {.x = from, .count = end - begin, .steps = steps->code_steps(bits), .codes = to});
    } else {
      ops::encode({from, size}, quantizer, state, bits, {to, size});
    }
    if (mark) mark(begin, end, from);
  };
  using Policy = std::decay_t<decltype(quantizer.policy())>;
  if constexpr (ShiftedPolicy<Policy>) {
    encode(0, x.shape().size(), read.all().view().data());
  } else {
    for_each_piece<float>(x.shape(), [&](std::int64_t begin, std::int64_t end, float* scratch) {
      encode(begin, end, read(begin, end, scratch));
    });
  }
  if constexpr (AffinePolicy<Policy>) {
    codes->levels = quantizer.levels(state, bits);
    const Var y = tape.record(
        op, x.shape(),
        [codes](std::int64_t begin, std::int64_t end, float* to) {
          const ops::detail::CodedImages values{codes->values.data(), codes->levels};
          values.copy(begin, end - begin, to);
        },
        Tape::Cost::small, inputs, std::move(backward));
    tape.attach(y, codes);
    return y;
  } else {
    return tape.record(
        op, x.shape(),
        [codes, quantizer, state, bits](std::int64_t begin, std::int64_t end, float* to) {
          const auto size = static_cast<std::size_t>(end - begin);
          quantizer.decode({codes->values.data() + begin, size}, state, bits, {to, size});
        },
        Tape::Cost::small, inputs, std::move(backward));
  }
}

}  // namespace detail

/// The quantizer's `fake_quantize` with its declared surrogate derivative (straight-through or
/// other). `state` is what `quantizer.fit` measured, `bits` 1..8 or 32, the policy's real-valued
/// path. Quantizer and state are copied.
///
/// What is kept is one byte per element, its code, and a bit where the derivative is a gate (see
/// `GatedPolicy`); other derivatives keep x. The values are streamed from the codes.
template <class Quantizer>
Var fake_quantize(Var x, const Quantizer& quantizer, const typename Quantizer::State& state,
                  int bits) {
  const std::optional<ClampSurrogate> gate = quantizer.gate(bits);
  if (bits == real_valued_bits && gate && gate->passes_all()) return x;
  const bool is_gated = x.needs_grad() && gate && !gate->passes_all();
  const auto mask = is_gated ? std::make_shared<ops::BitMask>(x.shape().size()) : nullptr;
  detail::Marker mark;
  if (mask != nullptr) {
    mark = [mask, gate](std::int64_t begin, std::int64_t end, const float* values) {
      mask->write_between(begin, end, values, gate->low, gate->high);
    };
  }
  const Var y = detail::record_quantized(
      "fake_quantize", x, {x}, quantizer, state, bits, mark,
      [x, mask, gate, quantizer, state, bits,
       read = gate ? Reader<float>(Tensor<float>{}) : x.tape().reader(x)](Gradient& dy) {
        if (mask != nullptr) dy.gate(mask);
        if (!gate) {
          const Whole<float> values = read.all();
          Tensor<float>& dx = dy.values();
          ops::quantizer_backward(values.view().span(), quantizer, state, bits, dx.span());
        }
        x.tape().give(x, std::move(dy));
      });
  if (gate) x.tape().pass_gated(y, x, mask);
  return y;
}

/// The same with a state measured on x.
template <class Quantizer>
Var fake_quantize(Var x, const Quantizer& quantizer, int bits) {
  return fake_quantize(x, quantizer, quantizer.fit(x.value().span(), bits), bits);
}

}  // namespace bitdial::inline BITDIAL_ABI::ad
