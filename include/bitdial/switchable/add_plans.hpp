// SPDX-License-Identifier: Apache-2.0
// Private state of a whole network for the plans that it is to run.
#pragma once

#include <span>

#include <bitdial/nn/traverse.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Gives every quantized layer and follower of a network the private state that `plans` need. New
/// states start as copies of the layer's first one. Call it before the optimizer collects the
/// parameters. Throws `PrecisionError` for a plan that has not one entry per layer (or one for
/// all), and for a width that a layer was not built for; the network is as before then.
inline void add_plans(nn::Module& network, std::span<const PrecisionPlan> plans) {
  const nn::Named<nn::QuantizedLayer> layers = nn::quantized_layers(network);
  for (const PrecisionPlan& plan : plans) {
    if (!plan.fits(layers.size())) {
      throw PrecisionError(concat("add_plans: plan ", plan, " has ", plan.size(),
                                  " entries, the network has ", layers.size(),
                                  " quantized layers"));
    }
    for (const auto& [name, layer] : layers) static_cast<void>(layer->executed(plan));
  }
  for (const PrecisionPlan& plan : plans) {
    for (const auto& [name, layer] : layers) layer->add_plan(plan);
    for (nn::PlanFollower* const follower : nn::plan_followers(network)) follower->add_plan(plan);
  }
}

}  // namespace bitdial::inline BITDIAL_ABI
