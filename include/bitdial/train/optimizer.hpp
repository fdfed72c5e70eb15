// SPDX-License-Identifier: Apache-2.0
// The interface of optimizers: one step over all parameters, and the state a checkpoint must hold.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <bitdial/core/parallel.hpp>
#include <bitdial/nn/traverse.hpp>

namespace bitdial::inline BITDIAL_ABI::train {

/// Moves parameters along their gradients.
class Optimizer {
 public:
  explicit Optimizer(nn::Named<nn::Parameter> parameters) : parameters_{std::move(parameters)} {}
  virtual ~Optimizer() = default;

  /// The parameters that `step` moves, with their names.
  [[nodiscard]] const nn::Named<nn::Parameter>& parameters() const noexcept { return parameters_; }

  /// One update of every parameter from its gradient; gradients are left as they are.
  virtual void step(float learning_rate) = 0;

  /// The tensors that a checkpoint must hold, with their names.
  [[nodiscard]] virtual nn::Named<Tensor<float>> state() = 0;

 private:
  nn::Named<nn::Parameter> parameters_;
};

/// How learned clips and step sizes move, apart from all other parameters.
struct ClipGroup {
  float rate = 1.0F;   ///< times the learning rate, above 0
  float decay = 0.0F;  ///< weight decay: PACT's L2 penalty on alpha is 0.0002 there, 1805.06085
};

/// The decay and the learning rate of one parameter. Weight decay applies to weights, and to the
/// shares of a search: never to biases and batch normalisation, to clips as their group says.
struct ParameterGroup {
  float decay = 0.0F;
  float rate = 0.0F;

  [[nodiscard]] static constexpr ParameterGroup of(const nn::Parameter& parameter, float decay,
                                                   float rate, const ClipGroup& clips) noexcept {
    switch (parameter.role) {
      case nn::ParameterRole::weight:
      case nn::ParameterRole::architecture:
        return {decay, rate};
      case nn::ParameterRole::clip:
        return {clips.decay, rate * clips.rate};
      default:
        return {0.0F, rate};
    }
  }
};

/// Throws `ConfigError` for a group out of range.
inline void require_valid(const ClipGroup& clips, const char* optimizer) {
  if (clips.rate > 0.0F && clips.decay >= 0.0F) return;
  throw ConfigError(concat(optimizer, ": expected clips with rate > 0 and decay >= 0, got rate ",
                           clips.rate, ", decay ", clips.decay));
}

}  // namespace bitdial::inline BITDIAL_ABI::train
