// SPDX-License-Identifier: Apache-2.0
// Concatenation of channels on tape handles.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <utility>
#include <vector>

#include <bitdial/autodiff/tape.hpp>
#include <bitdial/ops/concat.hpp>

namespace bitdial::inline BITDIAL_ABI::ad {

/// The channels of all parts, one part after the other: [..., C1], [..., C2], ... give
/// [..., C1 + C2 + ...].
///
/// Streamed parts are computed straight into their place. Throws `ConfigError` without parts and
/// `ShapeError` for parts that differ in more than their channels.
template <class T>
BasicVar<T> concat_channels(std::span<const BasicVar<T>> parts) {
  if (parts.empty()) throw ConfigError("concat: at least one part is needed, there is none");
  BasicTape<T>& tape = parts.front().tape();
  const Shape& front = parts.front().shape();
  std::int64_t all = 0;
  for (const BasicVar<T>& part : parts) all += part.shape().rank() > 0 ? part.shape().back() : 0;
  Tensor<T> y(front.with(front.rank() - 1, all), Uninitialized{});
  std::int64_t first = 0;
  for (const BasicVar<T>& part : parts) {
    ops::detail::require_channels("concat", part.shape(), y.shape(), first);
    const std::int64_t channels = part.shape().back();
    const Reader<T> read = tape.reader(part);
    for_each_piece<T>(part.shape(), [&](std::int64_t begin, std::int64_t end, T* scratch) {
      const std::int64_t rows = (end - begin) / channels;
      ops::concat_forward(TensorView<T>(y.data() + begin / channels * all, {rows, all}),
                          TensorView<const T>(read(begin, end, scratch), {rows, channels}), first);
    });
    first += channels;
  }
  return tape.record(
      "concat", std::move(y), parts,
      [inputs = std::vector<BasicVar<T>>(parts.begin(), parts.end())](TensorView<const T> dy) {
        std::int64_t channel = 0;
        for (const BasicVar<T>& x : inputs) {
          if (x.needs_grad()) ops::concat_backward(x.tape().accumulate(x), dy, channel);
          channel += x.shape().back();
        }
      });
}
template <class T>
BasicVar<T> concat_channels(std::initializer_list<BasicVar<T>> parts) {
  return concat_channels(std::span<const BasicVar<T>>(parts.begin(), parts.size()));
}

}  // namespace bitdial::inline BITDIAL_ABI::ad
