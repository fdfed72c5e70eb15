// SPDX-License-Identifier: Apache-2.0
// Convolutions on tape handles: of values, and of codes where the operands are streamed from them.
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#include <bitdial/autodiff/tape.hpp>
#include <bitdial/ops/conv2d.hpp>
#include <bitdial/ops/grouped_conv2d.hpp>
#include <bitdial/ops/qconv2d.hpp>

namespace bitdial::inline BITDIAL_ABI::ad {

namespace detail {

[[nodiscard]] inline ops::CodesView view(const Codes& codes) noexcept {
  return {codes.values.view(), codes.levels, codes.bits};
}

template <class T>
void conv2d_sums(TensorView<T> y, const Reader<T>& x, const Reader<T>& w, const ops::Window& window,
                 bool in_integers, ops::Sums sums) {
  if constexpr (std::is_same_v<T, float>) {
    if (in_integers && x.codes() != nullptr && w.codes() != nullptr &&
        ops::sums_fit_int32(view(*x.codes()), view(*w.codes()))) {
      return ops::qconv2d_forward(y, view(*x.codes()), view(*w.codes()), window);
    }
  }
  ops::conv2d_forward(y, x.all().view(), w.all().view(), window, sums);
}

template <class T>
void conv2d_weight_gradient(TensorView<T> dw, TensorView<const T> dy, const Reader<T>& x,
                            const ops::Window& window, ops::Products products) {
  if constexpr (std::is_same_v<T, float>) {
    if (x.codes() != nullptr) {
      return ops::qconv2d_backward_weight(dw, dy, view(*x.codes()), window, products);
    }
  }
  ops::conv2d_backward_weight(dw, dy, x.all().view(), window, products);
}

}  // namespace detail

/// `ops::conv2d_forward`: x [N, H, W, Cin], w [Cout, kh, kw, Cin] -> [N, OH, OW, Cout].
///
/// Operands that are streamed from codes with integer levels are convolved as integers, exactly
/// (`ops::qconv2d_forward`), where the sums fit 32 bits and the tape's `integer_forward` is on.
/// Others take `ops::Sums::fewest_products` where a gradient is needed, else exact chains.
template <class T>
BasicVar<T> conv2d(BasicVar<T> x, BasicVar<T> w, const ops::Window& window) {
  BasicTape<T>& tape = x.tape();
  const Reader<T> read_x = tape.reader(x);
  const Reader<T> read_w = tape.reader(w);
  Tensor<T> y(ops::conv2d_output_shape(x.shape(), w.shape(), window), Uninitialized{});
  const bool is_trained = x.needs_grad() || w.needs_grad();
  detail::conv2d_sums(y.view(), read_x, read_w, window, tape.integer_forward(),
                      is_trained ? ops::Sums::fewest_products : ops::Sums::chains);
  return tape.record(
      "conv2d", std::move(y), {x, w}, [x, w, read_x, read_w, window](TensorView<const T> dy) {
        if (w.needs_grad()) {
          detail::conv2d_weight_gradient(x.tape().accumulate(w), dy, read_x, window,
                                         x.tape().gradient_products());
        }
        if (x.needs_grad()) {
          x.tape().contribute(x, [&](TensorView<T> dx, bool accumulate) {
            ops::conv2d_backward_input(
                dx, dy, read_w.all().view(), window,
                {.accumulate = accumulate, .products = x.tape().gradient_products()});
          });
        }
      });
}

/// `ops::grouped_conv2d_forward`: x [N, H, W, Cin], w [Cout, kh, kw, Cin / groups] ->
/// [N, OH, OW, Cout]; depthwise when Cin = Cout = groups.
template <class T>
BasicVar<T> grouped_conv2d(BasicVar<T> x, BasicVar<T> w, const ops::Window& window,
                           std::int64_t groups) {
  BasicTape<T>& tape = x.tape();
  const Reader<T> read_x = tape.reader(x);
  const Reader<T> read_w = tape.reader(w);
  Tensor<T> y(ops::grouped_conv2d_output_shape(x.shape(), w.shape(), window, groups),
              Uninitialized{});
  ops::grouped_conv2d_forward(y.view(), read_x.all().view(), read_w.all().view(), window, groups);
  return tape.record(
      "grouped_conv2d", std::move(y), {x, w},
      [x, w, read_x, read_w, window, groups](TensorView<const T> dy) {
        if (w.needs_grad()) {
          ops::grouped_conv2d_backward_weight(x.tape().accumulate(w), dy, read_x.all().view(),
                                              window, groups, x.tape().gradient_products());
        }
        if (x.needs_grad()) {
          x.tape().contribute(x, [&](TensorView<T> dx, bool accumulate) {
            ops::grouped_conv2d_backward_input(
                dx, dy, read_w.all().view(), window, groups,
                {.accumulate = accumulate, .products = x.tape().gradient_products()});
          });
        }
      });
}

}  // namespace bitdial::inline BITDIAL_ABI::ad
