// SPDX-License-Identifier: Apache-2.0
// The limits that a product sets for its governor.
#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <bitdial/core/result.hpp>
#include <bitdial/core/text.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// A sensor that takes rungs away as its value falls: all rungs from `comfortable` up, the lowest
/// legal one at 0, in proportion between.
struct SensorLimit {
  double comfortable = 0.0;
  /// Seconds after which an unchanged value counts as a broken sensor; none: never.
  std::optional<double> stuck_after{};
};

/// What a product wants. Everything is optional; without limits the most accurate plan runs.
struct GovernorOptions {
  double accuracy_floor = 0.0;                ///< share of right answers that is never undercut
  std::optional<double> deadline{};           ///< seconds from now to the answer
  std::optional<double> energy_budget{};      ///< joules per request
  std::optional<double> power_budget{};       ///< watts on average
  std::optional<std::uint64_t> memory_cap{};  ///< bytes
  std::optional<SensorLimit> thermal{};       ///< in the unit of `Signals::thermal_headroom`
  std::optional<SensorLimit> battery{};       ///< in the unit of `Signals::battery`
  /// The plan while a sensor that has a limit is missing or stuck. Empty: the one that runs where
  /// nothing fits.
  std::string fallback{};
  /// A more accurate plan must fit with this share to spare ...
  double up_margin = 0.15;
  /// ... for this many seconds without a break.
  double up_dwell = 2.0;
  /// The quantile of the last 32 slowdowns by which predicted latencies are stretched.
  double slowdown_quantile = 0.95;
};

namespace detail {

/// Error: the option that is out of range.
[[nodiscard]] inline Result<void> check_governor_options(const GovernorOptions& options) {
  const auto positive = [](const std::optional<double>& x) {
    return !x || (*x > 0.0 && std::isfinite(*x));
  };
  const auto wrong = [](std::string_view name, double value, std::string_view expected) {
    return Failure{concat("governor: ", name, " is ", value, ", expected ", expected)};
  };
  for (const auto& [name, value] :
       {std::pair{"deadline", options.deadline}, std::pair{"energy_budget", options.energy_budget},
        std::pair{"power_budget", options.power_budget}}) {
    if (!positive(value)) return wrong(name, *value, "a number above 0");
  }
  for (const auto& [name, sensor] :
       {std::pair{"thermal", options.thermal}, std::pair{"battery", options.battery}}) {
    if (!sensor) continue;
    if (!positive(sensor->comfortable)) {
      return wrong(concat(name, ".comfortable"), sensor->comfortable, "a number above 0");
    }
    if (!positive(sensor->stuck_after)) {
      return wrong(concat(name, ".stuck_after"), *sensor->stuck_after, "seconds above 0");
    }
  }
  if (!(options.accuracy_floor >= 0.0 && options.accuracy_floor <= 1.0)) {
    return wrong("accuracy_floor", options.accuracy_floor, "a share from 0 to 1");
  }
  if (!(options.up_margin >= 0.0 && std::isfinite(options.up_margin))) {
    return wrong("up_margin", options.up_margin, "a share of at least 0");
  }
  if (!(options.up_dwell >= 0.0 && std::isfinite(options.up_dwell))) {
    return wrong("up_dwell", options.up_dwell, "seconds of at least 0");
  }
  if (!(options.slowdown_quantile > 0.0 && options.slowdown_quantile <= 1.0)) {
    return wrong("slowdown_quantile", options.slowdown_quantile, "a number in (0, 1]");
  }
  return {};
}

}  // namespace detail

}  // namespace bitdial::inline BITDIAL_ABI
