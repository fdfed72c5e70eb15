// SPDX-License-Identifier: Apache-2.0
// Few bits first, more when unsure: is that worth it on this network? Thresholds come from half of
// the test images; accuracy and time are those of the other half.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <bitdial/runtime.hpp>

#include "deployment.hpp"

namespace quickstart {

constexpr double cascade_tolerance = 0.002;  // 0.2 points

struct CascadeResult {
  std::vector<std::string> stages;  // names of plans; one: no cascade was quicker
  double answered_first = 0.0;      // share of the images
  double accuracy = 0.0, full_accuracy = 0.0, agreement = 0.0;
  double ms = 0.0, full_ms = 0.0;  // per image, measured in turns

  [[nodiscard]] bool pays() const {
    return stages.size() > 1 && ms < full_ms && accuracy >= full_accuracy - cascade_tolerance;
  }
};

// Plans from the quickest to the highest precision, which is the first of `outcomes`; those that
// take longer than it are left out.
inline std::vector<Outcome> cheapest_first(const std::vector<Outcome>& outcomes) {
  std::vector<Outcome> stages(outcomes.begin() + 1, outcomes.end());
  const double most = outcomes.front().ms_1_thread;
  std::erase_if(stages, [&](const Outcome& outcome) { return outcome.ms_1_thread >= most; });
  std::ranges::sort(stages, {}, &Outcome::ms_1_thread);
  stages.push_back(outcomes.front());
  return stages;
}

inline CascadeResult try_cascade(const bitdial::data::Dataset& test,
                                 const std::vector<Outcome>& outcomes, const std::string& path) {
  using Clock = std::chrono::steady_clock;
  const bitdial::Model model = bitdial::Model::open(path).value();
  bitdial::Session session = bitdial::Session::create(model, {.max_batch = 100}).value();
  std::vector<std::size_t> plans;
  std::vector<double> latencies;
  for (const Outcome& outcome : cheapest_first(outcomes)) {
    plans.push_back(model.find_plan(outcome.precision).value());
    latencies.push_back(outcome.ms_1_thread * 1e-3);
  }
  const auto answers =
      bitdial::collect_answers(session, test.images().view().span(), plans, latencies).value();
  const auto report =
      bitdial::fit_cascade(answers, test.labels(), {.tolerance = cascade_tolerance}).value();

  CascadeResult result{.stages = {},
                       .answered_first = report.shares.front(),
                       .accuracy = report.accuracy,
                       .full_accuracy = report.full_accuracy,
                       .agreement = report.agreement};
  for (const auto& stage : report.stages) {
    result.stages.push_back(model.plans()[stage.plan].name());
  }
  // The images that the choice has not seen have odd numbers.
  const auto cascade = bitdial::Cascade::create(model, report.stages).value();
  std::vector<float> outputs(static_cast<std::size_t>(model.output_size()));
  const std::int64_t most = std::min<std::int64_t>(test.size(), 4000);
  double counted = 0.0;
  for (std::int64_t i = 1; i < most; i += 2, ++counted) {
    const auto begin = Clock::now();
    static_cast<void>(cascade.run(session, test.image(i), outputs).value());
    const auto middle = Clock::now();
    session.run(test.image(i), outputs, plans.back()).value();
    result.ms += std::chrono::duration<double, std::milli>(middle - begin).count();
    result.full_ms += std::chrono::duration<double, std::milli>(Clock::now() - middle).count();
  }
  result.ms /= counted;
  result.full_ms /= counted;
  return result;
}

// "cascade: w1a1 (83 %), then w8a8: ..."
inline std::string cascade_sentence(const CascadeResult& result) {
  using bitdial::train::fixed;
  using bitdial::train::percent;
  if (result.stages.size() == 1) {
    return bitdial::concat("cascade: does not pay here; no stages before ", result.stages.back(),
                           " give its accuracy within 0.2 points in less time");
  }
  return bitdial::concat(
      "cascade: ", bitdial::join(result.stages, ", then "), "; the first answers ",
      percent(result.answered_first, 0), "; ", percent(result.accuracy, 2), " right against ",
      percent(result.full_accuracy, 2), ", ", percent(result.agreement, 1), " the same answer; ",
      fixed(result.ms, 4), " ms/image against ", fixed(result.full_ms, 4),
      result.pays() ? ": it pays" : ": it does not pay");
}

}  // namespace quickstart
