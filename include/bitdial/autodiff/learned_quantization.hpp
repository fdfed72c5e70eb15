// SPDX-License-Identifier: Apache-2.0
// Fake-quantization on the tape with learned numbers, and with a state per filter.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <bitdial/autodiff/functions.hpp>
#include <bitdial/ops/bit_mask.hpp>
#include <bitdial/quant/learned_parameter.hpp>
#include <bitdial/quant/span_loops.hpp>

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
  result.tape().keep(result, {w});
  return result;
}

/// `fake_quantize` with learned numbers: `learned` are the tape's parameters in the order of the
/// policy's `parameters`, 1 to 3 of them, and `state` holds their values. Their gradients are those
/// of `quantizer.gradients`. x is kept.
template <class Quantizer>
Var learned_fake_quantize(Var x, std::span<const Var> learned, const Quantizer& quantizer,
                          const typename Quantizer::State& state, int bits) {
  BITDIAL_ASSERT(!learned.empty() && learned.size() <= 3);
  const std::vector<Var> numbers(learned.begin(), learned.end());
  return detail::record_quantized(
      "learned fake_quantize", x, {x, learned.front(), learned[learned.size() / 2], learned.back()},
      quantizer, state, bits, {},
      [x, numbers, quantizer, state, bits, read = x.tape().reader(x)](Gradient& dy) {
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

/// The same with one learned number, `level`, at which `quantizer.learned_clip(state)` clips: what
/// is kept of x is two bits per element, three where both sides move the level.
template <class Quantizer>
Var clip_fake_quantize(Var x, Var level, const Quantizer& quantizer,
                       const typename Quantizer::State& state, int bits) {
  const LearnedClip clip = quantizer.policy().learned_clip(state);
  const std::int64_t size = x.shape().size();
  const auto inside = std::make_shared<ops::BitMask>(size);
  const auto above = std::make_shared<ops::BitMask>(size);
  const auto below = clip.below == 0.0F ? nullptr : std::make_shared<ops::BitMask>(size);
  constexpr float infinity = std::numeric_limits<float>::infinity();
  // low < x < high, in bounds that are included.
  const float least = std::nextafter(clip.low, infinity);
  const float largest = std::nextafter(clip.high, -infinity);
  const auto mark = [=](std::int64_t begin, std::int64_t end, const float* values) {
    inside->write_between(begin, end, values, least, largest);
    above->write_between(begin, end, values, clip.high, infinity);
    if (below != nullptr) below->write_between(begin, end, values, -infinity, clip.low);
  };
  return detail::record_quantized(
      "clip fake_quantize", x, {x, level}, quantizer, state, bits, mark,
      [x, level, clip, inside, above, below](Gradient& dy) {
        const std::span<const float> gradient = dy.values().span();
        const double sum = bitdial::detail::reduce_chunks(
            gradient.size(), 0.0,
            [&](std::int64_t begin, std::int64_t end) {
              const float* const from = gradient.data() + begin;
              double part = static_cast<double>(clip.above) * above->sum(begin, end, from);
              if (below) part += static_cast<double>(clip.below) * below->sum(begin, end, from);
              return part;
            },
            std::plus{});
        x.tape().accumulate(level).data()[0] += static_cast<float>(sum);
        if (!x.needs_grad()) return;
        dy.gate(inside);
        x.tape().give(x, std::move(dy));
      });
}

}  // namespace bitdial::inline BITDIAL_ABI::ad
