// SPDX-License-Identifier: Apache-2.0
// A learned tensor with its gradient, and the state of a batch normalisation.
#pragma once

#include <cstdint>
#include <utility>

#include <bitdial/core/tensor.hpp>

namespace bitdial::inline BITDIAL_ABI::nn {

/// What a parameter is for; optimizers decide by it whether weight decay applies.
enum class ParameterRole : std::uint8_t {
  weight,        ///< convolution and linear weights: decayed
  bias,          ///< not decayed
  batch_norm,    ///< gamma and beta: not decayed
  clip,          ///< learned clipping values and step sizes: not decayed
  architecture,  ///< the shares of a search: decayed, by an optimizer of their own
};

/// A learned tensor: `grad` accumulates until the optimizer clears it.
struct Parameter {
  Tensor<float> value;
  Tensor<float> grad;
  ParameterRole role = ParameterRole::weight;

  Parameter() = default;
  Parameter(Tensor<float> initial, ParameterRole parameter_role)
      : value{std::move(initial)}, grad{value.shape()}, role{parameter_role} {}
};

/// The private numbers of one batch normalisation over `channels`: y = gamma x^ + beta with running
/// statistics for evaluation.
struct BatchNormState {
  Parameter gamma;
  Parameter beta;
  Tensor<float> running_mean;
  Tensor<float> running_var;

  BatchNormState() = default;
  explicit BatchNormState(std::int64_t channels)
      : gamma{Tensor<float>({channels}, 1.0F), ParameterRole::batch_norm},
        beta{Tensor<float>({channels}), ParameterRole::batch_norm},
        running_mean({channels}),
        running_var({channels}, 1.0F) {}
};

}  // namespace bitdial::inline BITDIAL_ABI::nn
