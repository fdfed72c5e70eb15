// SPDX-License-Identifier: Apache-2.0
// What the plans of a model cost on this device: measured in seconds, kept in a small text file.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <bitdial/core/result.hpp>
#include <bitdial/core/stopwatch.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/deploy/ladder.hpp>
#include <bitdial/deploy/linux_sensors.hpp>
#include <bitdial/deploy/model.hpp>
#include <bitdial/deploy/session.hpp>
#include <bitdial/io/text_file.hpp>
#include <bitdial/io/write_file.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// What one request of one plan takes.
struct PlanCost {
  std::string plan;                ///< name
  double median = 0.0;             ///< seconds
  std::optional<double> energy{};  ///< joules
  std::uint64_t memory = 0;        ///< bytes of a session of this plan alone, weights and working

  friend bool operator==(const PlanCost&, const PlanCost&) = default;
};

/// The costs of a model's plans, and of what device, file and session they are the costs.
struct Calibration {
  std::string device;       ///< processor and kernels
  std::uint64_t model = 0;  ///< `Model::checksum()`
  std::string session;      ///< the options that change times: `threads 2, max_batch 1, ...`
  std::vector<PlanCost> plans;

  /// True when these are costs of the same device, file and options.
  [[nodiscard]] bool fits(const Calibration& other) const noexcept {
    return device == other.device && model == other.model && session == other.session;
  }
  /// The costs of a plan; null where it was not measured.
  [[nodiscard]] const PlanCost* find(std::string_view plan) const noexcept {
    const auto found = std::find_if(plans.begin(), plans.end(),
                                    [&](const PlanCost& cost) { return cost.plan == plan; });
    return found == plans.end() ? nullptr : &*found;
  }
  friend bool operator==(const Calibration&, const Calibration&) = default;
};

struct CalibrateOptions {
  double seconds = 2.0;             ///< for all plans together, above 0
  EnergyCounter* energy = nullptr;  ///< null: energy is not measured
};

namespace detail {

inline constexpr std::string_view calibration_header = "bitdial calibration 2";

[[nodiscard]] inline Calibration describe_session(const Session& session) {
  const SessionOptions& options = session.options();
  return {
      .device = concat(LinuxSensors{}.cpu_model(), ", ", session.kernels().name),
      .model = session.model().checksum(),
      .session = concat("threads ", options.threads, ", max_batch ", options.max_batch, ", path ",
                        name_of(options.path), ", work_per_thread ", options.work_that_pays(),
                        options.parallel_for.run != nullptr ? ", own threads" : ""),
      .plans = {}};
}

[[nodiscard]] inline bool is_cost(double value) noexcept {
  return value > 0.0 && std::isfinite(value);
}

}  // namespace detail

/// The text form of a calibration: one line for each fact, one for each plan.
[[nodiscard]] inline std::string calibration_text(const Calibration& calibration) {
  std::string text = concat(detail::calibration_header, "\ndevice ", calibration.device, "\nmodel ",
                            calibration.model, "\nsession ", calibration.session, "\n");
  for (const PlanCost& cost : calibration.plans) {
    text += concat("plan ", cost.plan, " ", cost.median, " ", cost.memory, " ",
                   cost.energy ? concat(*cost.energy) : std::string{"-"}, "\n");
  }
  return text;
}

/// Reads `calibration_text`. Errors name the line: a cost that is not a finite number above 0, a
/// plan that occurs twice.
[[nodiscard]] inline Result<Calibration> parse_calibration(std::string_view text) {
  Calibration calibration;
  for (std::size_t count = 1; !text.empty(); ++count) {
    const std::string_view line = take_piece(text, '\n');
    const auto wrong = [&](std::string_view expected) {
      return Failure{
          concat("calibration: line ", count, ": expected ", expected, ", found \"", line, "\"")};
    };
    if (count == 1) {
      if (line != detail::calibration_header) return wrong(detail::calibration_header);
      continue;
    }
    std::string_view rest = line;
    const std::string_view key = take_piece(rest, ' ');
    if (key == "device") {
      calibration.device = rest;
    } else if (key == "model") {
      if (!parse_number(rest, calibration.model)) return wrong("model and its checksum");
    } else if (key == "session") {
      calibration.session = rest;
    } else if (key == "plan") {
      PlanCost cost{.plan = std::string{take_piece(rest, ' ')}};
      const bool costs = parse_number(take_piece(rest, ' '), cost.median) &&
                         parse_number(take_piece(rest, ' '), cost.memory) &&
                         (rest == "-" || parse_number(rest, cost.energy.emplace()));
      if (!costs || !detail::is_cost(cost.median) || cost.memory == 0 ||
          !detail::is_cost(cost.energy.value_or(1.0))) {
        return wrong("plan NAME MEDIAN MEMORY ENERGY, finite numbers above 0 or - for no energy");
      }
      if (calibration.find(cost.plan) != nullptr) return wrong("each plan once");
      calibration.plans.push_back(std::move(cost));
    }
  }
  if (calibration.plans.empty()) return Failure{"calibration: no plan in it"};
  return calibration;
}

