// SPDX-License-Identifier: Apache-2.0
// Loops over long spans: vectorised inside a chunk, chunks over threads, and the same result for
// every number of threads.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <bitdial/core/assert.hpp>
#include <bitdial/core/config.hpp>
#include <bitdial/core/parallel.hpp>

namespace bitdial::inline BITDIAL_ABI::detail {

/// Elements per chunk. Part of the result of a floating-point sum: never derived from the machine.
inline constexpr std::int64_t span_grain = std::int64_t{1} << 14;

/// Elements per inner loop. A constant trip count and a local result that aliases nothing are what
/// lets a compiler vectorise at -O2 without run-time checks.
inline constexpr std::int64_t span_block = 64;

/// out[i] = f(in[i]...) for spans of equal length. `out` may be one of the inputs.
template <class Out, class F, class... In>
void transform_spans(std::span<Out> out, F f, std::span<const In>... in) {
  BITDIAL_ASSERT(((in.size() == out.size()) && ...));
  const auto apply = [f](Out* result, const In*... source) {
    std::array<Out, static_cast<std::size_t>(span_block)> block;
    for (std::size_t i = 0; i < block.size(); ++i) block[i] = f(source[i]...);
    std::copy_n(block.data(), block.size(), result);
  };
  parallel_for(static_cast<std::int64_t>(out.size()), span_grain,
               [&](std::int64_t begin, std::int64_t end) {
                 std::int64_t i = begin;
                 for (; i + span_block <= end; i += span_block) {
                   apply(out.data() + i, (in.data() + i)...);
                 }
                 for (; i < end; ++i) out.data()[i] = f(in.data()[i]...);
               });
}

/// combine(... combine(slot of chunk 0, slot of chunk 1) ...): each chunk is reduced to one slot by
/// `reduce(begin, end)`, slots are combined in order. `empty` is the result of no chunk.
template <class Slot, class Reduce, class Combine>
[[nodiscard]] Slot reduce_chunks(std::size_t size, Slot empty, Reduce reduce, Combine combine) {
  const auto count = static_cast<std::int64_t>(size);
  if (count == 0) return empty;
  std::vector<Slot> slots(static_cast<std::size_t>((count + span_grain - 1) / span_grain), empty);
  parallel_for(count, span_grain, [&](std::int64_t begin, std::int64_t end) {
    slots[static_cast<std::size_t>(begin / span_grain)] = reduce(begin, end);
  });
  Slot total = slots.front();
  for (std::size_t i = 1; i < slots.size(); ++i) total = combine(total, slots[i]);
  return total;
}

/// sum over i of f(in[i]...), an array of N doubles; equal for every number of threads.
template <std::size_t N, class F, class In, class... More>
[[nodiscard]] std::array<double, N> sum_spans(F f, std::span<const In> in,
                                              std::span<const More>... more) {
  BITDIAL_ASSERT(((more.size() == in.size()) && ...));
  using Sums = std::array<double, N>;
  const auto add = [](Sums total, const Sums& term) {
    for (std::size_t k = 0; k < N; ++k) total[k] += term[k];
    return total;
  };
  return reduce_chunks(
      in.size(), Sums{},
      [=](std::int64_t begin, std::int64_t end) {
        Sums sums{};
        for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
          sums = add(sums, f(in[i], more[i]...));
        }
        return sums;
      },
      add);
}

}  // namespace bitdial::inline BITDIAL_ABI::detail
