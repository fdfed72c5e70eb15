// SPDX-License-Identifier: Apache-2.0
// What switches learn from, as the papers have it: `.teaching = methods::any_precision()`.
#pragma once

#include <bitdial/switchable/teaching.hpp>

namespace bitdial::inline BITDIAL_ABI::methods {

/// Labels alone, for every switch. AdaBits, 1912.09666; Any-Precision's "hard".
[[nodiscard]] inline Teaching adabits() {
  return {.teacher = Teacher::none};
}

/// CE + KL(highest || switch) with epsilon 1e-5 in the KL, as in the authors' code.
/// SP-Nets, 2002.02815. Inferred: that the paper reports this teacher with weight 1.
[[nodiscard]] inline Teaching sp_nets() {
  return {.teacher = Teacher::highest, .epsilon = 1e-5};
}

/// CE + KL(mean of all switches || switch), for every switch. SP-Nets' other script, 2002.02815.
[[nodiscard]] inline Teaching sp_nets_ensemble() {
  return {.teacher = Teacher::ensemble, .epsilon = 1e-5};
}

/// CE for the highest switch; every other one learns softCE(next higher, switch) and no labels.
/// Any-Precision, 1911.07346 ("recursive").
[[nodiscard]] inline Teaching any_precision() {
  return {.teacher = Teacher::next_higher,
          .divergence = Divergence::soft_cross_entropy,
          .label_weight = 0.0F};
}

/// The same from the highest switch. Any-Precision, 1911.07346 ("soft").
[[nodiscard]] inline Teaching any_precision_soft() {
  return {.teacher = Teacher::highest,
          .divergence = Divergence::soft_cross_entropy,
          .label_weight = 0.0F};
}

/// CE + weight * softCE(teacher, switch), the teacher chosen per batch among the higher switches.
/// Combine it with `TrainerOptions::block_swap`. CoQuant, 2103.01435. Inferred: the choice by the
/// smallest label loss, and the form of the loss.
[[nodiscard]] inline Teaching coquant(float weight = 1.0F, Teacher teacher = Teacher::best) {
  return {.teacher = teacher, .divergence = Divergence::soft_cross_entropy, .weight = weight};
}

/// CE + sum over all higher switches of MSE(logits). InstantNet's cascade distillation.
[[nodiscard]] inline Teaching instantnet() {
  return {.teacher = Teacher::all_higher, .divergence = Divergence::mean_squared_error};
}

/// (1 - lambda) CE + lambda D(highest, switch); the highest switch, w32a32 in the paper, learns
/// from labels. Quantizable DNNs, 2004.05284. Inferred: the form of the loss, lambda and D; a
/// gradient into the 32-bit mode needs `consistency_loss`.
[[nodiscard]] inline Teaching quantizable(float lambda = 0.5F,
                                          Divergence divergence = Divergence::kl) {
  return {.teacher = Teacher::highest,
          .divergence = divergence,
          .weight = lambda,
          .label_weight = 1.0F - lambda};
}

}  // namespace bitdial::inline BITDIAL_ABI::methods