namespace detail {

/// The costs of the session's plans; empty where one of them, or its energy, is not known.
[[nodiscard]] inline std::vector<PlanCost> known_costs(const Calibration& known,
                                                       const Session& session, bool with_energy) {
  std::vector<PlanCost> costs;
  for (const std::size_t plan : session.prepared_plans()) {
    const PlanCost* const cost = known.find(session.model().plans()[plan].name());
    if (cost == nullptr || (with_energy && !cost->energy)) return {};
    costs.push_back(*cost);
  }
  return costs;
}

/// Adds the costs of the session's plans to `calibration`, which describes the session.
[[nodiscard]] inline Result<Calibration> measure_plans(Session& session, Calibration calibration,
                                                       const CalibrateOptions& options) {
  if (!(options.seconds > 0.0 && options.seconds <= 1e6)) {
    return Failure{concat("calibrate: ", options.seconds,
                          " seconds, expected more than 0 and at most 1000000")};
  }
  const Model& model = session.model();
  const std::vector<std::uint8_t> image(static_cast<std::size_t>(model.input_shape().size()));
  std::vector<float> outputs(static_cast<std::size_t>(model.output_size()));
  struct Timed {
    std::size_t plan = 0;
    std::vector<double> times{};
    double joules = 0.0;
  };
  std::vector<Timed> timed;
  for (const std::size_t plan : session.prepared_plans()) timed.push_back({plan});
  constexpr std::size_t least_runs = 3;
  const Stopwatch total;
  const double share =
      options.seconds / 16.0 / static_cast<double>(std::max<std::size_t>(1, timed.size()));
  for (std::size_t round = 0; round < 16; ++round) {
    for (Timed& entry : timed) {
      double before = 0.0;
      if (options.energy != nullptr) {
        const auto read = options.energy->joules();
        if (!read) return read.failure();
        before = *read;
      }
      const Stopwatch turn;
      for (std::size_t i = 0; i < least_runs || turn.seconds() < share; ++i) {
        const Stopwatch one;
        if (auto done = session.run(image, outputs, entry.plan); !done) return done.failure();
        entry.times.push_back(one.seconds());
      }
      if (options.energy != nullptr) {
        const auto read = options.energy->joules();
        if (!read) return read.failure();
        entry.joules += *read - before;
      }
    }
    if (total.seconds() > options.seconds) break;
  }
  for (Timed& entry : timed) {
    const auto middle = entry.times.begin() + static_cast<std::ptrdiff_t>(entry.times.size() / 2);
    std::nth_element(entry.times.begin(), middle, entry.times.end());
    SessionOptions alone = session.options();
    alone.plans = {entry.plan};
    const auto memory = Session::plan_memory(model, alone);
    if (!memory) return memory.failure();
    PlanCost cost{
        .plan = model.plans()[entry.plan].name(), .median = *middle, .memory = memory->bytes()};
    if (entry.joules > 0.0) cost.energy = entry.joules / static_cast<double>(entry.times.size());
    calibration.plans.push_back(std::move(cost));
  }
  return calibration;
}

}  // namespace detail

/// Measures every plan that the session is prepared for, in turns, so that a busy moment of the
/// machine meets all of them. Batches of one image of zeros: the time does not depend on values.
/// The memory of a plan is not measured but known: `Session::plan_memory` under the session's
/// options for that plan alone. A session of several plans takes at most the sum of theirs,
/// whichever runs.
///
/// Errors: a plan cannot run, the energy counter fails, `seconds` is not above 0 or above 1e6.
/// Cost: `options.seconds`, at least three runs per plan.
[[nodiscard]] inline Result<Calibration> calibrate(Session& session,
                                                   const CalibrateOptions& options = {}) {
  return detail::measure_plans(session, detail::describe_session(session), options);
}

/// The calibration in the file at `path` when it is of this device, model and these options of the
/// session and has every plan that the session is prepared for, with its energy where `options`
/// bring a counter; else `calibrate`, and the file is replaced.
///
/// Errors: those of `calibrate`, and a file that cannot be written. A file that cannot be read or
/// parsed, or whose numbers cannot be costs, is measured anew.
[[nodiscard]] inline Result<Calibration> calibrate_cached(const std::string& path, Session& session,
                                                          const CalibrateOptions& options = {}) {
  Calibration here = detail::describe_session(session);
  if (const auto text = io::read_text_file(path)) {
    const auto known = parse_calibration(*text);
    if (known && known->fits(here)) {
      here.plans = detail::known_costs(*known, session, options.energy != nullptr);
      if (!here.plans.empty()) return here;
    }
  }
  auto measured = detail::measure_plans(session, std::move(here), options);
  if (!measured) return measured;
  const std::string text = calibration_text(*measured);
  const auto written = io::write_file(path, std::as_bytes(std::span{text}));
  if (!written) return written.failure();
  return measured;
}

/// The ladder of a model on the device of a calibration: accuracy from the file, costs as measured.
///
/// Plans that the calibration does not have are left out. Errors: a plan without an accuracy in the
/// file, no plan at all.
[[nodiscard]] inline Result<Ladder> make_ladder(const Model& model,
                                                const Calibration& calibration) {
  std::vector<OperatingPoint> points;
  for (const PlanCost& cost : calibration.plans) {
    const auto plan = model.find_plan(cost.plan);
    if (!plan) return plan.failure();
    const auto& accuracy = model.plans()[*plan].accuracy;
    if (!accuracy) {
      return Failure{concat("ladder: plan ", cost.plan,
                            " has no accuracy in the model file; measure it before packing")};
    }
    points.push_back({.plan = *plan,
                      .name = cost.plan,
                      .accuracy = accuracy->top1,
                      .latency = cost.median,
                      .energy = cost.energy,
                      .memory = cost.memory});
  }
  return Ladder::create(std::move(points));
}

}  // namespace bitdial::inline BITDIAL_ABI
