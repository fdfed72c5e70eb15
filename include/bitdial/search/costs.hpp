// SPDX-License-Identifier: Apache-2.0
// What every candidate precision of every searched layer costs, and the penalty on the expectation.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <bitdial/core/error.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/nn/cost.hpp>
#include <bitdial/search/candidates.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// The costs of one searched layer: a number for every pair of widths.
struct LayerCosts {
  std::string name;
  std::size_t position = 0;  ///< in a plan
  std::vector<int> weight_bits;
  std::vector<int> activation_bits;
  std::vector<double> costs;  ///< [weight_bits.size(), activation_bits.size()]

  /// Throws `PrecisionError` for a pair that is not a candidate.
  [[nodiscard]] double at(Precision precision) const {
    const auto w = std::ranges::find(weight_bits, precision.w);
    const auto a = std::ranges::find(activation_bits, precision.a);
    if (w == weight_bits.end() || a == activation_bits.end()) {
      throw PrecisionError(concat("search: layer '", name, "' has no cost at ", precision,
                                  "; its candidates are weights ", join(weight_bits),
                                  " and activations ", join(activation_bits)));
    }
    return costs[static_cast<std::size_t>(w - weight_bits.begin()) * activation_bits.size() +
                 static_cast<std::size_t>(a - activation_bits.begin())];
  }
};

/// The costs of the searched layers of a network, and functions of them.
///
///   of(plan)  = sum_l c_l(w_l, a_l)
///   expected  = sum_l sum_ij p_l[i] q_l[j] c_l(Bw[i], Ba[j]),  p = softmax(alpha_w),
///                                                              q = softmax(alpha_a)
///
/// For costs that are products w a this is the penalty of EdMIPS, E_w E_a per layer. Layers that
/// are not searched cost nothing here.
class SearchCosts {
 public:
  /// `cost(layer, precision)` for every searched layer of `network` and every pair of its widths.
  template <class Cost>
  SearchCosts(nn::Module& network, std::string unit, Cost cost) : unit_{std::move(unit)} {
    for (const auto& [name, layer] : searched_layers(network)) {
      const auto w = layer->weight_shares().bits;
      const auto a = layer->activation_shares().bits;
      LayerCosts& entry = layers_.emplace_back(
          LayerCosts{.name = name,
                     .position = static_cast<std::size_t>(std::max(0, layer->index())),
                     .weight_bits = {w.begin(), w.end()},
                     .activation_bits = {a.begin(), a.end()},
                     .costs = {}});
      for (const int bits : w) {
        for (const int activation_bits : a) {
          const double value = cost(name, Precision{.w = bits, .a = activation_bits});
          if (!(value > 0.0 && std::isfinite(value))) {
            throw ConfigError(concat("search: layer '", name, "' at w", bits, "a", activation_bits,
                                     " costs ", value, ", expected a number above 0"));
          }
          entry.costs.push_back(value);
        }
      }
    }
    if (layers_.empty()) {
      throw ConfigError(
          "search: the network has no searched layer; build it over Candidates<...> in place of "
          "a BitList");
    }
  }

  [[nodiscard]] const std::vector<LayerCosts>& layers() const noexcept { return layers_; }
  /// What the costs are measured in: "ms".
  [[nodiscard]] const std::string& unit() const noexcept { return unit_; }

  [[nodiscard]] double of(const PrecisionPlan& plan) const {
    double sum = 0.0;
    for (const LayerCosts& layer : layers_) {
      if (plan.size() > 1 && layer.position >= plan.size()) {
        throw PrecisionError(concat("search: plan ", plan, " has no entry for layer '", layer.name,
                                    "', which is number ", layer.position));
      }
      sum += layer.at(plan.at(layer.position));
    }
    return sum;
  }

  /// The expectation where every candidate has the same share.
  [[nodiscard]] double of_equal_shares() const {
    double sum = 0.0;
    for (const LayerCosts& layer : layers_) {
      double all = 0.0;
      for (const double cost : layer.costs) all += cost;
      sum += all / static_cast<double>(layer.costs.size());
    }
    return sum;
  }

  /// The expectation under the shares of `network`, the network of the constructor.
  [[nodiscard]] double expected(nn::Module& network) const {
    double sum = 0.0;
    for_each_layer(network,
                   [&](const LayerCosts&, const Slopes& slopes, auto&) { sum += slopes.expected; });
    return sum;
  }

