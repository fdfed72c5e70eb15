// SPDX-License-Identifier: Apache-2.0
// Chooses the plan of the next request: the most accurate one that deadline, energy, memory, heat
// and battery allow.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <bitdial/core/assert.hpp>
#include <bitdial/core/result.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/deploy/governor_options.hpp>
#include <bitdial/deploy/ladder.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// What is known when a request arrives: plain numbers, from wherever the caller has them. A value
/// that is not finite counts as missing: no number, an empty queue, a clock that says nothing about
/// how long something has lasted.
struct Signals {
  double now = 0.0;                          ///< seconds of a clock that never goes back
  std::optional<double> last_latency{};      ///< seconds that the last decision's request took
  double queue_depth = 0.0;                  ///< requests that must be answered before this one
  std::optional<double> thermal_headroom{};  ///< for example kelvin below the throttling point
  std::optional<double> battery{};           ///< for example a share of the full charge
  std::optional<double> memory_available{};  ///< bytes
  std::optional<double> request_rate{};      ///< requests per second; none: back to back
  std::optional<std::size_t> pinned_plan{};  ///< a plan that a person has chosen
};

/// Why a decision is not a more accurate plan.
enum class Reason : std::uint8_t {
  best,            ///< there is none
  deadline,        ///< it would answer too late
  energy,          ///< it would cost more than the energy budget
  power,           ///< it would exceed the power budget
  memory,          ///< it needs more memory than there is
  thermal,         ///< too hot
  battery,         ///< too little charge
  margin,          ///< it would fit, but without the margin to spare
  dwell,           ///< it would fit, but not for long enough yet
  nothing_fits,    ///< not even a less accurate one fits: this one breaks the limits least
  pinned,          ///< a person has chosen
  unknown_pin,     ///< a person has chosen a plan that the ladder does not have; fallback
  sensor_missing,  ///< a sensor with a limit gives no number; fallback
  sensor_stuck,    ///< a sensor with a limit repeats its number; fallback
};

/// The word of a reason in traces.
[[nodiscard]] constexpr std::string_view reason_text(Reason reason) noexcept {
  constexpr std::array<std::string_view, 14> words{
      "best",    "deadline",    "energy",         "power",       "memory",
      "thermal", "battery",     "margin",         "dwell",       "nothing_fits",
      "pinned",  "unknown_pin", "sensor_missing", "sensor_stuck"};
  return words[static_cast<std::size_t>(reason)];
}

/// The answer of a governor.
struct Decision {
  std::size_t plan = 0;  ///< index into `Model::plans()`
  Reason reason = Reason::best;
  bool switched = false;           ///< another plan than in the decision before
  double predicted_latency = 0.0;  ///< seconds, queue and slowdown included

  friend bool operator==(const Decision&, const Decision&) = default;
};

/// What a governor remembers between two requests: a value of fixed size. The same state and
/// signals give the same decision, on every machine.
struct GovernorState {
  static constexpr std::size_t window = 32;

  struct Sensor {
    double value = 0.0, since = 0.0;
    bool seen = false;
  };

  std::array<double, window> slowdowns{};  ///< observed by predicted latency, a ring
  std::size_t observed = 0;                ///< how many there were
  std::optional<std::size_t> plan{};       ///< of the last decision
  double plan_latency = 0.0;               ///< its latency on an idle device
  std::optional<double> fits_since{};      ///< when a more accurate plan began to fit
  Sensor thermal{}, battery{};
};

