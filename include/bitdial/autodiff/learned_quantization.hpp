// SPDX-License-Identifier: Apache-2.0
// Fake-quantization on the tape with learned numbers, and with a state per filter.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <bitdial/autodiff/functions.hpp>

namespace bitdial::inline BITDIAL_ABI::ad {

/// `fake_quantize` of every filter of w `[filters, ...]` as a tensor with a state of its own. w is
/// kept.
template <class Quantizer>
Var filterwise_fake_quantize(Var w, const Quantizer& quantizer,
                             std::vector<typename Quantizer::State> states, int bits) {
  const auto size =
      static_cast<std::size_t>(w.shape().size()) / std::max<std::size_t>(1, states.size());
  Tensor<float> y(w.shape(), Uninitialized{});
  const std::span<const float> values = w.value().span();
  for (std::size_t i = 0; i < states.size(); ++i) {
    quantizer.fake_quantize(values.subspan(i * size, size), states[i], bits,
                            y.span().subspan(i * size, size));
  }
  const Var result = w.tape().record(
      "filterwise fake_quantize", std::move(y), {w},
      [w, quantizer, size, bits, states = std::move(states)](Gradient& dy) {
        const std::span<const float> x = w.value().span();
        Tensor<float>& gradient = dy.values();
        for (std::size_t i = 0; i < states.size(); ++i) {
          const std::span<float> part = gradient.span().subspan(i * size, size);
          quantizer.backward(x.subspan(i * size, size), part, states[i], bits, part);
        }
        w.tape().give(w, std::move(dy));
      });
  detail::keep(result, {w});
  return result;
}

/// `fake_quantize` with learned numbers: `learned` are the tape's parameters in the order of the
/// policy's `parameters`, 1 to 3 of them, and `state` holds their values. Their gradients are those
/// of `quantizer.gradients`. x is kept.
template <class Quantizer>
Var learned_fake_quantize(Var x, std::span<const Var> learned, const Quantizer& quantizer,
                          const typename Quantizer::State& state, int bits) {
  BITDIAL_ASSERT(!learned.empty() && learned.size() <= 3);
  const Reader<float> read = x.tape().reader(x);
  Tensor<float> y(x.shape(), Uninitialized{});
  {
    const Whole<float> values = read.all();
    quantizer.fake_quantize(values.view().span(), state, bits, y.span());
  }
  const std::vector<Var> numbers(learned.begin(), learned.end());
  return x.tape().record(
      "learned fake_quantize", std::move(y),
      {x, learned.front(), learned[learned.size() / 2], learned.back()},
      [x, numbers, quantizer, state, bits, read](Gradient& dy) {
        const Whole<float> values = read.all();
        Tensor<float>& gradient = dy.values();
        auto by_numbers = quantizer.gradients(values.view().span(), gradient.span(), state, bits);
        for (std::size_t i = 0; i < numbers.size(); ++i) {
          float* const to = x.tape().accumulate(numbers[i]).data();
          const std::span<const float> from = Quantizer::parameters()[i].numbers(by_numbers);
          for (std::size_t k = 0; k < from.size(); ++k) to[k] += from[k];
        }
        if (!x.needs_grad()) return;
        quantizer.backward(values.view().span(), gradient.span(), state, bits, gradient.span());
        x.tape().give(x, std::move(dy));
      });
}

}  // namespace bitdial::inline BITDIAL_ABI::ad