  /// Adds `weight` times the derivative of `expected` to the gradient of every alpha:
  ///   dalpha_w[i] += weight p[i] (sum_j q[j] c(i, j) - E),  and alike for alpha_a.
  void add_gradient(nn::Module& network, double weight) const {
    for_each_layer(network, [&](const LayerCosts&, const Slopes& slopes, SearchedLayer& layer) {
      const auto add = [&](const BitShares& operand, const std::vector<double>& by_share) {
        const std::vector<double> p = operand.shares();
        for (std::size_t i = 0; i < p.size(); ++i) {
          operand.alpha->grad[static_cast<std::int64_t>(i)] +=
              static_cast<float>(weight * p[i] * (by_share[i] - slopes.expected));
        }
      };
      add(layer.weight_shares(), slopes.by_weight_share);
      add(layer.activation_shares(), slopes.by_activation_share);
    });
  }

 private:
  /// The expectation of one layer and its derivatives by the shares.
  struct Slopes {
    double expected = 0.0;
    std::vector<double> by_weight_share, by_activation_share;
  };

  template <class Body>
  void for_each_layer(nn::Module& network, Body body) const {
    const auto searched = searched_layers(network);
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      if (l >= searched.size() || searched[l].first != layers_[l].name) {
        throw ConfigError(concat("search: the costs were made for another network: it has layer '",
                                 layers_[l].name, "' as searched layer ", l));
      }
      body(layers_[l], slopes_of(layers_[l], *searched[l].second), *searched[l].second);
    }
  }

  [[nodiscard]] static Slopes slopes_of(const LayerCosts& costs, SearchedLayer& layer) {
    const std::vector<double> p = layer.weight_shares().shares();
    const std::vector<double> q = layer.activation_shares().shares();
    Slopes slopes{.by_weight_share = std::vector<double>(p.size()),
                  .by_activation_share = std::vector<double>(q.size())};
    for (std::size_t i = 0; i < p.size(); ++i) {
      for (std::size_t j = 0; j < q.size(); ++j) {
        const double cost = costs.costs[i * q.size() + j];
        slopes.by_weight_share[i] += q[j] * cost;
        slopes.by_activation_share[j] += p[i] * cost;
        slopes.expected += p[i] * q[j] * cost;
      }
    }
    return slopes;
  }

  std::vector<LayerCosts> layers_;
  std::string unit_;
};

/// Bit operations: c_l(w, a) = w a sp_l / sp_1, sp_l the multiply-accumulates of layer l for one
/// image `[H, W, C]`, sp_1 those of the first searched layer. Source: EdMIPS, arXiv 2004.05795,
/// whose code does not divide by the groups of a convolution; here a group counts what it computes.
///
/// Throws `ShapeError` when the image does not fit the network.
[[nodiscard]] inline SearchCosts bit_operation_costs(nn::Module& network, const Shape& image) {
  const nn::NetworkCost cost = nn::cost(network, image);
  const auto work = [&](const std::string& name) {
    const auto found = std::ranges::find(cost.layers, name, &nn::LayerCost::name);
    return static_cast<double>(found->multiply_accumulates);
  };
  const auto searched = searched_layers(network);
  const double first = searched.empty() ? 1.0 : work(searched.front().first);
  return {network, "bit operations of the first layer",
          [&](const std::string& name, Precision p) { return work(name) / first * p.w * p.a; }};
}

/// The width of the uniform network with as many bit operations as `plan`:
///   sqrt( sum_l sp_l w_l a_l / sum_l sp_l ),
/// over the layers that follow plans; pinned first and last layers do not count. This is the "bit"
/// of EdMIPS, arXiv 2004.05795.
///
/// Throws `PrecisionError` when the plan has another number of layers than the network.
[[nodiscard]] inline double average_bits(nn::Module& network, const Shape& image,
                                         const PrecisionPlan& plan) {
  const auto layers = nn::quantized_layers(network);
  if (!plan.fits(layers.size())) {
    throw PrecisionError(concat("average_bits: plan ", plan, " has ", plan.size(),
                                " entries, the network has ", layers.size(), " quantized layers"));
  }
  const nn::NetworkCost cost = nn::cost(network, image);
  double operations = 0.0;
  double work = 0.0;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (layers[i].second->is_pinned()) continue;
    const auto found = std::ranges::find(cost.layers, layers[i].first, &nn::LayerCost::name);
    const auto macs = static_cast<double>(found->multiply_accumulates);
    operations += macs * plan.at(i).w * plan.at(i).a;
    work += macs;
  }
  return work > 0.0 ? std::sqrt(operations / work) : 0.0;
}

}  // namespace bitdial::inline BITDIAL_ABI
