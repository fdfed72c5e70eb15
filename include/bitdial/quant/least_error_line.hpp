// SPDX-License-Identifier: Apache-2.0
// The line of equidistant values that is nearest to a tensor, where learned steps and offsets
// start.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>

#include <bitdial/core/config.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// The values low, low + step, ..., low + top * step.
struct UniformLine {
  double low = 0.0;
  double step = 1.0;
};

namespace detail {

/// How many elements fall into each of 2048 equal cells between the extremes, and their means.
/// Elements that are not finite are left out.
class CellCounts {
 public:
  explicit CellCounts(std::span<const float> x) {
    for (const float value : x) {
      if (!std::isfinite(value)) continue;
      low_ = std::min(low_, static_cast<double>(value));
      high_ = std::max(high_, static_cast<double>(value));
    }
    if (!(high_ > low_)) return;
    for (const float value : x) {
      if (!std::isfinite(value)) continue;
      const double place = (static_cast<double>(value) - low_) / (high_ - low_);
      const auto cell = static_cast<std::size_t>(place * static_cast<double>(count.size()));
      count[std::min(cell, count.size() - 1)] += 1.0;
      mean[std::min(cell, count.size() - 1)] += static_cast<double>(value);
    }
    for (std::size_t i = 0; i < count.size(); ++i) {
      elements_ += count[i];
      sum_ += mean[i];
      if (count[i] > 0.0) mean[i] /= count[i];
    }
  }
  [[nodiscard]] double low() const noexcept { return low_; }
  [[nodiscard]] double high() const noexcept { return high_; }
  [[nodiscard]] double average() const noexcept { return sum_ / elements_; }

  std::array<double, 2048> count{};
  std::array<double, 2048> mean{};

 private:
  double low_ = std::numeric_limits<double>::infinity();
  double high_ = -std::numeric_limits<double>::infinity();
  double elements_ = 0.0;
  double sum_ = 0.0;
};

/// Which of 0 .. top is nearest.
[[nodiscard]] inline double nearest_index(const UniformLine& line, double x, int top) noexcept {
  return std::clamp(std::nearbyint((x - line.low) / line.step), 0.0, static_cast<double>(top));
}

/// The regression line of the cells on the index that `line` gives them.
[[nodiscard]] inline UniformLine regression(const CellCounts& cells, const UniformLine& line,
                                            int top) {
  double n = 0.0;
  double q_sum = 0.0;
  double x_sum = 0.0;
  double qq_sum = 0.0;
  double qx_sum = 0.0;
  for (std::size_t i = 0; i < cells.count.size(); ++i) {
    const double q = nearest_index(line, cells.mean[i], top);
    n += cells.count[i];
    q_sum += cells.count[i] * q;
    x_sum += cells.count[i] * cells.mean[i];
    qq_sum += cells.count[i] * q * q;
    qx_sum += cells.count[i] * q * cells.mean[i];
  }
  const double spread = n * qq_sum - q_sum * q_sum;
  if (!(spread > 0.0)) return line;
  const double step = (n * qx_sum - q_sum * x_sum) / spread;
  return step > 0.0 ? UniformLine{(x_sum - step * q_sum) / n, step} : line;
}

[[nodiscard]] inline double square_error(const CellCounts& cells, const UniformLine& line,
                                         int top) {
  double sum = 0.0;
  for (std::size_t i = 0; i < cells.count.size(); ++i) {
    const double q = nearest_index(line, cells.mean[i], top);
    const double error = cells.mean[i] - (line.low + line.step * q);
    sum += cells.count[i] * error * error;
  }
  return sum;
}

}  // namespace detail

/// The line of `top` + 1 values with (nearly) the least square error of rounding x to it.
///
/// Lloyd's iteration: give each element its nearest index, then take the regression line on the
/// indices; from 13 starts between the extremes of x and 1/64 of that range around the mean, the
/// best is kept. x counts through a histogram of 2048 cells. A tensor of one value has the step 1
/// and that value as `low`; one without finite values has low = 0.
/// Cost: two passes over x and some 10^6 operations. Lloyd, "Least squares quantization in PCM",
/// 1982.
[[nodiscard]] inline UniformLine least_error_line(std::span<const float> x, int top) {
  const detail::CellCounts cells(x);
  if (!(cells.high() > cells.low())) return {std::isfinite(cells.low()) ? cells.low() : 0.0, 1.0};
  const double mean = cells.average();
  UniformLine best{cells.low(), (cells.high() - cells.low()) / top};
  double least = detail::square_error(cells, best, top);
  for (int halvings = 0; halvings <= 12; ++halvings) {
    const double share = std::exp2(-0.5 * halvings);
    UniformLine line{mean + share * (cells.low() - mean),
                     share * (cells.high() - cells.low()) / top};
    for (int iteration = 0; iteration < 30; ++iteration) {
      const UniformLine better = detail::regression(cells, line, top);
      if (better.low == line.low && better.step == line.step) break;
      line = better;
    }
    const double error = detail::square_error(cells, line, top);
    if (error < least) {
      least = error;
      best = line;
    }
  }
  return best;
}

}  // namespace bitdial::inline BITDIAL_ABI
