// SPDX-License-Identifier: Apache-2.0
// Finds the cascade that answers as well as the best plan in the least time, from held-out images.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <bitdial/core/assert.hpp>
#include <bitdial/core/result.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/deploy/cascade.hpp>
#include <bitdial/deploy/model.hpp>
#include <bitdial/deploy/session.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// What one plan says of all held-out images.
struct PlanAnswers {
  std::size_t plan = 0;  ///< index into `Model::plans()`
  double latency = 0.0;  ///< seconds per image
  std::vector<Confidence> answers;
};

/// How a cascade does on images whose labels are known, and whether it is worth having.
struct CascadeReport {
  std::vector<CascadeStage> stages;
  std::vector<double> shares;  ///< of the images, answered by each stage
  double accuracy = 0.0;       ///< of the cascade
  double full_accuracy = 0.0;  ///< of the last plan alone
  double agreement = 0.0;      ///< share of images with the same answer as the last plan
  double mean_latency = 0.0;   ///< seconds per image, all stages that ran
  double full_latency = 0.0;   ///< of the last plan alone
  double tolerance = 0.0;      ///< that the choice was allowed
  std::size_t images = 0;      ///< on which all this was counted

  /// True when it has more than one stage, is quicker than the last plan alone and loses at most
  /// `tolerance`, also on these images.
  [[nodiscard]] bool pays() const noexcept {
    return stages.size() > 1 && mean_latency < full_latency &&
           accuracy >= full_accuracy - tolerance;
  }
};

struct FitCascadeOptions {
  /// How much accuracy may be lost against the last plan: 0.002 are 0.2 points.
  double tolerance = 0.002;
};

namespace detail {

/// From confidence to accuracy: the share of right answers among images with a similar margin, made
/// monotone by pooling neighbours (isotonic regression).
class AccuracyCurve {
 public:
  AccuracyCurve(const PlanAnswers& plan, std::span<const std::int32_t> labels,
                std::span<const std::size_t> images) {
    std::vector<std::size_t> order(images.begin(), images.end());
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return plan.answers[a].margin < plan.answers[b].margin;
    });
    for (std::size_t i = 0; i < order.size();) {
      Block block{plan.answers[order[i]].margin, 0.0, 0.0};
      for (; i < order.size() && plan.answers[order[i]].margin == block.margin; ++i) {
        block.count += 1.0;
        block.right += plan.answers[order[i]].label == labels[order[i]] ? 1.0 : 0.0;
      }
      // No block is better than the one above it.
      while (!blocks_.empty() && blocks_.back().accuracy() >= block.accuracy()) {
        block = {blocks_.back().margin, blocks_.back().count + block.count,
                 blocks_.back().right + block.right};
        blocks_.pop_back();
      }
      blocks_.push_back(block);
    }
  }

  /// The least margin at which the accuracy is at least `wanted`; infinite when there is none.
  [[nodiscard]] float threshold(double wanted) const noexcept {
    for (const Block& block : blocks_) {
      if (block.accuracy() >= wanted) return block.margin;
    }
    return std::numeric_limits<float>::infinity();
  }

  /// Adds the accuracies at which the threshold changes.
  void append_levels(std::vector<double>& levels) const {
    for (const Block& block : blocks_) levels.push_back(block.accuracy());
  }

 private:
  struct Block {
    float margin = 0.0F;  ///< the least of its images
    double count = 0.0, right = 0.0;
    [[nodiscard]] double accuracy() const noexcept { return right / count; }
  };
  std::vector<Block> blocks_;
};

/// Counts what the stages do on `images`. `plans[i]` are the answers of stage i.
[[nodiscard]] inline CascadeReport count_cascade(std::span<const PlanAnswers* const> plans,
                                                 std::span<const float> thresholds,
                                                 std::span<const std::int32_t> labels,
                                                 std::span<const std::size_t> images) {
  CascadeReport report;
  report.shares.assign(plans.size(), 0.0);
  report.images = images.size();
  const PlanAnswers& last = *plans.back();
  for (const std::size_t image : images) {
    std::size_t stage = 0;
    double latency = plans[0]->latency;
    while (stage + 1 < plans.size() &&
           !(plans[stage]->answers[image].margin >= thresholds[stage])) {
      latency += plans[++stage]->latency;
    }
    const std::int32_t label = plans[stage]->answers[image].label;
    const std::int32_t full = last.answers[image].label;
    report.shares[stage] += 1.0;
    report.accuracy += label == labels[image] ? 1.0 : 0.0;
    report.full_accuracy += full == labels[image] ? 1.0 : 0.0;
    report.agreement += label == full ? 1.0 : 0.0;
    report.mean_latency += latency;
  }
  const auto count = static_cast<double>(images.size());
  for (double& share : report.shares) share /= count;
  for (double* const sum :
       {&report.accuracy, &report.full_accuracy, &report.agreement, &report.mean_latency}) {
    *sum /= count;
  }
  report.full_latency = last.latency;
  for (std::size_t i = 0; i < plans.size(); ++i) {
    const bool answers_always = i + 1 == plans.size();
    report.stages.push_back({plans[i]->plan, answers_always ? 0.0F : thresholds[i]});
  }
  return report;
}

}  // namespace detail

