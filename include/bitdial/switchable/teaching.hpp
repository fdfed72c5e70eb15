// SPDX-License-Identifier: Apache-2.0
// What each switch of a network learns from: labels, other switches, or both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <bitdial/autodiff/functions.hpp>
#include <bitdial/core/error.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/ops/divergence.hpp>
#include <bitdial/ops/losses.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Who teaches a switch. Switches are ordered, highest first; the first one has no teacher but the
/// ensemble. Teachers are constants: no gradient flows into them.
///
/// All but `ensemble` run the switches one after another and hold one forward pass in memory (and
/// the logits of the others); `ensemble` holds the forward passes of all switches at once.
enum class Teacher : std::uint8_t {
  none,         ///< every switch learns from the labels alone (AdaBits)
  highest,      ///< the first switch teaches the others (SP-Nets; Any-Precision's "soft")
  next_higher,  ///< each switch is taught by the one before it (Any-Precision's "recursive")
  all_higher,   ///< each switch is taught by all before it, terms add up (InstantNet's cascade)
  best,         ///< of the switches before it, the one with the smallest label loss (CoQuant)
  random,       ///< of the switches before it, one drawn with equal chances (CoQuant)
  chosen,       ///< of the switches before it, the one that `Teaching::choose` names
  ensemble,     ///< the mean of all switches' probabilities teaches every switch (SP-Nets)
};

/// The loss of switch i:
///
///   L_i = s_i (CE(labels, z_i))                                         without a teacher,
///   L_i = s_i (label_weight CE(labels, z_i) + weight sum_t D(z_t, z_i)) with teachers t,
///
/// and a step descends on the sum of all L_i. `methods::` has the settings of the papers.
struct Teaching {
  Teacher teacher = Teacher::highest;
  Divergence divergence = Divergence::kl;
  float weight = 1.0F;                  ///< of the divergence from a teacher, >= 0
  float label_weight = 1.0F;            ///< of the labels where there is a teacher, >= 0
  double temperature = 1.0;             ///< divides both sides' logits; no factor T^2 is applied
  double epsilon = 0.0;                 ///< of `Divergence::kl`, see `ops::DistillationOptions`
  std::vector<float> switch_weights{};  ///< s_i, one per switch; none: all 1
  /// For `Teacher::chosen`: the index of the teacher, given the label losses of the switches before
  /// the student and the number of the step.
  std::function<std::size_t(std::span<const float> label_losses, std::int64_t step)> choose{};
};

/// Throws `ConfigError` for numbers out of range, for a number of weights that is not that of the
/// switches, and for `Teacher::chosen` without `choose`.
inline void require_valid(const Teaching& teaching, std::size_t switches) {
  if (!(teaching.weight >= 0.0F) || !(teaching.label_weight >= 0.0F)) {
    throw ConfigError(concat("teaching: expected weights >= 0, got weight ", teaching.weight,
                             ", label_weight ", teaching.label_weight));
  }
  if (!(teaching.temperature > 0.0) || !(teaching.epsilon >= 0.0)) {
    throw ConfigError(concat("teaching: expected temperature > 0 and epsilon >= 0, got ",
                             teaching.temperature, " and ", teaching.epsilon));
  }
  if (!teaching.switch_weights.empty() && teaching.switch_weights.size() != switches) {
    throw ConfigError(concat("teaching: expected one of switch_weights per switch, got ",
                             teaching.switch_weights.size(), " for ", switches));
  }
  for (const float weight : teaching.switch_weights) {
    if (!(weight >= 0.0F)) {
      throw ConfigError(concat("teaching: expected switch_weights >= 0, got ", weight));
    }
  }
  if (teaching.teacher == Teacher::chosen && !teaching.choose) {
    throw ConfigError("teaching: Teacher::chosen needs the function `choose`");
  }
}

/// What a switch with these logits teaches others, detached from its tape: softmax(logits / T), or
/// the logits themselves for `Divergence::mean_squared_error`. `[N, classes]`.
[[nodiscard]] inline Tensor<float> lesson_of(Var logits, const Teaching& teaching) {
  if (teaching.divergence == Divergence::mean_squared_error) return logits.value();
  Tensor<float> probabilities(logits.shape());
  ops::softmax_forward(probabilities.view(), logits.value().view(), teaching.temperature);
  return probabilities;
}

/// The lesson of an ensemble: the mean of equally shaped ones; `lessons` is not empty.
[[nodiscard]] inline Tensor<float> mean_lesson(std::span<const Tensor<float>> lessons) {
  Tensor<float> mean(lessons.front().shape());
  for (const Tensor<float>& lesson : lessons) {
    for (std::int64_t i = 0; i < mean.size(); ++i) mean[i] += lesson[i];
  }
  const float share = 1.0F / static_cast<float>(lessons.size());
  for (float& value : mean.span()) value *= share;
  return mean;
}

/// The divergence of a switch from one lesson.
[[nodiscard]] inline Var lesson_loss(Var logits, const Tensor<float>& lesson,
                                     const Teaching& teaching) {
  const ops::DistillationOptions options{.temperature = teaching.temperature,
                                         .epsilon = teaching.epsilon};
  switch (teaching.divergence) {
    case Divergence::soft_cross_entropy:
      return ad::soft_cross_entropy(logits, lesson.view(), options);
    case Divergence::mean_squared_error:
      return ad::mean_squared_error(logits, lesson.view());
    case Divergence::kl:
      break;
  }
  return ad::kl_divergence(logits, lesson.view(), options);
}

/// The loss of one switch from its `lessons`, before its own weight s_i.
[[nodiscard]] inline Var switch_loss(Var logits, std::span<const std::int32_t> labels,
                                     std::span<const Tensor<float>* const> lessons,
                                     const Teaching& teaching) {
  if (lessons.empty()) return ad::softmax_cross_entropy(logits, labels);
  std::vector<Var> terms;
  const auto add_term = [&](Var term, float weight) {
    terms.push_back(weight == 1.0F ? term : ad::scale(term, weight));
  };
  if (teaching.label_weight > 0.0F || teaching.weight == 0.0F) {
    add_term(ad::softmax_cross_entropy(logits, labels), teaching.label_weight);
  }
  if (teaching.weight > 0.0F) {
    for (const Tensor<float>* lesson : lessons) {
      add_term(lesson_loss(logits, *lesson, teaching), teaching.weight);
    }
  }
  return ad::sum(std::span<const Var>(terms));
}

}  // namespace bitdial::inline BITDIAL_ABI
