// SPDX-License-Identifier: Apache-2.0
// Plans made of several plans, layer by layer, and the private state that they need.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <bitdial/core/error.hpp>
#include <bitdial/core/random.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/nn/traverse.hpp>
#include <bitdial/quant/plan.hpp>
#include <bitdial/switchable/switchable_layer.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// The precision of each of `layers` layers. Throws `PrecisionError` for a plan that does not fit.
[[nodiscard]] inline std::vector<Precision> layer_precisions(const PrecisionPlan& plan,
                                                             std::size_t layers) {
  if (!plan.fits(layers)) {
    throw PrecisionError(concat("plan: ", plan, " has ", plan.size(), " entries, the network has ",
                                layers, " quantized layers"));
  }
  std::vector<Precision> precisions;
  for (std::size_t layer = 0; layer < layers; ++layer) precisions.push_back(plan.at(layer));
  return precisions;
}

/// The plan with these entries; the uniform plan where all are equal.
[[nodiscard]] inline PrecisionPlan plan_of(std::vector<Precision> precisions) {
  const PrecisionPlan plan = *PrecisionPlan::per_layer(std::move(precisions));
  return plan.is_uniform() ? PrecisionPlan{plan.at(0)} : plan;
}

/// A plan whose every layer takes its precision from one of `plans`, drawn with equal chances.
///
/// The same `random` gives the same plan. Throws `ConfigError` for no plans, `PrecisionError` for
/// plans that do not fit `layers` layers.
[[nodiscard]] inline PrecisionPlan random_mixture(std::span<const PrecisionPlan> plans,
                                                  std::size_t layers, Random random) {
  if (plans.empty()) throw ConfigError("random_mixture: expected at least one plan, got none");
  std::vector<std::vector<Precision>> choices;
  for (const PrecisionPlan& plan : plans) choices.push_back(layer_precisions(plan, layers));
  std::vector<Precision> mixed;
  for (std::size_t layer = 0; layer < layers; ++layer) {
    mixed.push_back(choices[random.below(static_cast<std::uint32_t>(plans.size()))][layer]);
  }
  return plan_of(std::move(mixed));
}

/// Gives every quantized layer the private state for every plan whose layers each run as under one
/// of `plans`: block-swapped students, random mixtures, searched networks.
///
/// With `KeyByPair` and `KeyByActivationBits` these are the states that `add_plans` creates; with
/// `KeyByTransition` n plans need n^2 states per layer. The states of `plans` themselves come
/// first; all others start as copies. Call it in place of `add_plans`, before the optimizer
/// collects the parameters. Throws as `add_plans` does.
inline void add_mixtures(nn::Module& network, std::span<const PrecisionPlan> plans) {
  const nn::Named<nn::QuantizedLayer> layers = nn::quantized_layers(network);
  std::vector<std::vector<Precision>> entries;
  for (const PrecisionPlan& plan : plans) entries.push_back(layer_precisions(plan, layers.size()));
  add_plans(network, plans);
  const std::vector<nn::PlanFollower*> followers = nn::plan_followers(network);
  for (const std::vector<Precision>& before : entries) {
    for (const std::vector<Precision>& own : entries) {
      for (const auto& [name, layer] : layers) {
        const int previous = layer->position().previous;
        if (previous < 0) continue;
        std::vector<Precision> transition = own;
        transition[static_cast<std::size_t>(previous)] = before[static_cast<std::size_t>(previous)];
        const PrecisionPlan mixed = plan_of(std::move(transition));
        layer->add_plan(mixed);
        for (nn::PlanFollower* const follower : followers) follower->add_plan(mixed);
      }
    }
  }
}

}  // namespace bitdial::inline BITDIAL_ABI
