// SPDX-License-Identifier: Apache-2.0
// Self-distillation: the switches of one network teach each other.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include <bitdial/autodiff/functions.hpp>
#include <bitdial/ops/losses.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Who teaches. Source: SP-Nets, 2002.02815 (which of the two the paper reports is inferred).
enum class Teacher : std::uint8_t {
  none,      ///< every switch learns from the labels alone
  highest,   ///< the first (highest) switch teaches the others
  ensemble,  ///< the mean of all switches' probabilities teaches every switch
};

/// Loss of a student = CE(labels) + weight * KL(teacher || student); the teacher's probabilities
/// are constants. SP-Nets uses weight 1 and temperature 1.
struct SelfDistillation {
  Teacher teacher = Teacher::highest;
  float weight = 1.0F;
  double temperature = 1.0;
};

/// softmax(logits / temperature), detached from the tape: `[N, classes]`.
[[nodiscard]] inline Tensor<float> detached_probabilities(Var logits, double temperature) {
  Tensor<float> probabilities(logits.shape());
  ops::softmax_forward(probabilities.view(), logits.value().view(), temperature);
  return probabilities;
}

/// The mean of equally shaped distributions; `distributions` is not empty.
[[nodiscard]] inline Tensor<float> mean_distribution(std::span<const Tensor<float>> distributions) {
  Tensor<float> mean(distributions.front().shape());
  for (const Tensor<float>& distribution : distributions) {
    for (std::int64_t i = 0; i < mean.size(); ++i) mean[i] += distribution[i];
  }
  const float share = 1.0F / static_cast<float>(distributions.size());
  for (float& value : mean.span()) value *= share;
  return mean;
}

/// The loss of one switch; `teacher` is null for the switch that has none.
[[nodiscard]] inline Var switch_loss(Var logits, std::span<const std::int32_t> labels,
                                     const Tensor<float>* teacher,
                                     const SelfDistillation& options) {
  const Var labelled = ad::softmax_cross_entropy(logits, labels);
  if (teacher == nullptr || options.weight == 0.0F) return labelled;
  const Var taught =
      ad::kl_divergence(logits, teacher->view(), {.temperature = options.temperature});
  return ad::add(labelled, ad::scale(taught, options.weight));
}

}  // namespace bitdial::inline BITDIAL_ABI