/// Decides plans on a ladder under fixed options. Immutable: any number of threads may share it,
/// each with a state of its own.
///
/// A plan is *legal* when it reaches the accuracy floor and fits the memory cap; nothing else is
/// ever returned, except a plan that a person pinned. It *fits* when
///
///     latency * slowdown * (1 + queue_depth) <= deadline,  energy <= energy_budget,
///     energy * request_rate <= power_budget,  memory <= memory_available,
///
/// and the sensors leave its rung. The most accurate legal plan that fits is taken: at once when
/// the current one no longer fits; a more accurate one only after it has fitted with `up_margin` to
/// spare for `up_dwell` seconds. So noise at a boundary causes at most one switch up and one down
/// per `up_dwell`.
///
/// Where nothing fits, an answer that is late does less harm than one that runs out of memory or
/// energy: the quickest legal plan that keeps those limits is taken. Where none keeps the memory,
/// it is the smallest; where none of the others keeps the energy, the one that takes the least.
class Governor {
 public:
  /// Errors: no legal rung (the sentence names the floor or the cap and the best there is), an
  /// unknown fallback, an option out of range, an energy or power budget without measured energy.
  [[nodiscard]] static Result<Governor> create(Ladder ladder, const GovernorOptions& options = {}) {
    if (auto valid = detail::check_governor_options(options); !valid) return valid.failure();
    Governor governor{std::move(ladder), options};
    if (auto legal = governor.find_legal(); !legal) return legal.failure();
    return governor;
  }

  [[nodiscard]] const Ladder& ladder() const noexcept { return ladder_; }
  [[nodiscard]] const GovernorOptions& options() const noexcept { return options_; }

  /// The plan of the next request. Cost: below a microsecond; allocates nothing.
  [[nodiscard]] Decision decide(GovernorState& state, const Signals& given) const noexcept {
    const Signals signals = finite(given);
    observe(state, signals);
    const double slowdown = slowdown_of(state);
    const SensorView thermal =
        read(options_.thermal, signals.thermal_headroom, signals.now, state.thermal);
    const SensorView battery = read(options_.battery, signals.battery, signals.now, state.battery);

    if (signals.pinned_plan) {
      const OperatingPoint* const point = ladder_.find(*signals.pinned_plan);
      state.fits_since.reset();
      return point != nullptr
                 ? take(state, signals, slowdown, *point, Reason::pinned)
                 : take(state, signals, slowdown, fallback(signals, slowdown), Reason::unknown_pin);
    }
    if (thermal.broken || battery.broken) {
      state.fits_since.reset();
      return take(state, signals, slowdown, fallback(signals, slowdown),
                  (thermal.broken ? thermal : battery).reason);
    }

    const Load load{signals, slowdown, thermal.value, battery.value};
    std::optional<std::size_t> best;  // the most accurate legal rung that fits
    Reason limit = Reason::best;      // what excludes the rung above
    for (std::size_t i = legal_.size(); i-- > 0 && !best;) {
      const Reason why = excluded(i, load, 1.0);
      if (why == Reason::best) {
        best = i;
      } else {
        limit = why;
      }
    }
    if (!best) {
      state.fits_since.reset();
      return take(state, signals, slowdown, least_harm(signals, slowdown), Reason::nothing_fits);
    }
    const std::optional<std::size_t> current = current_rung(state);
    if (!current || *best <= *current || excluded(*current, load, 1.0) != Reason::best) {
      state.fits_since.reset();
      return take(state, signals, slowdown, rung(*best), limit);
    }

    // A more accurate plan fits. Does it still with the margin, and has it done so for long enough?
    std::size_t above = *best;
    const double margin = 1.0 + options_.up_margin;
    while (above > *current && excluded(above, load, margin) != Reason::best) --above;
    if (above == *current) {
      state.fits_since.reset();
      return take(state, signals, slowdown, rung(*current), Reason::margin);
    }
    if (std::isnan(signals.now)) {
      return take(state, signals, slowdown, rung(*current), Reason::dwell);
    }
    if (!state.fits_since) state.fits_since = signals.now;
    if (!(signals.now - *state.fits_since >= options_.up_dwell)) {
      return take(state, signals, slowdown, rung(*current), Reason::dwell);
    }
    state.fits_since.reset();
    return take(state, signals, slowdown, rung(above), above == *best ? limit : Reason::margin);
  }

 private:
  /// A sensor with a limit, as it is now.
  struct SensorView {
    std::optional<double> value{};  ///< none: no limit
    bool broken = false;
    Reason reason = Reason::best;
  };

  struct Load {
    const Signals& signals;
    double slowdown;
    std::optional<double> thermal, battery;
  };

  Governor(Ladder ladder, const GovernorOptions& options)
      : ladder_{std::move(ladder)}, options_{options} {}

