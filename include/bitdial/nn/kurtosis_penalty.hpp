// SPDX-License-Identifier: Apache-2.0
// KURE: weights whose distribution suits every bit width.
#pragma once

#include <span>
#include <string>
#include <vector>

#include <bitdial/autodiff/functions.hpp>
#include <bitdial/nn/traverse.hpp>
#include <bitdial/ops/kurtosis.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// mean over the quantized layers l of (kurtosis(W_l) - target)^2, one element on `tape`.
///
/// A term of the loss that depends on the shared weights alone, so one per step serves all
/// precisions: L = sum of the switches' losses + lambda * penalty, lambda = 1 in the paper. Weights
/// near the uniform distribution (kurtosis 1.8) change least under a change of bit width.
///
///     TrainerOptions{..., .penalty = [&](Tape& tape) { return kurtosis_penalty(tape, network); }}
///
/// Throws `ConfigError` for a network without quantized layers. Shkolnik et al., "Robust
/// quantization", arXiv 2002.07686.
[[nodiscard]] inline Var kurtosis_penalty(Tape& tape, nn::Module& network,
                                          const ops::KurtosisOptions& options = {}) {
  const nn::Named<nn::Parameter> parameters = nn::parameters(network);
  std::vector<Var> terms;
  for (const auto& [layer, quantized] : nn::quantized_layers(network)) {
    const std::string name = nn::child_name(layer, "weight");
    for (const auto& [known, parameter] : parameters) {
      if (known != name) continue;
      terms.push_back(
          ad::kurtosis_penalty(tape.parameter(parameter->value, parameter->grad), options));
    }
  }
  if (terms.empty()) throw ConfigError("kurtosis_penalty: the network has no quantized layers");
  return ad::scale(ad::sum(std::span<const Var>{terms}), 1.0F / static_cast<float>(terms.size()));
}

}  // namespace bitdial::inline BITDIAL_ABI
