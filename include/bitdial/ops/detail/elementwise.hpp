// SPDX-License-Identifier: Apache-2.0
// Element-wise loops and per-channel sums in a form that compilers vectorise at -O2: fixed-length
// blocks into a local array, so that neither trip counts nor aliasing stand in the way.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include <bitdial/core/parallel.hpp>
#include <bitdial/core/rounding.hpp>

namespace bitdial::inline BITDIAL_ABI::ops::detail {

/// Elements per parallel chunk of element-wise work; fixed, so results never depend on threads.
inline constexpr std::int64_t elementwise_grain = 1 << 14;

/// out[i] = f(in[i]...) for i < n; `out` may be one of the inputs.
template <class Out, class F, class... In>
inline void map_span(std::int64_t n, Out* out, F f, const In*... in) {
  constexpr std::int64_t block = 16;
  std::int64_t i = 0;
  for (; i + block <= n; i += block) {
    std::array<Out, block> result;
    for (std::int64_t lane = 0; lane < block; ++lane) {
      result[static_cast<std::size_t>(lane)] = f(in[i + lane]...);
    }
    for (std::int64_t lane = 0; lane < block; ++lane) {
      out[i + lane] = result[static_cast<std::size_t>(lane)];
    }
  }
  for (; i < n; ++i) out[i] = f(in[i]...);
}

/// The same over threads.
template <class Out, class F, class... In>
void map(std::int64_t n, Out* out, F f, const In*... in) {
  parallel_for(n, elementwise_grain, [&](std::int64_t begin, std::int64_t end) {
    map_span(end - begin, out + begin, f, (in + begin)...);
  });
}

/// Rows of `channels` elements per parallel chunk.
[[nodiscard]] inline std::int64_t row_grain(std::int64_t channels) noexcept {
  return std::max<std::int64_t>(1, elementwise_grain / std::max<std::int64_t>(1, channels));
}

/// Calls row(r) for every row, over threads.
template <class Row>
void for_each_row(std::int64_t rows, std::int64_t channels, Row row) {
  parallel_for(rows, row_grain(channels), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) row(r);
  });
}

/// The pairs of sums of all slots, [slots, 2, width], added in order.
inline void add_slots(const std::vector<double>& slots, std::size_t width,
                      std::vector<double>& first, std::vector<double>& second) {
  first.assign(width, 0.0);
  second.assign(width, 0.0);
  for (std::size_t at = 0; at < slots.size(); at += 2 * width) {
    for (std::size_t c = 0; c < width; ++c) {
      first[c] += slots[at + c];
      second[c] += slots[at + width + c];
    }
  }
}

/// Two sums per channel over all rows: first[c] = sum_r a(r, c), second[c] = sum_r b(r, c), where
/// `term(r, c)` returns the pair {a, b}. `prepare(begin, end)` is called for each chunk of elements
/// before its terms; chunks are multiples of 128 elements, or end with the last one.
///
/// Eight rows are added in T, groups of rows in double, chunks in order: the result depends on
/// neither the thread count nor, beyond a few ulp, the number of rows.
template <class T, class Term, class Prepare>
void channel_sums(std::int64_t rows, std::int64_t channels, Term term, std::vector<double>& first,
                  std::vector<double>& second, Prepare prepare) {
  const auto width = static_cast<std::size_t>(channels);
  const std::int64_t unit = 128 / std::gcd(std::int64_t{128}, channels);
  const std::int64_t grain = round_up(4 * row_grain(channels), unit);
  const std::int64_t chunks = (rows + grain - 1) / grain;
  std::vector<double> partial(2 * width * static_cast<std::size_t>(chunks));
  parallel_for(rows, grain, [&](std::int64_t begin, std::int64_t end) {
    prepare(begin * channels, end * channels);
    double* const slot_a = partial.data() + 2 * width * static_cast<std::size_t>(begin / grain);
    double* const slot_b = slot_a + width;
    constexpr std::int64_t lanes = 8;
    constexpr std::int64_t group = 8;
    std::int64_t c = 0;
    for (; c + lanes <= channels; c += lanes) {
      std::array<double, lanes> total_a{};
      std::array<double, lanes> total_b{};
      for (std::int64_t row = begin; row < end; row += group) {
        std::array<T, lanes> sum_a{};
        std::array<T, lanes> sum_b{};
        const std::int64_t last = std::min(end, row + group);
        for (std::int64_t r = row; r < last; ++r) {
          for (std::size_t lane = 0; lane < lanes; ++lane) {
            const std::array<T, 2> pair = term(r, c + static_cast<std::int64_t>(lane));
            sum_a[lane] += pair[0];
            sum_b[lane] += pair[1];
          }
        }
        for (std::size_t lane = 0; lane < lanes; ++lane) {
          total_a[lane] += static_cast<double>(sum_a[lane]);
          total_b[lane] += static_cast<double>(sum_b[lane]);
        }
      }
      std::copy(total_a.begin(), total_a.end(), slot_a + c);
      std::copy(total_b.begin(), total_b.end(), slot_b + c);
    }
    for (std::int64_t r = begin; r < end && c < channels; ++r) {
      for (std::int64_t rest = c; rest < channels; ++rest) {
        const std::array<T, 2> pair = term(r, rest);
        slot_a[rest] += static_cast<double>(pair[0]);
        slot_b[rest] += static_cast<double>(pair[1]);
      }
    }
  });
  add_slots(partial, width, first, second);
}

/// The same where nothing has to be prepared.
template <class T, class Term>
void channel_sums(std::int64_t rows, std::int64_t channels, Term term, std::vector<double>& first,
                  std::vector<double>& second) {
  channel_sums<T>(rows, channels, term, first, second, [](std::int64_t, std::int64_t) {});
}

}  // namespace bitdial::inline BITDIAL_ABI::ops::detail
