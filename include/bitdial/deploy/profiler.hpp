// SPDX-License-Identifier: Apache-2.0
// Where the time of a plan goes, step by step.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <bitdial/core/aligned_buffer.hpp>
#include <bitdial/core/result.hpp>
#include <bitdial/core/rounding.hpp>
#include <bitdial/core/stopwatch.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/deploy/kernel_choice.hpp>
#include <bitdial/deploy/network_check.hpp>
#include <bitdial/deploy/prepared_weights.hpp>
#include <bitdial/deploy/session.hpp>
#include <bitdial/kernels/kernel_table.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// One step of a plan: a layer with what was fused into it, or an operation on real values.
struct StepProfile {
  std::string name;        ///< of the layer; of the operation where there is none
  std::string kind;        ///< operation
  std::string widths{};    ///< `w4a4` as executed; empty without a layer
  std::string path{};      ///< the name of a `KernelPath`; empty without a layer
  double seconds = 0.0;    ///< of one image, median
  std::int64_t macs = 0;   ///< multiply-accumulates of one image
  std::int64_t bytes = 0;  ///< of packed weights
  double peak = 0.0;       ///< multiply-accumulates per second that the machine could do; 0: none

  /// Multiply-accumulates per second.
  [[nodiscard]] double rate() const noexcept {
    return seconds > 0.0 ? static_cast<double>(macs) / seconds : 0.0;
  }
  /// Of the peak; 0 where there is none.
  [[nodiscard]] double share() const noexcept { return peak > 0.0 ? rate() / peak : 0.0; }
};

/// One plan; `total` is the sum of its steps. Its share is the time that those with a peak would
/// take at it, of the time of all.
struct PlanProfile {
  std::string plan;
  std::vector<StepProfile> steps{};
  StepProfile total{};
};

struct ProfileOptions {
  double seconds = 1.0;  ///< for all plans of the session together, above 0
  /// Multiply-accumulates per second at which shares are 1, for all layers. Empty: that of the
  /// kernel that a step runs on, measured, times the threads of the session; none for layers in
  /// groups, whose kernels consist of other instructions.
  std::optional<double> peak{};
};

/// Multiply-accumulates per second of one thread in the kernel of `path` at one width pair, on
/// operands in the first-level cache; for packed weights and Winograd's filtering that of bytes.
/// Products of bit planes are some 4608 bits deep over all pairs of planes, so that the sums that a
/// tile stores cost next to nothing. Cost: about 2 ms.
[[nodiscard]] inline double measure_peak(const kernels::KernelTable& table, KernelPath path,
                                         Precision widths = {1, 1}) {
  constexpr std::int64_t calls = 64;
  const bool planes = path == KernelPath::planes;
  const bool lookup = path == KernelPath::lookup;
  const std::int64_t depth = planes ? round_up(4608 / (widths.w * widths.a), 512) : 512;
  const std::int64_t rows = planes   ? table.gemm_planes.rows
                            : lookup ? table.gemm_lookup.rows
                                     : table.gemm_u8s8.rows;
  const std::int64_t cols = planes   ? table.gemm_planes.cols
                            : lookup ? table.gemm_lookup.cols
                                     : table.gemm_u8s8.cols;
  AlignedBuffer<std::uint8_t> a(static_cast<std::size_t>(rows * depth * (lookup ? 4 : 1)));
  AlignedBuffer<std::uint32_t> b(static_cast<std::size_t>(cols * depth / 4));
  AlignedBuffer<std::int32_t> c(static_cast<std::size_t>(rows * cols));
  const auto multiply = [&] {
    if (planes) {
      table.gemm_planes.run({.rows = rows,
                             .cols = cols,
                             .words = depth / 32,
                             .a_planes = widths.a,
                             .b_planes = widths.w,
                             .a = a.data(),
                             .a_stride = depth,
                             .plane_stride = depth / 8,
                             .b = b.data(),
                             .c = c.data(),
                             .c_stride = cols});
    } else if (lookup) {
      table.gemm_lookup.run({.rows = rows,
                             .cols = cols,
                             .bits = widths.a,
                             .planes = widths.w,
                             .blocks = depth / 16,
                             .a = a.data(),
                             .a_stride = 4 * depth,
                             .b = reinterpret_cast<const std::uint8_t*>(b.data()),
                             .c = c.data(),
                             .c_stride = cols});
    } else {
      table.gemm_u8s8.run({.rows = rows,
                           .cols = cols,
                           .groups = depth / 4,
                           .a = a.data(),
                           .a_stride = depth,
                           .b = reinterpret_cast<const std::int8_t*>(b.data()),
                           .c = c.data(),
                           .c_stride = cols,
                           .short_groups = usual_short_groups(widths)});
    }
  };
  double best = 0.0;
  const Stopwatch total;
  do {
    const Stopwatch turn;
    for (std::int64_t i = 0; i < calls; ++i) multiply();
    best = std::max(best, static_cast<double>(calls * rows * cols * depth) / turn.seconds());
  } while (total.seconds() < 0.002);
  return best;
}

