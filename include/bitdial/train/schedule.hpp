// SPDX-License-Identifier: Apache-2.0
// Learning rates and other numbers as pure functions of the step: nothing to save or restore.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <numbers>
#include <utility>
#include <vector>

#include <bitdial/core/error.hpp>
#include <bitdial/core/text.hpp>

namespace bitdial::inline BITDIAL_ABI::train {

/// A number, such as the learning rate, of optimizer step 0, 1, ...; any callable will do.
using Schedule = std::function<float(std::int64_t step)>;

/// The same rate for ever.
struct ConstantSchedule {
  float rate = 0.1F;

  [[nodiscard]] float operator()(std::int64_t /*step*/) const noexcept { return rate; }
};

/// rate(t) = rate * factor^m, m the number of milestones <= t; the milestones need no order.
struct StepSchedule {
  float rate = 0.1F;
  std::vector<std::int64_t> milestones = {};
  float factor = 0.1F;

  [[nodiscard]] float operator()(std::int64_t step) const noexcept {
    float value = rate;
    for (const std::int64_t milestone : milestones) {
      if (step >= milestone) value *= factor;
    }
    return value;
  }
};

/// Straight lines through points (step, value); constant before the first point and after the last:
/// `PiecewiseLinearSchedule({{0, 0.1F}, {1000, 0.5F}})` rises for a thousand steps.
///
/// Throws `ConfigError` for no points and for steps that do not ascend.
class PiecewiseLinearSchedule {
 public:
  struct Point {
    std::int64_t step = 0;
    float value = 0.0F;
  };

  explicit PiecewiseLinearSchedule(std::vector<Point> points) : points_{std::move(points)} {
    if (points_.empty()) throw ConfigError("piecewise linear schedule: expected points, got none");
    for (std::size_t i = 1; i < points_.size(); ++i) {
      if (points_[i].step > points_[i - 1].step) continue;
      throw ConfigError(concat("piecewise linear schedule: expected ascending steps, found ",
                               points_[i].step, " after ", points_[i - 1].step));
    }
  }

  [[nodiscard]] float operator()(std::int64_t step) const noexcept {
    const auto next = std::ranges::find_if(points_, [&](const Point& p) { return p.step > step; });
    if (next == points_.begin()) return next->value;
    const Point& last = *(next - 1);
    if (next == points_.end()) return last.value;
    const double progress =
        static_cast<double>(step - last.step) / static_cast<double>(next->step - last.step);
    return static_cast<float>(static_cast<double>(last.value) +
                              (static_cast<double>(next->value) - static_cast<double>(last.value)) *
                                  progress);
  }

 private:
  std::vector<Point> points_;
};

/// A linear warm-up, then half a cosine down to `final_rate`, which stays afterwards:
/// rate(t) = rate * (t + 1) / warmup                                          for t < warmup,
/// rate(t) = final + (rate - final) / 2 * (1 + cos(pi * (t - warmup) / (steps - warmup))).
///
/// Throws `ConfigError` unless 0 <= warmup < steps. Loshchilov, Hutter, "SGDR: stochastic gradient
/// descent with warm restarts", ICLR 2017 (one cycle); warm-up: Goyal et al., "Accurate, large
/// minibatch SGD", 2017.
class CosineSchedule {
 public:
  struct Options {
    float rate = 0.1F;
    std::int64_t steps = 1;   ///< of the whole run, warm-up included
    std::int64_t warmup = 0;  ///< steps of the warm-up
    float final_rate = 0.0F;
  };

  explicit CosineSchedule(const Options& options) : options_{options} {
    if (options.warmup < 0 || options.warmup >= options.steps) {
      throw ConfigError(concat("cosine schedule: expected 0 <= warmup < steps, found warmup ",
                               options.warmup, ", steps ", options.steps));
    }
  }

  [[nodiscard]] float operator()(std::int64_t step) const noexcept {
    const auto& [rate, steps, warmup, final_rate] = options_;
    if (step < warmup) {
      return static_cast<float>(static_cast<double>(rate) * static_cast<double>(step + 1) /
                                static_cast<double>(warmup));
    }
    const double progress =
        std::min(1.0, static_cast<double>(step - warmup) / static_cast<double>(steps - warmup));
    const double height = 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
    return static_cast<float>(static_cast<double>(final_rate) +
                              (static_cast<double>(rate) - static_cast<double>(final_rate)) *
                                  height);
  }

 private:
  Options options_;
};

}  // namespace bitdial::inline BITDIAL_ABI::train
