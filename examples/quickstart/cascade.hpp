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

struct CascadeResult {
  std::vector<std::string> stages;  // names of plans; one: no cascade was quicker
  bitdial::CascadeReport report;    // latencies per image, measured in turns
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
  CascadeResult result{.stages = {},
                       .report = bitdial::fit_cascade(answers, test.labels()).value()};
  bitdial::CascadeReport& report = result.report;
  for (const auto& stage : report.stages) {
    result.stages.push_back(model.plans()[stage.plan].name());
  }
  // The images that the choice has not seen have odd numbers.
  const auto cascade = bitdial::Cascade::create(model, report.stages).value();
  std::vector<float> outputs(static_cast<std::size_t>(model.output_size()));
  const std::int64_t most = std::min<std::int64_t>(test.size(), 4000);
  std::chrono::duration<double> cascade_time{}, full_time{};
  double counted = 0.0;
  for (std::int64_t i = 1; i < most; i += 2, ++counted) {
    const auto begin = Clock::now();
    static_cast<void>(cascade.run(session, test.image(i), outputs).value());
    const auto middle = Clock::now();
    session.run(test.image(i), outputs, plans.back()).value();
    cascade_time += middle - begin;
    full_time += Clock::now() - middle;
  }
  report.mean_latency = cascade_time.count() / counted;
  report.full_latency = full_time.count() / counted;
  return result;
}

// "cascade: w1a1 (83 %), then w8a8: ..."
inline std::string cascade_sentence(const CascadeResult& result) {
  using bitdial::train::fixed;
  using bitdial::train::percent;
  const bitdial::CascadeReport& report = result.report;
  if (result.stages.size() == 1) {
    return bitdial::concat("cascade: does not pay here; no stages before ", result.stages.back(),
                           " give its accuracy within ", fixed(report.tolerance * 100, 1),
                           " points in less time");
  }
  return bitdial::concat(
      "cascade: ", bitdial::join(result.stages, ", then "), "; the first answers ",
      percent(report.shares.front(), 0), "; ", percent(report.accuracy, 2), " right against ",
      percent(report.full_accuracy, 2), ", ", percent(report.agreement, 1), " the same answer; ",
      fixed(report.mean_latency * 1e3, 4), " ms/image against ",
      fixed(report.full_latency * 1e3, 4), report.pays() ? ": it pays" : ": it does not pay");
}

}  // namespace quickstart
