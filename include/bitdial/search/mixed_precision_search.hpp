// SPDX-License-Identifier: Apache-2.0
// The differentiable search of mixed precision: weights and shares learn from the same batches.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <bitdial/search/costs.hpp>
#include <bitdial/switchable/switchable_layer.hpp>
#include <bitdial/train/sgd.hpp>
#include <bitdial/train/trainer.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// How a search runs. Rates, momentum and decay of the alphas are by default those of EdMIPS; its
/// epochs and schedule (25 epochs of 256 images, rate 0.1, a tenth of it every 10) are for
/// `training` to say.
struct SearchOptions {
  /// Epochs, batches, learning rate of the weights, images, seed; `plans` stays empty.
  train::TrainerOptions training{};
  /// The learning rate of the alphas is this share of that of the weights, at every step.
  float architecture_rate = 0.1F;
  train::SgdOptions weights{.momentum = 0.9F, .nesterov = false, .weight_decay = 1e-4F};
  train::SgdOptions architecture{.momentum = 0.9F, .nesterov = false, .weight_decay = 1e-4F};
  /// cd of  L = CE + cd sum of expected costs. Nothing: 0.36 by the cost of equal shares, which is
  /// what the published numbers come to (inferred): 0.00335 x 110.0 for ResNet-18, 0.00015 x 2317.5
  /// for ResNet-50.
  std::optional<double> complexity_weight{};
  /// The precision of the layers that are not searched and not pinned.
  Precision others{};
};

/// What one step of a search did.
struct SearchReport {
  train::StepReport training;  ///< one loss, the cross-entropy, and one accuracy
  double cost = 0.0;           ///< expected, before the step
  double penalty = 0.0;        ///< cd times that
};

namespace detail {

/// One step moves the weights and the alphas, the latter with the gradient of the penalty on top.
class SearchOptimizer final : public train::Optimizer {
 public:
  SearchOptimizer(nn::Module& network, const SearchCosts& costs, double complexity_weight,
                  const SearchOptions& options)
      : Optimizer{nn::parameters(network)},
        network_{&network},
        costs_{&costs},
        complexity_weight_{complexity_weight},
        architecture_rate_{options.architecture_rate},
        weights_{network_parameters(network), options.weights},
        architecture_{architecture_parameters(network), options.architecture} {}

  void step(float learning_rate) override {
    costs_->add_gradient(*network_, complexity_weight_);
    weights_.step(learning_rate);
    architecture_.step(architecture_rate_ * learning_rate);
  }
  [[nodiscard]] nn::Named<Tensor<float>> state() override {
    nn::Named<Tensor<float>> tensors = weights_.state();
    for (const auto& entry : architecture_.state()) tensors.push_back(entry);
    return tensors;
  }

 private:
  nn::Module* network_;
  const SearchCosts* costs_;
  double complexity_weight_;
  float architecture_rate_;
  train::Sgd weights_;
  train::Sgd architecture_;
};

}  // namespace detail

/// Searches the precision of every composite layer of a network.
///
///   L = CE(labels) + cd sum_l sum_ij p_l[i] q_l[j] c_l(Bw[i], Ba[j])
///
/// Every step takes one batch, one forward and one backward pass, and moves the weights and the
/// alphas (a single level: no second batch, no inner loop). The plan is the argmax of the shares.
/// Same network, images, costs, options: same plan, bit for bit, on any number of threads.
///
/// Throws `ConfigError` for options out of range and for a network without composite layers,
/// `Error` when a loss or a parameter is not finite.
/// Cost of a step: that of one real-valued training step, and an element-wise pass per candidate.
/// Source: EdMIPS, arXiv 2004.05795; costs other than bit operations are this library's.
class MixedPrecisionSearch {
 public:
  /// All references must outlive the search.
  MixedPrecisionSearch(nn::Module& network, const data::ImageSource& images, SearchCosts costs,
                       SearchOptions options)
      : network_{&network},
        costs_{std::move(costs)},
        options_{checked(std::move(options), network)},
        complexity_weight_{options_.complexity_weight.value_or(0.36 / costs_.of_equal_shares())},
        optimizer_{network, costs_, complexity_weight_, options_},
        trainer_{network, images, optimizer_, options_.training} {}
  MixedPrecisionSearch(const MixedPrecisionSearch&) = delete;
  MixedPrecisionSearch& operator=(const MixedPrecisionSearch&) = delete;

  [[nodiscard]] std::int64_t steps_per_epoch() const noexcept { return trainer_.steps_per_epoch(); }
  [[nodiscard]] std::int64_t total_steps() const noexcept { return trainer_.total_steps(); }
  /// The number of the next step.
  [[nodiscard]] std::int64_t position() const noexcept { return trainer_.position(); }
  void set_position(std::int64_t step) noexcept { trainer_.set_position(step); }
  [[nodiscard]] bool done() const noexcept { return trainer_.done(); }
  [[nodiscard]] const SearchCosts& costs() const noexcept { return costs_; }
  [[nodiscard]] double complexity_weight() const noexcept { return complexity_weight_; }
  [[nodiscard]] double expected_cost() const { return costs_.expected(*network_); }

  /// Every tensor that a checkpoint must hold, with the position: `train::save_checkpoint`.
  [[nodiscard]] nn::Named<Tensor<float>> state() { return trainer_.state(); }

  SearchReport step() {
    const double cost = expected_cost();
    return {.training = trainer_.step(), .cost = cost, .penalty = complexity_weight_ * cost};
  }

  /// Steps until the end, or until `after_step` returns false; then it may go on later.
  PrecisionPlan run(const std::function<bool(const SearchReport&)>& after_step = {}) {
    while (!done()) {
      const SearchReport report = step();
      if (after_step && !after_step(report)) break;
    }
    return plan();
  }

  /// The widths with the largest shares.
  [[nodiscard]] PrecisionPlan plan() const { return chosen_plan(*network_, options_.others); }

 private:
  [[nodiscard]] static SearchOptions checked(SearchOptions options, nn::Module& network) {
    if (!options.training.plans.empty()) {
      throw ConfigError(concat("search: training.plans must be empty, the search finds the plan; ",
                               "it has ", options.training.plans.size()));
    }
    if (!(options.architecture_rate >= 0.0F)) {
      throw ConfigError(
          concat("search: expected architecture_rate >= 0, got ", options.architecture_rate));
    }
    if (options.complexity_weight && !(*options.complexity_weight >= 0.0)) {
      throw ConfigError(
          concat("search: expected complexity_weight >= 0, got ", *options.complexity_weight));
    }
    options.training.plans.emplace_back(options.others);
    add_plans(network, options.training.plans);
    return options;
  }

  nn::Module* network_;
  SearchCosts costs_;
  SearchOptions options_;
  double complexity_weight_;
  detail::SearchOptimizer optimizer_;
  train::Trainer trainer_;
};

}  // namespace bitdial::inline BITDIAL_ABI
