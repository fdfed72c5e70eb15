// SPDX-License-Identifier: Apache-2.0
// Joint training of all switches of a network: every optimizer step sees every precision.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <bitdial/data/prefetch.hpp>
#include <bitdial/switchable/distillation.hpp>
#include <bitdial/switchable/switchable_layer.hpp>
#include <bitdial/train/metrics.hpp>
#include <bitdial/train/optimizer.hpp>
#include <bitdial/train/peers.hpp>
#include <bitdial/train/schedule.hpp>

namespace bitdial::inline BITDIAL_ABI::train {

/// What to train and how; the optimizer is given apart.
struct TrainerOptions {
  std::vector<PrecisionPlan> plans;  ///< the switches, highest first
  std::int64_t epochs = 1;
  std::int64_t batch_size = 128;
  /// What the derivatives of convolutions multiply; weights and updates are f32 either way.
  ops::Products gradient_products = ops::Products::f32;
  Schedule learning_rate = ConstantSchedule{.rate = 0.1F};
  SelfDistillation distillation{};
  data::ImageOptions images{};  ///< size and normalisation of the network's input
  data::AugmentOptions augment{};
  std::uint64_t seed = 1;            ///< of shuffling and augmentation
  data::PrefetchOptions prefetch{};  ///< threads that prepare batches ahead of the steps
  Peers* peers = nullptr;     ///< where several processes train; `batch_size` is the share of each
  bool skip_damaged = false;  ///< leaves out images that cannot be decoded, and counts them
};

/// What one step did: one entry per plan.
struct StepReport {
  std::int64_t step = 0;  ///< its number, from 0
  std::int64_t epoch = 0;
  std::int64_t images = 0;
  std::vector<std::string> damaged{};  ///< what was wrong with images that were left out
  float learning_rate = 0.0F;
  std::vector<float> losses{};
  std::vector<float> accuracies{};  ///< share of correct answers on this batch
};

/// Runs the optimizer steps of a switchable network.
///
/// One step: gradients of all plans add up, then the optimizer moves the shared weights once.
///   L = sum over plans of CE(labels) + weight * KL(teacher || plan)      (no KL for the teacher)
///
/// Batch, augmentation and learning rate are functions of the step's number, so `step` continues
/// exactly after the state was restored with `set_position`.
/// Cost: one forward and one backward pass per plan; memory of one pass (Teacher::ensemble: all).
/// Throws `ConfigError` for options out of range, `Error` when a loss or a parameter is not finite.
/// Source: SP-Nets, 2002.02815.
class Trainer {
 public:
  /// `network` must have its private state for `options.plans` (`add_plans`); all references must
  /// outlive the trainer.
  Trainer(nn::Module& network, const data::ImageSource& images, Optimizer& optimizer,
          TrainerOptions options)
      : network_{&network},
        optimizer_{&optimizer},
        options_{std::move(options)},
        loader_{data::BatchLoader(
                    images, {.batch_size = options_.batch_size,
                             .images = options_.images,
                             .augment = options_.augment,
                             .seed = options_.seed,
                             .skip_damaged = options_.skip_damaged,
                             .part = options_.peers == nullptr ? 0 : options_.peers->rank(),
                             .parts = options_.peers == nullptr ? 1 : options_.peers->count()}),
                options_.prefetch} {
    if (options_.plans.empty()) throw ConfigError("trainer: expected at least one plan, got none");
    if (options_.epochs < 0) {
      throw ConfigError(concat("trainer: expected epochs >= 0, got ", options_.epochs));
    }
    if (!(options_.distillation.weight >= 0.0F)) {
      throw ConfigError(concat("trainer: expected a distillation weight >= 0, got ",
                               options_.distillation.weight));
    }
    require_same_parameters();
    share_state();
  }

  /// Gives every process the state and the position of process 0; nothing to do for one process.
  /// The constructor does it; call it again after a checkpoint was loaded.
  void share_state() {
    if (options_.peers == nullptr) return;
    for (const auto& [name, tensor] : state()) {
      options_.peers->broadcast(std::as_writable_bytes(tensor->span()));
    }
    options_.peers->broadcast(std::as_writable_bytes(std::span{&position_, 1}));
  }

  [[nodiscard]] std::int64_t steps_per_epoch() const noexcept {
    return loader_.loader().batches_per_epoch();
  }
  [[nodiscard]] std::int64_t total_steps() const noexcept {
    return options_.epochs * steps_per_epoch();
  }
  /// The number of the next step.
  [[nodiscard]] std::int64_t position() const noexcept { return position_; }
  void set_position(std::int64_t step) noexcept { position_ = step; }
  [[nodiscard]] bool done() const noexcept { return position_ >= total_steps(); }
  [[nodiscard]] const TrainerOptions& options() const noexcept { return options_; }

  /// Every tensor that a checkpoint must hold, with the position.
  [[nodiscard]] nn::Named<Tensor<float>> state() {
    nn::Named<Tensor<float>> tensors = nn::state(*network_);
    for (auto& [name, tensor] : optimizer_->state()) {
      tensors.emplace_back("optimizer." + name, tensor);
    }
    return tensors;
  }

