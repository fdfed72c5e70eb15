// SPDX-License-Identifier: Apache-2.0
// A batch normalisation that stands alone, as before the convolutions of pre-activation networks.
#pragma once

#include <cstdint>
#include <string>

#include <bitdial/nn/batch_norm.hpp>
#include <bitdial/nn/plan_follower.hpp>
#include <bitdial/switchable/state_bank.hpp>
#include <bitdial/switchable/state_key.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Channels and constants of a `SwitchableBatchNorm`.
struct SwitchableBatchNormOptions {
  std::int64_t channels = 1;
  nn::BatchNormOptions batch_norm{};
};

/// y = BN_key(x) per channel, with statistics, gamma and beta of its own for every switch.
///
/// The switch is that of the next quantized layer of the network, which reads what is normalised
/// here; behind the last layer it is that of the last one. x `[..., channels]`. Evaluation is
/// y = fma(x, g[c], h[c]), with the numbers of the packed network.
/// Errors: `PrecisionError` for a plan that `add_plans` has not seen.
/// Sources: He et al., 1603.05027 (pre-activation); Any-Precision, 1911.07346 (one per width).
template <class Key = KeyByPair>
class SwitchableBatchNorm final : public nn::Module, public nn::PlanFollower {
 public:
  using Options = SwitchableBatchNormOptions;

  /// Throws `ConfigError` for less than one channel.
  explicit SwitchableBatchNorm(const Options& options) : options_{options} {
    if (options.channels < 1) {
      throw ConfigError(
          concat("batch normalisation: channels must be at least 1, got ", options.channels));
    }
  }

  [[nodiscard]] Var forward(Var x, const nn::Pass& pass) override {
    return nn::batch_norm(x, state(pass.plan), options_.batch_norm, pass.mode);
  }

  void visit(nn::ModuleVisitor& visitor, const std::string& name) override {
    visitor.follower(name, *this);
    for (const auto& [key, state] : bank_) {
      nn::visit(visitor, nn::child_name(name, "bn." + key.text()), *state);
    }
  }

  [[nodiscard]] std::int32_t describe(nn::Description& description, std::int32_t x) const override {
    return description.append(x, [this](const PrecisionPlan& plan) {
      return nn::folded(state(plan), options_.batch_norm);
    });
  }

  void add_plan(const PrecisionPlan& plan) override {
    static_cast<void>(bank_.add(key(plan), nn::BatchNormState(options_.channels)));
  }

 private:
  [[nodiscard]] nn::BatchNormState& state(const PrecisionPlan& plan) {
    return bank_.at(key(plan), position());
  }
  [[nodiscard]] const nn::BatchNormState& state(const PrecisionPlan& plan) const {
    return bank_.at(key(plan), position());
  }
  /// That of the leader.
  [[nodiscard]] nn::LayerPosition position() const {
    return leader() == nullptr ? nn::LayerPosition{} : leader()->position();
  }

  /// The key of the leader.
  [[nodiscard]] typename Key::Key key(const PrecisionPlan& plan) const {
    const Precision asked = requested(plan);
    if (leader() == nullptr) return Key::key(asked);
    return Key::key(
        {asked, leader()->executed(plan), nn::previous_precision(leader()->position(), plan)});
  }

  Options options_;
  StateBank<typename Key::Key, nn::BatchNormState> bank_;
};

}  // namespace bitdial::inline BITDIAL_ABI
