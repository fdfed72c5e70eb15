// SPDX-License-Identifier: Apache-2.0
// Parts of a network that have private state for every switch without being quantized layers.
#pragma once

#include <cstddef>

#include <bitdial/core/error.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/nn/quantized_layer.hpp>
#include <bitdial/quant/plan.hpp>

namespace bitdial::inline BITDIAL_ABI::nn {

/// A part whose switch is that of its leader: the quantized layer behind it in the network, or the
/// last one where none is left.
class PlanFollower {
 public:
  virtual ~PlanFollower() = default;

  /// Creates the private state that the part needs to run under `plan`, unless it is there.
  virtual void add_plan(const PrecisionPlan& plan) = 0;

  /// `leader` is a layer of the same network; `number_layers` calls this.
  void set_leader(const QuantizedLayer& leader) noexcept { leader_ = &leader; }

 protected:
  /// Null until `number_layers` ran: then plans of one entry serve.
  [[nodiscard]] const QuantizedLayer* leader() const noexcept { return leader_; }

  /// What a plan asks of the leader. Throws `PrecisionError` for a plan of another network.
  [[nodiscard]] Precision requested(const PrecisionPlan& plan) const {
    const int count = leader_ == nullptr ? 1 : leader_->layer_count();
    if (!plan.fits(static_cast<std::size_t>(count))) {
      throw PrecisionError(concat("plan: ", plan, " has ", plan.size(),
                                  " entries, a batch normalisation belongs to a network of ", count,
                                  " quantized layers; call nn::number_layers on the complete "
                                  "network"));
    }
    return plan.at(static_cast<std::size_t>(leader_ == nullptr ? 0 : leader_->index()));
  }

 private:
  const QuantizedLayer* leader_ = nullptr;
};

}  // namespace bitdial::inline BITDIAL_ABI::nn
