// SPDX-License-Identifier: Apache-2.0
// What policies measure of a tensor: extremes and mean of |x|, in one pass, in a fixed order.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <bitdial/core/config.hpp>
#include <bitdial/core/error.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/quant/span_loops.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Measures of |x| over a tensor.
struct AbsStatistics {
  float max = 0.0F;         ///< 0 for an empty tensor; NaN elements are passed over
  std::int64_t index = -1;  ///< of the first element that reaches `max`, -1 if max is 0
  double sum = 0.0;         ///< NaN if an element is
  std::size_t size = 0;     ///< elements

  /// mean |x|; 0 for an empty tensor.
  [[nodiscard]] double mean() const noexcept {
    return size == 0 ? 0.0 : sum / static_cast<double>(size);
  }
};

/// One pass over x; chunk sums in double are added in order, so threads do not matter.
[[nodiscard]] inline AbsStatistics abs_statistics(std::span<const float> x) {
  const auto reduce = [x](std::int64_t begin, std::int64_t end) {
    // Lanes run side by side, so that none waits for the one before.
    constexpr std::int64_t lanes = 8;
    std::array<double, lanes> sums{};
    std::array<float, lanes> largest{};
    const auto add = [&](std::int64_t i, std::size_t lane) {
      const float magnitude = std::fabs(x.data()[i]);
      sums[lane] += static_cast<double>(magnitude);
      largest[lane] = magnitude > largest[lane] ? magnitude : largest[lane];
    };
    std::int64_t i = begin;
    for (; i + lanes <= end; i += lanes) {
      for (std::int64_t lane = 0; lane < lanes; ++lane) {
        add(i + lane, static_cast<std::size_t>(lane));
      }
    }
    for (; i < end; ++i) add(i, 0);
    AbsStatistics chunk{.size = static_cast<std::size_t>(end - begin)};
    for (const double sum : sums) chunk.sum += sum;
    chunk.max = *std::ranges::max_element(largest);
    if (chunk.max == 0.0F) return chunk;
    for (i = begin; std::fabs(x.data()[i]) != chunk.max;) ++i;
    chunk.index = i;
    return chunk;
  };
  const auto combine = [](AbsStatistics total, const AbsStatistics& chunk) {
    total.sum += chunk.sum;
    total.size += chunk.size;
    if (chunk.max > total.max) {
      total.max = chunk.max;
      total.index = chunk.index;
    }
    return total;
  };
  return detail::reduce_chunks(x.size(), AbsStatistics{}, reduce, combine);
}

/// Mean and square deviations of a tensor.
struct Moments {
  double mean = 0.0;
  double squares = 0.0;  ///< sum of (x - mean)^2
  std::size_t size = 0;

  /// The unbiased standard deviation; 0 for less than two elements.
  [[nodiscard]] double deviation() const noexcept {
    return size < 2 ? 0.0 : std::sqrt(squares / static_cast<double>(size - 1));
  }
};

/// Two passes over x in double.
[[nodiscard]] inline Moments moments(std::span<const float> x) {
  const auto sum_of = [x](auto f) {
    return detail::sum_spans<1>(
        [f](float value) { return std::array{f(static_cast<double>(value))}; }, x)[0];
  };
  if (x.empty()) return {};
  const double mean = sum_of([](double value) { return value; }) / static_cast<double>(x.size());
  const double squares = sum_of([mean](double value) { return (value - mean) * (value - mean); });
  return {mean, squares, x.size()};
}

/// `abs_statistics` of weights: throws `Error` if one of them is NaN or infinite, because every
/// code of such a tensor would be meaningless.
[[nodiscard]] inline AbsStatistics weight_statistics(std::string_view policy,
                                                     std::span<const float> w) {
  const AbsStatistics statistics = abs_statistics(w);
  if (!std::isfinite(statistics.sum)) {
    const auto bad = std::ranges::find_if(w, [](float x) { return !std::isfinite(x); });
    throw Error(concat(policy, ": expected finite weights, element ", bad - w.begin(), " of ",
                       w.size(), " is ", *bad));
  }
  return statistics;
}

}  // namespace bitdial::inline BITDIAL_ABI
