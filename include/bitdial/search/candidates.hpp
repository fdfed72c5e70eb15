// SPDX-License-Identifier: Apache-2.0
// The widths among which a search chooses, and the layers that hold a share of each.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <bitdial/nn/traverse.hpp>
#include <bitdial/ops/mixture.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// In place of the bit list of a network: its layers are searched, over these bit lists.
///
///     models::resnet_cifar<Candidates<BitList<4, 3, 2, 1>, BitList<4, 3, 2>>, GaussianWeights,
///                          HwgqActivations>({.depth = 20})
template <class WeightBits, class ActivationBits = WeightBits>
struct Candidates {
  static_assert(
      requires {
        WeightBits::values;
        ActivationBits::values;
      },
      "bitdial: Candidates<WeightBits, ActivationBits>: both must be BitLists, for example "
      "Candidates<BitList<4, 3, 2, 1>, BitList<4, 3, 2>>.");
};

/// The widths of one operand of a layer and the number that says how much each is used.
struct BitShares {
  std::span<const int> bits;
  nn::Parameter* alpha = nullptr;  ///< [bits.size()]; the shares are softmax(alpha)

  /// softmax(alpha)
  [[nodiscard]] std::vector<double> shares() const {
    Tensor<double> wide({static_cast<std::int64_t>(bits.size())});
    std::ranges::copy(alpha->value.span(), wide.data());
    Tensor<double> p(wide.shape());
    ops::mixture_shares(p.view(), wide.view());
    return {p.span().begin(), p.span().end()};
  }
  /// sum_i softmax(alpha)[i] bits[i]
  [[nodiscard]] double expected_bits() const {
    const std::vector<double> p = shares();
    double sum = 0.0;
    for (std::size_t i = 0; i < p.size(); ++i) sum += p[i] * bits[i];
    return sum;
  }
  /// The width with the largest share; of equal ones the first, which is the widest.
  [[nodiscard]] int chosen() const {
    const std::span<const float> values = alpha->value.span();
    return bits[static_cast<std::size_t>(std::ranges::max_element(values) - values.begin())];
  }
};

/// A quantized layer whose precision is still a question, whatever its type.
class SearchedLayer : public nn::QuantizedLayer {
 public:
  [[nodiscard]] virtual BitShares weight_shares() = 0;
  [[nodiscard]] virtual BitShares activation_shares() = 0;
};

/// The searched layers of a network, in the order of a plan.
[[nodiscard]] inline nn::Named<SearchedLayer> searched_layers(nn::Module& network) {
  nn::Named<SearchedLayer> found;
  for (const auto& [name, layer] : nn::quantized_layers(network)) {
    if (auto* const searched = dynamic_cast<SearchedLayer*>(layer)) {
      found.emplace_back(name, searched);
    }
  }
  return found;
}

namespace detail {

[[nodiscard]] inline nn::Named<nn::Parameter> parameters_where(nn::Module& network,
                                                               auto predicate) {
  nn::Named<nn::Parameter> found;
  for (const auto& entry : nn::parameters(network)) {
    if (predicate(entry.second->role)) found.push_back(entry);
  }
  return found;
}

}  // namespace detail

/// The alphas of a network.
[[nodiscard]] inline nn::Named<nn::Parameter> architecture_parameters(nn::Module& network) {
  return detail::parameters_where(
      network, [](nn::ParameterRole role) { return role == nn::ParameterRole::architecture; });
}
/// All other parameters.
[[nodiscard]] inline nn::Named<nn::Parameter> network_parameters(nn::Module& network) {
  return detail::parameters_where(
      network, [](nn::ParameterRole role) { return role != nn::ParameterRole::architecture; });
}

/// The plan that a search has found so far: of every searched layer the widths with the largest
/// shares, of every other layer `others` or what it is pinned at. EdMIPS, arXiv 2004.05795.
///
/// Throws `PrecisionError` when another layer does not have the precision `others`.
[[nodiscard]] inline PrecisionPlan chosen_plan(nn::Module& network, Precision others = {}) {
  std::vector<Precision> precisions;
  for (const auto& [name, layer] : nn::quantized_layers(network)) {
    auto* const searched = dynamic_cast<SearchedLayer*>(layer);
    precisions.push_back(searched == nullptr
                             ? layer->executed(PrecisionPlan{others})
                             : Precision{.w = searched->weight_shares().chosen(),
                                         .a = searched->activation_shares().chosen()});
  }
  return PrecisionPlan::per_layer(std::move(precisions)).value();
}

}  // namespace bitdial::inline BITDIAL_ABI