namespace detail {

/// Remembers how long each step took, run by run.
class StepClock {
 public:
  StepClock(std::size_t steps, std::size_t runs) : times_(steps) {
    for (auto& own : times_) own.reserve(runs);
  }
  void begin(std::size_t) noexcept { step_ = Stopwatch{}; }
  /// At most `runs` times for a step.
  void end(std::size_t step) noexcept { times_[step].push_back(step_.seconds()); }
  [[nodiscard]] double median(std::size_t step) {
    auto& own = times_[step];
    const auto middle = own.begin() + static_cast<std::ptrdiff_t>(own.size() / 2);
    std::nth_element(own.begin(), middle, own.end());
    return *middle;
  }

 private:
  std::vector<std::vector<double>> times_;
  Stopwatch step_;
};

/// Everything about a step but its time.
[[nodiscard]] inline StepProfile describe_step(const Session& session, std::size_t plan,
                                               const Step& step) {
  StepProfile profile{.name = std::string{name_of(step.kind)},
                      .kind = std::string{name_of(step.kind)}};
  if (!has_layer(step.kind)) return profile;
  const auto index = static_cast<std::size_t>(step.layer);
  const PackedLayer& layer = session.model().layers()[index];
  const Precision& executed = session.model().plans()[plan].layers[index].executed;
  profile.name = layer.name;
  profile.widths = executed.text();
  profile.path =
      std::string{name_of(session.path_of(plan, step.layer).value_or(KernelPath::bytes))};
  profile.macs = step.y_shape.size() * layer.depth();
  profile.bytes = layer.plane_bytes() * executed.w;
  return profile;
}

/// The peaks of the kernels that a session uses, each measured once.
class Peaks {
 public:
  Peaks(const Session& session, std::optional<double> given) : session_{session}, given_{given} {}

  [[nodiscard]] double of(std::size_t plan, const Step& step) {
    if (!has_layer(step.kind)) return 0.0;
    if (given_) return *given_;
    if (step.kind == ops::NodeKind::grouped_conv2d) return 0.0;
    const KernelPath path = session_.path_of(plan, step.layer).value_or(KernelPath::bytes);
    const Precision widths =
        path == KernelPath::packed || is_winograd(path)
            ? Precision{8, 8}
            : session_.model().plans()[plan].layers[static_cast<std::size_t>(step.layer)].executed;
    for (const Entry& entry : measured_) {
      if (entry.path == path && entry.widths == widths) return entry.peak;
    }
    const double peak = measure_peak(session_.kernels(), path, widths) * session_.threads();
    measured_.push_back({path, widths, peak});
    return peak;
  }

 private:
  struct Entry {
    KernelPath path;
    Precision widths;
    double peak;
  };
  const Session& session_;
  std::optional<double> given_;
  std::vector<Entry> measured_;
};

inline void add_total(PlanProfile& profile) {
  StepProfile& total = profile.total;
  total.name = total.kind = "total";
  double ideal = 0.0;  // seconds at the peak
  for (const StepProfile& step : profile.steps) {
    total.seconds += step.seconds;
    total.macs += step.macs;
    total.bytes += step.bytes;
    if (step.peak > 0.0) ideal += static_cast<double>(step.macs) / step.peak;
  }
  if (ideal > 0.0) total.peak = static_cast<double>(total.macs) / ideal;
}

}  // namespace detail

/// Measures every step of every plan that the session is prepared for. One image of zeros at a
/// time: the time does not depend on values. Reading the clock adds some 0.1 microseconds a step.
///
/// Errors: a plan cannot run, `seconds` or `peak` is not above 0. Cost: `options.seconds`, at least
/// five runs per plan.
[[nodiscard]] inline Result<std::vector<PlanProfile>> profile(Session& session,
                                                              const ProfileOptions& options = {}) {
  if (!(options.seconds > 0.0 && options.seconds <= 1e6)) {
    return Failure{
        concat("profile: ", options.seconds, " seconds, expected more than 0 and at most 1000000")};
  }
  if (options.peak && !(*options.peak > 0.0)) {
    return Failure{concat("profile: peak is ", *options.peak, ", expected more than 0")};
  }
  const Model& model = session.model();
  const std::vector<std::uint8_t> image(static_cast<std::size_t>(model.input_shape().size()));
  std::vector<float> outputs(static_cast<std::size_t>(model.output_size()));
  const std::vector<std::size_t> plans = session.prepared_plans();
  const double share = options.seconds / static_cast<double>(plans.size());
  detail::Peaks peaks{session, options.peak};
  std::vector<PlanProfile> profiles;
  for (const std::size_t plan : plans) {
    const std::span<const Step> steps = session.steps(plan);
    constexpr std::size_t least_runs = 5, most_runs = 1000;
    detail::StepClock clock{steps.size(), most_runs};
    const Stopwatch total;
    for (std::size_t run = 0; run < most_runs && (run < least_runs || total.seconds() < share);
         ++run) {
      if (auto done = session.run(image, outputs, plan, clock); !done) return done.failure();
    }
    PlanProfile& own = profiles.emplace_back(PlanProfile{.plan = model.plans()[plan].name()});
    for (std::size_t s = 0; s < steps.size(); ++s) {
      StepProfile& step = own.steps.emplace_back(detail::describe_step(session, plan, steps[s]));
      step.seconds = clock.median(s);
      step.peak = peaks.of(plan, steps[s]);
    }
    detail::add_total(own);
  }
  return profiles;
}

}  // namespace bitdial::inline BITDIAL_ABI
