// SPDX-License-Identifier: Apache-2.0
// Batch normalisation on a `BatchNormState`, for layers that own one or several of them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <bitdial/autodiff/functions.hpp>
#include <bitdial/nn/module.hpp>
#include <bitdial/ops/batch_norm.hpp>

namespace bitdial::inline BITDIAL_ABI::nn {

using BatchNormOptions = ops::BatchNormOptions;

/// The evaluation form of `state`: y = fma(x, g[c], h[c]). Spans have one entry per channel.
inline void fold(const BatchNormState& state, const BatchNormOptions& options, std::span<float> g,
                 std::span<float> h) {
  const Shape& channels = state.gamma.value.shape();
  ops::fold_batch_norm(TensorView<float>{g.data(), channels}, TensorView<float>{h.data(), channels},
                       state.gamma.value.view(), state.beta.value.view(), state.running_mean.view(),
                       state.running_var.view(), options.epsilon);
}

/// Where the batch normalisation of a convolution stands.
enum class BatchNormPlace : std::uint8_t {
  after,       ///< BN(conv(x)); a ReLU may follow
  after_relu,  ///< BN(relu(conv(x))): SP-Nets' order for two-sided quantizers
  none,        ///< conv(x): the network normalises elsewhere, or not at all
};

/// The evaluation form of `state` as numbers: fma(x, multiplier[c], bias[c]).
[[nodiscard]] inline Epilogue folded(const BatchNormState& state, const BatchNormOptions& options) {
  const auto channels = static_cast<std::size_t>(state.gamma.value.size());
  Epilogue result{std::vector<float>(channels), std::vector<float>(channels)};
  fold(state, options, result.multiplier, result.bias);
  return result;
}

/// Shows the parameters and statistics of `state` to `visitor`.
inline void visit(ModuleVisitor& visitor, const std::string& name, BatchNormState& state) {
  visitor.parameter(name + ".gamma", state.gamma);
  visitor.parameter(name + ".beta", state.beta);
  visitor.buffer(name + ".running_mean", state.running_mean);
  visitor.buffer(name + ".running_var", state.running_var);
}

/// Normalises x `[..., C]` with the batch's statistics (training, which also moves the running
/// ones) or with the running ones (evaluation). Ioffe and Szegedy, "Batch normalization", ICML
/// 2015.
[[nodiscard]] inline Var batch_norm(Var x, BatchNormState& state, const BatchNormOptions& options,
                                    Mode mode) {
  if (mode == Mode::training) {
    Tape& tape = x.tape();
    return ad::batch_norm(x, tape.parameter(state.gamma.value, state.gamma.grad),
                          tape.parameter(state.beta.value, state.beta.grad), state.running_mean,
                          state.running_var, options);
  }
  Tensor<float> g(state.gamma.value.shape());
  Tensor<float> h(state.gamma.value.shape());
  fold(state, options, g.span(), h.span());
  return ad::scale_shift(x, x.tape().constant(std::move(g)), x.tape().constant(std::move(h)));
}

}  // namespace bitdial::inline BITDIAL_ABI::nn
