// SPDX-License-Identifier: Apache-2.0
// From repeated timings to one number: the median, and how far the samples lie apart.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace bench {

/// Seconds on the wall clock.
[[nodiscard]] inline double wall_seconds() {
  using Clock = std::chrono::steady_clock;
  return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

/// Samples of one quantity. `least`, `median` and `spread` need at least one.
class Samples {
 public:
  void add(double value) { values_.insert(std::ranges::upper_bound(values_, value), value); }
  [[nodiscard]] std::size_t count() const noexcept { return values_.size(); }
  [[nodiscard]] double least() const { return values_.front(); }
  [[nodiscard]] double median() const { return quantile(0.5); }
  /// The distance between the quartiles, as a share of the median.
  [[nodiscard]] double spread() const { return (quantile(0.75) - quantile(0.25)) / median(); }

 private:
  /// Linear between the two nearest samples.
  [[nodiscard]] double quantile(double share) const {
    const double at = share * static_cast<double>(values_.size() - 1);
    const auto low = static_cast<std::size_t>(at);
    const std::size_t high = std::min(low + 1, values_.size() - 1);
    return std::lerp(values_[low], values_[high], at - static_cast<double>(low));
  }

  std::vector<double> values_;  // ascending
};

/// Calls of `run` that take about `seconds`, at least one; it has been called before.
template <class Run>
[[nodiscard]] std::int64_t calls_for(double seconds, const Run& run) {
  const double start = wall_seconds();
  run();
  const double once = wall_seconds() - start;
  return std::max<std::int64_t>(1, std::llround(seconds / std::max(once, 1e-9)));
}

/// Seconds per call of `run`, over `calls` calls.
template <class Run>
[[nodiscard]] double seconds_per_call(std::int64_t calls, const Run& run) {
  const double start = wall_seconds();
  for (std::int64_t i = 0; i < calls; ++i) run();
  return (wall_seconds() - start) / static_cast<double>(calls);
}

}  // namespace bench