  [[nodiscard]] Result<void> find_legal() {
    const std::span<const OperatingPoint> rungs = ladder_.rungs();
    if (rungs.empty()) return Failure{"governor: the ladder has no rungs"};
    double best = 0.0;
    std::uint64_t smallest = rungs.front().memory;
    for (std::size_t i = 0; i < rungs.size(); ++i) {
      best = std::max(best, rungs[i].accuracy);
      smallest = std::min(smallest, rungs[i].memory);
      if ((options_.energy_budget || options_.power_budget) && !rungs[i].energy) {
        return Failure{
            concat("governor: an energy or power budget needs the energy of every plan, ",
                   rungs[i].name, " has none; calibrate where energy can be read")};
      }
      const bool accurate = rungs[i].accuracy >= options_.accuracy_floor;
      if (accurate && (!options_.memory_cap || rungs[i].memory <= *options_.memory_cap)) {
        legal_.push_back(i);
      }
    }
    if (legal_.empty()) {
      const std::string cap =
          options_.memory_cap ? concat(" in ", *options_.memory_cap, " bytes") : std::string{};
      return Failure{concat("governor: no plan reaches the accuracy floor ",
                            options_.accuracy_floor, cap, "; the best accuracy is ", best,
                            ", the smallest plan takes ", smallest, " bytes")};
    }
    if (options_.fallback.empty()) return {};
    const auto named = std::find_if(legal_.begin(), legal_.end(), [&](std::size_t i) {
      return rungs[i].name == options_.fallback;
    });
    if (named == legal_.end()) {
      std::vector<std::string_view> names;
      for (const std::size_t i : legal_) names.push_back(rungs[i].name);
      return Failure{concat("governor: the fallback \"", options_.fallback,
                            "\" is not a legal rung; there are ", join_quoted(names))};
    }
    fallback_ = *named;
    return {};
  }

  [[nodiscard]] const OperatingPoint& rung(std::size_t legal) const noexcept {
    return ladder_.rungs()[legal_[legal]];
  }
  [[nodiscard]] const OperatingPoint& fallback(const Signals& signals,
                                               double slowdown) const noexcept {
    return fallback_ ? ladder_.rungs()[*fallback_] : least_harm(signals, slowdown);
  }

  /// The legal rung that breaks memory least, of those energy, then power, and of those the
  /// quickest.
  [[nodiscard]] const OperatingPoint& least_harm(const Signals& signals,
                                                 double slowdown) const noexcept {
    const auto harm = [&](std::size_t i) {
      const OperatingPoint& point = rung(i);
      const auto beyond = [](double cost, const std::optional<double>& limit) {
        return limit ? std::max(0.0, cost - *limit) : 0.0;
      };
      return std::array{beyond(static_cast<double>(point.memory), signals.memory_available),
                        beyond(point.energy.value_or(0.0), options_.energy_budget),
                        beyond(power(point, signals, slowdown), options_.power_budget),
                        point.latency};
    };
    std::size_t best = 0;
    for (std::size_t i = 1; i < legal_.size(); ++i) {
      if (harm(i) < harm(best)) best = i;
    }
    return rung(best);
  }

  /// The place of the last plan among the legal rungs; none when it has no place there.
  [[nodiscard]] std::optional<std::size_t> current_rung(const GovernorState& state) const noexcept {
    for (std::size_t i = 0; i < legal_.size() && state.plan; ++i) {
      if (rung(i).plan == *state.plan) return i;
    }
    return std::nullopt;
  }

  /// The signals without the values that are not finite; a missing `now` is NaN, which is later
  /// than nothing.
  [[nodiscard]] static Signals finite(Signals signals) noexcept {
    for (std::optional<double>* const value :
         {&signals.last_latency, &signals.thermal_headroom, &signals.battery,
          &signals.memory_available, &signals.request_rate}) {
      if (*value && !std::isfinite(**value)) value->reset();
    }
    if (!std::isfinite(signals.queue_depth)) signals.queue_depth = 0.0;
    if (!std::isfinite(signals.now)) signals.now = std::numeric_limits<double>::quiet_NaN();
    return signals;
  }

