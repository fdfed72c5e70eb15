// SPDX-License-Identifier: Apache-2.0
// The interface of optimizers: one step over all parameters, and the state a checkpoint must hold.
#pragma once

#include <string>
#include <utility>
#include <vector>

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

/// Weight decay applies to weights alone: never to biases, batch normalisation or clip values.
[[nodiscard]] constexpr float decay_of(const nn::Parameter& parameter, float decay) noexcept {
  return parameter.role == nn::ParameterRole::weight ? decay : 0.0F;
}

}  // namespace bitdial::inline BITDIAL_ABI::train