  /// One optimizer step over all plans.
  StepReport step() {
    StepReport report{.step = position_,
                      .epoch = position_ / steps_per_epoch(),
                      .learning_rate = options_.learning_rate(position_)};
    batch_ = &loader_.get(report.epoch, position_ % steps_per_epoch());
    report.images = batch_->size();
    report.damaged = batch_->damaged;
    nn::zero_gradients(*network_);
    if (options_.distillation.teacher == Teacher::ensemble) {
      step_with_ensemble(report);
    } else {
      step_with_highest(report);
    }
    if (options_.peers != nullptr) finish_together(report);
    optimizer_->step(report.learning_rate);
    if (const std::string name = diverged_parameter(); !name.empty()) {
      throw Error(concat("trainer: step ", report.step, ": ", name,
                         " is not finite after the update; lower the learning rate"));
    }
    ++position_;
    return report;
  }

 private:
  /// Plans that were added after the optimizer was made would never learn.
  void require_same_parameters() const {
    const nn::Named<nn::Parameter> expected = nn::parameters(*network_);
    const nn::Named<nn::Parameter>& held = optimizer_->parameters();
    for (std::size_t i = 0; i < expected.size(); ++i) {
      if (i >= held.size() || held[i].second != expected[i].second) {
        throw ConfigError(concat("trainer: the optimizer was made for ", held.size(),
                                 " parameters, the network has ", expected.size(), "; '",
                                 expected[i].first,
                                 "' is not among them; make the optimizer after add_plans"));
      }
    }
  }

  [[nodiscard]] Var forward(Tape& tape, const PrecisionPlan& plan) {
    tape.set_gradient_products(options_.gradient_products);
    if (options_.peers != nullptr && options_.peers->shares_statistics()) {
      tape.set_group(options_.peers);
    }
    return network_->forward(tape.borrow(batch_->images),
                             {.plan = plan, .mode = nn::Mode::training});
  }

  /// The first plan learns from the labels and teaches the others; tapes are used one by one.
  void step_with_highest(StepReport& report) {
    Tensor<float> teacher;
    for (const PrecisionPlan& plan : options_.plans) {
      Tape tape;
      const Var logits = forward(tape, plan);
      const bool taught = options_.distillation.teacher == Teacher::highest && !teacher.empty();
      const Tensor<float> probabilities =
          teacher.empty() ? detached_probabilities(logits, options_.distillation.temperature)
                          : Tensor<float>{};
      learn(tape, logits, taught ? &teacher : nullptr, plan, report);
      if (teacher.empty()) teacher = probabilities;
    }
  }

  /// Every plan learns from the mean of all: all forward passes come first.
  void step_with_ensemble(StepReport& report) {
    std::vector<std::unique_ptr<Tape>> tapes;
    std::vector<Var> outputs;
    std::vector<Tensor<float>> distributions;
    for (const PrecisionPlan& plan : options_.plans) {
      tapes.push_back(std::make_unique<Tape>());
      outputs.push_back(forward(*tapes.back(), plan));
      distributions.push_back(
          detached_probabilities(outputs.back(), options_.distillation.temperature));
    }
    const Tensor<float> teacher = mean_distribution(distributions);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      learn(*tapes[i], outputs[i], &teacher, options_.plans[i], report);
      tapes[i].reset();
    }
  }

  void learn(Tape& tape, Var logits, const Tensor<float>* teacher, const PrecisionPlan& plan,
             StepReport& report) {
    const std::int64_t correct = top_k_correct(logits.value().view(), batch_->labels, 1);
    const Var loss = switch_loss(logits, batch_->labels, teacher, options_.distillation);
    const float value = loss.value()[0];
    if (!std::isfinite(value)) throw Error(divergence(plan, value, report.step));
    const bool is_last = report.losses.size() + 1 == options_.plans.size();
    if (options_.peers != nullptr && is_last) {
      tape.on_complete_gradient(
          [this](Tensor<float>& gradient) { options_.peers->send_gradient(gradient); });
    }
    tape.backward(loss);
    report.losses.push_back(value);
    report.accuracies.push_back(static_cast<float>(correct) / static_cast<float>(report.images));
  }

  /// The mean gradients, losses and accuracies of all processes.
  void finish_together(StepReport& report) {
    options_.peers->finish_gradients(nn::parameters(*network_));
    std::vector<double> shared(report.losses.begin(), report.losses.end());
    shared.insert(shared.end(), report.accuracies.begin(), report.accuracies.end());
    options_.peers->sum(shared);
    const auto count = static_cast<double>(options_.peers->count());
    const std::size_t plans = report.losses.size();
    for (std::size_t i = 0; i < plans; ++i) {
      report.losses[i] = static_cast<float>(shared[i] / count);
      report.accuracies[i] = static_cast<float>(shared[plans + i] / count);
    }
  }

  /// The name of the first parameter with a value that is not finite, or "".
  [[nodiscard]] std::string diverged_parameter() {
    const auto finite = [](float value) { return std::isfinite(value); };
    for (const auto& [name, parameter] : nn::parameters(*network_)) {
      if (!std::ranges::all_of(parameter->value.span(), finite)) return name;
    }
    return "";
  }

  [[nodiscard]] std::string divergence(const PrecisionPlan& plan, float loss, std::int64_t step) {
    const std::string name = diverged_parameter();
    return concat("trainer: step ", step, ", plan ", plan, ": the loss is ", loss, "; ",
                  name.empty() ? "all parameters are finite" : name + " is not finite",
                  "; lower the learning rate");
  }

  nn::Module* network_;
  Optimizer* optimizer_;
  TrainerOptions options_;
  data::PrefetchingLoader loader_;
  const data::Batch* batch_ = nullptr;  // of the step in work
  std::int64_t position_ = 0;
};

}  // namespace bitdial::inline BITDIAL_ABI::train