  static void observe(GovernorState& state, const Signals& signals) noexcept {
    if (!signals.last_latency || !state.plan || state.plan_latency <= 0.0) return;
    const double slowdown = *signals.last_latency / state.plan_latency;
    if (!(slowdown >= 0.0 && std::isfinite(slowdown))) return;
    state.slowdowns[state.observed % GovernorState::window] = slowdown;
    ++state.observed;
  }

  /// The chosen quantile of the remembered slowdowns; 1 before there is any.
  [[nodiscard]] double slowdown_of(const GovernorState& state) const noexcept {
    const std::size_t count = std::min(state.observed, GovernorState::window);
    if (count == 0) return 1.0;
    std::array<double, GovernorState::window> sorted = state.slowdowns;
    std::sort(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(count));
    const double rank = std::ceil(options_.slowdown_quantile * static_cast<double>(count));
    return sorted[std::max<std::size_t>(1, static_cast<std::size_t>(rank)) - 1];
  }

  [[nodiscard]] static SensorView read(const std::optional<SensorLimit>& limit,
                                       const std::optional<double>& value, double now,
                                       GovernorState::Sensor& sensor) noexcept {
    if (!limit) return {};
    if (!value) {
      sensor.seen = false;
      return {.broken = true, .reason = Reason::sensor_missing};
    }
    if (!sensor.seen || sensor.value != *value) sensor = {*value, now, !std::isnan(now)};
    if (limit->stuck_after && now - sensor.since > *limit->stuck_after) {
      return {.broken = true, .reason = Reason::sensor_stuck};
    }
    return {.value = *value / limit->comfortable};
  }

  /// Why legal rung i does not fit when every cost is `margin` times as high; `best` if it does.
  [[nodiscard]] Reason excluded(std::size_t i, const Load& load, double margin) const noexcept {
    const OperatingPoint& point = rung(i);
    const Signals& signals = load.signals;
    const double latency = predicted(point, signals, load.slowdown) * margin;
    if (options_.deadline && !(latency <= *options_.deadline)) return Reason::deadline;
    if (options_.energy_budget && !(*point.energy * margin <= *options_.energy_budget)) {
      return Reason::energy;
    }
    if (options_.power_budget &&
        !(power(point, signals, load.slowdown) * margin <= *options_.power_budget)) {
      return Reason::power;
    }
    if (signals.memory_available &&
        !(static_cast<double>(point.memory) * margin <= *signals.memory_available)) {
      return Reason::memory;
    }
    const auto top = static_cast<double>(legal_.size() - 1);
    const auto allows = [&](const std::optional<double>& share) {
      return !share || static_cast<double>(i) <= std::clamp(*share / margin, 0.0, 1.0) * top;
    };
    if (!allows(load.thermal)) return Reason::thermal;
    if (!allows(load.battery)) return Reason::battery;
    return Reason::best;
  }

  [[nodiscard]] static double predicted(const OperatingPoint& point, const Signals& signals,
                                        double slowdown) noexcept {
    return point.latency * slowdown * (1.0 + std::max(0.0, signals.queue_depth));
  }

  /// Watts on average; 0 where the energy is not known.
  [[nodiscard]] static double power(const OperatingPoint& point, const Signals& signals,
                                    double slowdown) noexcept {
    return point.energy.value_or(0.0) *
           signals.request_rate.value_or(1.0 / (point.latency * slowdown));
  }

  [[nodiscard]] static Decision take(GovernorState& state, const Signals& signals, double slowdown,
                                     const OperatingPoint& point, Reason reason) noexcept {
    const bool switched = state.plan && *state.plan != point.plan;
    state.plan = point.plan;
    state.plan_latency = point.latency;
    return {.plan = point.plan,
            .reason = reason,
            .switched = switched,
            .predicted_latency = predicted(point, signals, slowdown)};
  }

  Ladder ladder_;
  GovernorOptions options_;
  std::vector<std::size_t> legal_;         ///< indices into `Ladder::rungs()`, ascending accuracy
  std::optional<std::size_t> fallback_{};  ///< index into `Ladder::rungs()`, where one is named
};

}  // namespace bitdial::inline BITDIAL_ABI
