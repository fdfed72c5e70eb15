// SPDX-License-Identifier: Apache-2.0
// Dynamic block swapping: a student in training borrows blocks of its teacher.
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <bitdial/core/error.hpp>
#include <bitdial/core/random.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/nn/traverse.hpp>
#include <bitdial/quant/plan.hpp>
#include <bitdial/switchable/plan_mixture.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// The student's plan with the teacher's precisions in some blocks: block i is the teacher's where
/// r_i < probability, r_i uniform in [0, 1), number i of `random`. Layers outside of blocks stay
/// the student's.
///
/// A plan is all that a forward pass needs, so batch normalisation and clipping values follow the
/// block: the bank of each layer is asked for the precision that the mixed plan gives it. Where the
/// key of the banks looks at the layer before (`KeyByTransition`), call `add_mixtures` first.
///
/// Throws `ConfigError` for a probability outside of [0, 1] and a block outside of the network,
/// `PrecisionError` for plans that do not fit `layers` layers. Source: CoQuant, 2103.01435.
/// Inferred: one draw per block and step, gradients flow through the borrowed blocks as through all
/// others.
[[nodiscard]] inline PrecisionPlan swap_blocks(const PrecisionPlan& student,
                                               const PrecisionPlan& teacher,
                                               std::span<const nn::LayerBlock> blocks,
                                               std::size_t layers, float probability,
                                               Random random) {
  if (!(probability >= 0.0F && probability <= 1.0F)) {
    throw ConfigError(
        concat("swap_blocks: expected a probability between 0 and 1, got ", probability));
  }
  std::vector<Precision> mixed = layer_precisions(student, layers);
  const std::vector<Precision> borrowed = layer_precisions(teacher, layers);
  for (const nn::LayerBlock& block : blocks) {
    if (block.first < 0 || block.count < 0 ||
        static_cast<std::size_t>(block.first) + static_cast<std::size_t>(block.count) > layers) {
      throw ConfigError(concat("swap_blocks: block '", block.name, "' has the layers ", block.first,
                               " .. ", block.first + block.count - 1, ", the network has ", layers,
                               " quantized layers"));
    }
    if (!(random.uniform() < probability)) continue;
    for (int i = block.first; i < block.first + block.count; ++i) {
      mixed[static_cast<std::size_t>(i)] = borrowed[static_cast<std::size_t>(i)];
    }
  }
  return plan_of(std::move(mixed));
}

}  // namespace bitdial::inline BITDIAL_ABI
