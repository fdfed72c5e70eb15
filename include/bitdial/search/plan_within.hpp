// SPDX-License-Identifier: Apache-2.0
// The most likely plan of a search that a budget allows.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include <bitdial/search/costs.hpp>

namespace bitdial::inline BITDIAL_ABI {

namespace detail {

/// One pair of widths of one layer.
struct PlanChoice {
  Precision precision;
  double cost = 0.0;
  double score = 0.0;  ///< log of its share
};

[[nodiscard]] inline std::vector<PlanChoice> choices_of(const LayerCosts& costs,
                                                        SearchedLayer& layer) {
  const std::vector<double> p = layer.weight_shares().shares();
  const std::vector<double> q = layer.activation_shares().shares();
  std::vector<PlanChoice> choices;
  for (std::size_t i = 0; i < p.size(); ++i) {
    for (std::size_t j = 0; j < q.size(); ++j) {
      choices.push_back({.precision = {.w = costs.weight_bits[i], .a = costs.activation_bits[j]},
                         .cost = costs.costs[i * q.size() + j],
                         .score = std::log(p[i]) + std::log(q[j])});
    }
  }
  return choices;
}

/// One choice per layer under a budget; `picks` are indices into the choices of each layer.
class BudgetedChoice {
 public:
  BudgetedChoice(std::span<const std::vector<PlanChoice>> layers, double budget)
      : layers_{layers}, budget_{budget} {}

  [[nodiscard]] double cheapest() const {
    double sum = 0.0;
    for (const auto& choices : layers_) {
      sum += std::ranges::min_element(choices, {}, &PlanChoice::cost)->cost;
    }
    return sum;
  }

  /// The best choices at the smallest price that fits, improved; the cheapest must fit.
  [[nodiscard]] std::vector<std::size_t> picks(bool may_be_negative) const {
    const double unit = 1.0 / cheapest();
    constexpr double limit = 1e12;
    double fits = 0.0, exceeds = 0.0;
    if (cost_of(best_at(0.0)) > budget_) {
      for (fits = unit; cost_of(best_at(fits)) > budget_ && fits < limit * unit;) fits *= 2.0;
    } else if (may_be_negative) {
      for (exceeds = -unit; cost_of(best_at(exceeds)) <= budget_ && exceeds > -limit * unit;) {
        exceeds *= 2.0;
      }
    }
    for (int step = 0; step < 100 && fits != exceeds; ++step) {
      const double middle = exceeds + (fits - exceeds) / 2.0;
      (cost_of(best_at(middle)) > budget_ ? exceeds : fits) = middle;
    }
    return improved(best_at(fits), may_be_negative);
  }

 private:
  [[nodiscard]] static double worth(const PlanChoice& choice, double price) noexcept {
    return choice.score - price * choice.cost;
  }
  [[nodiscard]] std::vector<std::size_t> best_at(double price) const {
    std::vector<std::size_t> best;
    for (const auto& choices : layers_) {
      const auto most =
          std::ranges::max_element(choices, {}, [&](const auto& c) { return worth(c, price); });
      best.push_back(static_cast<std::size_t>(most - choices.begin()));
    }
    return best;
  }
  [[nodiscard]] double cost_of(const std::vector<std::size_t>& picks) const {
    double sum = 0.0;
    for (std::size_t l = 0; l < picks.size(); ++l) sum += layers_[l][picks[l]].cost;
    return sum;
  }
  /// Changes of single layers that still fit, the best one first: those that gain most log share,
  /// or, where the budget is to be spent, those that cost more and lose least per unit of cost.
  [[nodiscard]] std::vector<std::size_t> improved(std::vector<std::size_t> picks,
                                                  bool spend) const {
    double spent = cost_of(picks);
    while (true) {
      double most = -std::numeric_limits<double>::infinity();
      std::size_t layer = 0, best = 0;
      for (std::size_t l = 0; l < picks.size(); ++l) {
        const PlanChoice& now = layers_[l][picks[l]];
        for (std::size_t c = 0; c < layers_[l].size(); ++c) {
          const double gain = layers_[l][c].score - now.score;
          const double cost = layers_[l][c].cost - now.cost;
          if (spent + cost > budget_ || !(spend ? cost > 0.0 : gain > 0.0)) continue;
          const double merit = spend ? gain / cost : gain;
          if (merit > most) {
            most = merit;
            layer = l;
            best = c;
          }
        }
      }
      if (std::isinf(most)) return picks;
      spent += layers_[layer][best].cost - layers_[layer][picks[layer]].cost;
      picks[layer] = best;
    }
  }

  std::span<const std::vector<PlanChoice>> layers_;
  double budget_;
};

}  // namespace detail

/// How a plan within a budget is chosen.
struct BudgetOptions {
  /// True: the budget is a target. The price of cost may be negative, so that a search whose
  /// penalty pulled below the budget gives that back, where shares say it does most.
  bool spend = false;
  Precision others{};  ///< of the layers that are not searched and not pinned
};

/// The plan with the largest product of shares whose cost is at most `budget`, nearly:
///
///   maximise sum_l log(p_l[w] q_l[a])  subject to  sum_l c_l(w, a) <= budget.
///
/// Every layer takes its own best choice, max log share - lambda cost, at one price lambda for all:
/// the smallest one, 0 or more, at which the sum fits. What is left of the budget then buys the
/// changes of single layers that gain most. With room for it, this is `chosen_plan`. With `spend`
/// the price may be negative, and what is left buys the changes that lose least per unit of cost.
/// Addition of this library: EdMIPS tunes its complexity weight until the argmax has the wanted
/// cost.
///
/// `costs` are those of `network`. Throws `ConfigError` when the cheapest plan costs more.
[[nodiscard]] inline PrecisionPlan plan_within(nn::Module& network, const SearchCosts& costs,
                                               double budget, const BudgetOptions& options = {}) {
  const auto searched = searched_layers(network);
  std::vector<std::vector<detail::PlanChoice>> layers;
  for (std::size_t l = 0; l < searched.size() && l < costs.layers().size(); ++l) {
    layers.push_back(detail::choices_of(costs.layers()[l], *searched[l].second));
  }
  const detail::BudgetedChoice choice{layers, budget};
  if (!(choice.cheapest() <= budget)) {
    throw ConfigError(concat("plan_within: the cheapest plan costs ", choice.cheapest(), " ",
                             costs.unit(), ", the budget is ", budget));
  }
  const std::vector<std::size_t> picks = choice.picks(options.spend);

  std::vector<Precision> precisions;
  std::size_t next = 0;
  for (const auto& [name, layer] : nn::quantized_layers(network)) {
    const bool is_searched = next < searched.size() && searched[next].first == name;
    precisions.push_back(is_searched ? layers[next][picks[next]].precision
                                     : layer->executed(PrecisionPlan{options.others}));
    next += is_searched ? 1 : 0;
  }
  return PrecisionPlan::per_layer(std::move(precisions)).value();
}

}  // namespace bitdial::inline BITDIAL_ABI