/// Chooses stages and thresholds from the answers of `plans`, cheapest first; the last one is the
/// plan that the cascade must match.
///
/// A stage's answer stands when images of similar margin were answered with at least accuracy t;
/// every subset of the stages and every t is tried on the images with even numbers, and of those
/// that lose at most `tolerance` the quickest is taken: the last plan alone where none is quicker.
/// The report counts the images with odd numbers, which the choice has not seen.
///
/// Errors: no plan, fewer than 2 images, numbers of answers that differ from the number of labels,
/// more than 8 plans, a latency that is not above 0, a tolerance outside 0..1. Method: early exit
/// by held-out accuracy at similar confidence, after PCEE, arXiv 2412.19325. Cost: 2^(plans - 1) *
/// levels * images steps.
[[nodiscard]] inline Result<CascadeReport> fit_cascade(std::span<const PlanAnswers> plans,
                                                       std::span<const std::int32_t> labels,
                                                       const FitCascadeOptions& options = {}) {
  constexpr std::size_t most_plans = 8, most_levels = 64;
  if (plans.empty() || plans.size() > most_plans) {
    return Failure{concat("cascade: ", plans.size(), " plans, expected 1 to ", most_plans)};
  }
  if (labels.size() < 2) {
    return Failure{concat("cascade: ", labels.size(), " held-out images, expected at least 2")};
  }
  if (!(options.tolerance >= 0.0 && options.tolerance <= 1.0)) {
    return Failure{
        concat("cascade: tolerance is ", options.tolerance, ", expected a share from 0 to 1")};
  }
  for (const PlanAnswers& plan : plans) {
    if (!(plan.latency > 0.0 && std::isfinite(plan.latency))) {
      return Failure{concat("cascade: plan ", plan.plan, ": latency ", plan.latency,
                            " s, expected a number above 0")};
    }
    if (plan.answers.size() != labels.size()) {
      return Failure{concat("cascade: ", plan.answers.size(), " answers of plan ", plan.plan,
                            " for ", labels.size(), " labels")};
    }
  }
  std::vector<std::size_t> even, odd;
  for (std::size_t i = 0; i < labels.size(); ++i) (i % 2 == 0 ? even : odd).push_back(i);

  std::vector<detail::AccuracyCurve> curves;
  std::vector<double> levels;
  for (const PlanAnswers& plan : plans) {
    curves.emplace_back(plan, labels, even);
    curves.back().append_levels(levels);
  }
  std::sort(levels.begin(), levels.end());
  levels.erase(std::unique(levels.begin(), levels.end()), levels.end());
  const std::size_t step = (levels.size() + most_levels - 1) / most_levels;

  std::vector<const PlanAnswers*> best_stages{&plans.back()};
  std::vector<float> best_thresholds{0.0F};
  double best_latency = plans.back().latency;
  const std::size_t before_last = plans.size() - 1;
  for (std::size_t subset = 1; subset < std::size_t{1} << before_last; ++subset) {
    std::vector<const PlanAnswers*> stages;
    std::vector<const detail::AccuracyCurve*> stage_curves;
    for (std::size_t i = 0; i < before_last; ++i) {
      if ((subset >> i & 1) == 0) continue;
      stages.push_back(&plans[i]);
      stage_curves.push_back(&curves[i]);
    }
    stages.push_back(&plans.back());
    for (std::size_t level = 0; level < levels.size(); level += step) {
      std::vector<float> thresholds;
      for (const auto* const curve : stage_curves) {
        thresholds.push_back(curve->threshold(levels[level]));
      }
      thresholds.push_back(0.0F);
      const CascadeReport tried = detail::count_cascade(stages, thresholds, labels, even);
      if (tried.accuracy < tried.full_accuracy - options.tolerance) continue;
      if (tried.mean_latency >= best_latency) continue;
      best_latency = tried.mean_latency;
      best_stages = stages;
      best_thresholds = thresholds;
    }
  }
  CascadeReport report = detail::count_cascade(best_stages, best_thresholds, labels, odd);
  report.tolerance = options.tolerance;
  return report;
}

/// Runs each plan of `stages` on `images` and collects the answers. `latencies` are seconds per
/// image, one per plan, for example medians of a calibration. Errors: those of `Session::run`, and
/// sizes that do not fit.
[[nodiscard]] inline Result<std::vector<PlanAnswers>> collect_answers(
    Session& session, std::span<const std::uint8_t> images, std::span<const std::size_t> stages,
    std::span<const double> latencies) {
  const auto image = static_cast<std::size_t>(session.model().input_shape().size());
  const auto values = static_cast<std::size_t>(session.model().output_size());
  if (stages.size() != latencies.size()) {
    return Failure{
        concat("cascade: ", latencies.size(), " latencies for ", stages.size(), " plans")};
  }
  if (images.size() % image != 0) {
    return Failure{concat("cascade: ", images.size(), " input bytes, one image has ", image, ", ",
                          session.model().input_shape())};
  }
  const std::size_t count = images.size() / image;
  std::vector<float> outputs(count * values);
  std::vector<PlanAnswers> result;
  for (std::size_t i = 0; i < stages.size(); ++i) {
    if (auto done = session.run(images, outputs, stages[i]); !done) return done.failure();
    PlanAnswers& answers = result.emplace_back(PlanAnswers{stages[i], latencies[i], {}});
    for (std::size_t n = 0; n < count; ++n) {
      answers.answers.push_back(confidence_of(std::span{outputs}.subspan(n * values, values)));
    }
  }
  return result;
}

}  // namespace bitdial::inline BITDIAL_ABI
