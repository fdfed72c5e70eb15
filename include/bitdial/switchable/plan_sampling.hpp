// SPDX-License-Identifier: Apache-2.0
// Which plans a training step runs, as a pure function of its number: nothing to save.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include <bitdial/core/random.hpp>
#include <bitdial/quant/plan.hpp>
#include <bitdial/switchable/plan_mixture.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// The plans of optimizer step 0, 1, ..., highest first, at least one; any callable will do. The
/// network must have the private state of all of them.
using PlanSampler = std::function<std::vector<PrecisionPlan>(std::int64_t step)>;

/// Bit-Mixer's training in three stages:
///
///   step <  switches_from   the highest plan alone,
///   step <  mixtures_from   all plans,
///   step >= mixtures_from   all plans (or only the highest), and `mixtures` plans whose every
///                           layer has the precision of a plan drawn with equal chances.
///
/// Needs `add_mixtures(network, plans)`. Cost of the last stage: one forward and one backward pass
/// more per mixture. Bulat and Tzimiropoulos, "Bit-Mixer", ICCV 2021: per-layer random bits in the
/// last of three stages; inferred: the first two stages, and that the switches keep running beside
/// the mixtures.
struct BitMixerPlans {
  std::vector<PrecisionPlan> plans{};  ///< the switches, highest first
  std::size_t layers = 0;              ///< quantized layers of the network, at least 1
  std::int64_t switches_from = 0;
  std::int64_t mixtures_from = 0;
  int mixtures = 1;           ///< per step
  bool keep_switches = true;  ///< false: the last stage runs the highest plan and the mixtures
  std::uint64_t seed = 1;

  static constexpr std::uint64_t purpose = 0x6d69787475726573;  ///< keeps streams apart

  [[nodiscard]] std::vector<PrecisionPlan> operator()(std::int64_t step) const {
    if (plans.empty()) throw ConfigError("BitMixerPlans: expected at least one plan, got none");
    if (layers == 0) {
      throw ConfigError(
          "BitMixerPlans: expected the number of quantized layers in `layers`, got 0; take "
          "nn::quantized_layers(network).size()");
    }
    const bool is_mixed = step >= mixtures_from;
    if (step < switches_from && !is_mixed) return {plans.front()};
    if (!is_mixed) return plans;
    std::vector<PrecisionPlan> running =
        keep_switches ? plans : std::vector<PrecisionPlan>{plans.front()};
    for (int mixture = 0; mixture < mixtures; ++mixture) {
      const auto stream =
          static_cast<std::uint64_t>(step) * 256U + static_cast<std::uint64_t>(mixture);
      running.push_back(random_mixture(plans, layers, {seed ^ purpose, stream}));
    }
    return running;
  }
};

}  // namespace bitdial::inline BITDIAL_ABI
