// SPDX-License-Identifier: Apache-2.0
// Joint training of all switches of a network: every optimizer step sees every precision.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <bitdial/data/prefetch.hpp>
#include <bitdial/switchable/block_swap.hpp>
#include <bitdial/switchable/joint_loss.hpp>
#include <bitdial/switchable/methods.hpp>
#include <bitdial/switchable/plan_sampling.hpp>
#include <bitdial/switchable/switchable_layer.hpp>
#include <bitdial/switchable/teacher_choice.hpp>
#include <bitdial/train/gradient_clipping.hpp>
#include <bitdial/train/metrics.hpp>
#include <bitdial/train/optimizer.hpp>
#include <bitdial/train/peers.hpp>
#include <bitdial/train/schedule.hpp>

namespace bitdial::inline BITDIAL_ABI::train {

/// Dynamic block swapping in training, see `swap_blocks`.
///
/// A switch runs with blocks of its teacher; where it has none or several, of the highest switch.
struct BlockSwap {
  /// The probability that a block is swapped, a function of the step: constant, linear, any. Empty:
  /// no block is swapped.
  Schedule probability{};
  /// What is swapped as one; empty: `nn::blocks(network)`, of which there must be one.
  std::vector<nn::LayerBlock> blocks{};

  /// A ramp from 0.1 at the start to 0 after `steps`, for `methods::coquant`. CoQuant, 2103.01435;
  /// inferred: the start from options of code by the same authors, the shape and the end not known.
  [[nodiscard]] static BlockSwap coquant(std::int64_t steps) {
    if (steps < 1) throw ConfigError(concat("coquant: expected steps >= 1, got ", steps));
    return {.probability = PiecewiseLinearSchedule({{0, 0.1F}, {steps, 0.0F}})};
  }
};

/// What to train and how; the optimizer is given apart.
struct TrainerOptions {
  std::vector<PrecisionPlan> plans{};  ///< the switches, highest first
  std::int64_t epochs = 1;
  std::int64_t batch_size = 128;
  /// What the derivatives of convolutions multiply; weights and updates are f32 either way.
  ops::Products gradient_products = ops::Products::f32;
  /// Convolutions of codes sum integers (`BasicTape::set_integer_forward`); else floats.
  bool integer_forward = true;
  /// DoReFa: layers quantize the gradients that flow back into them to 1..8 bits, rounded at random
  /// (from `seed` and the number of the step); 32: not at all. Pinned layers keep theirs.
  int gradient_bits = 32;
  /// The most that the gradients of all switches may be of a parameter; each of n switches has an
  /// n-th of it (`ClippedGradients`). 0: no limit, and processes exchange gradients once per step.
  float gradient_share = 0.1F;
  /// A term of the loss that depends on parameters alone (`kurtosis_penalty`): once per step.
  std::function<Var(Tape& tape)> penalty{};
  Schedule learning_rate = ConstantSchedule{.rate = 0.1F};
  Teaching teaching{};     ///< what each switch learns from
  JointLoss joint_loss{};  ///< in the place of `teaching`: a loss of all switches at once
  BlockSwap block_swap{};
  PlanSampler plans_of_step{};  ///< in the place of `plans`: other switches in every step
  data::ImageOptions images{};  ///< size and normalisation of the network's input
  data::AugmentOptions augment{};
  std::uint64_t seed = 1;            ///< of shuffling and augmentation
  data::PrefetchOptions prefetch{};  ///< threads that prepare batches ahead of the steps
  Peers* peers = nullptr;  ///< where several processes train; `batch_size` is the share of each
  /// Leaves out images that cannot be decoded, and counts them. A batch of such images alone is
  /// replaced by the next one.
  bool skip_damaged = false;
};

/// What one step did: one entry per plan that it ran.
struct StepReport {
  std::int64_t step = 0;  ///< its number, from 0
  std::int64_t epoch = 0;
  std::int64_t images = 0;
  std::vector<std::string> damaged{};  ///< what was wrong with images that were left out
  float learning_rate = 0.0F;
  float loss = 0.0F;     ///< what the step descended on: the sum of all losses, or the joint one
  float penalty = 0.0F;  ///< part of `loss`
  std::vector<float> losses{};         ///< of each plan; label losses where there is a joint loss
  std::vector<float> accuracies{};     ///< share of correct answers on this batch
  std::vector<PrecisionPlan> plans{};  ///< what ran, with swapped blocks
  std::vector<int> teachers{};         ///< their places in `plans`; -1 for none and for several
};

/// Runs the optimizer steps of a switchable network.
///
/// One step: gradients of all plans add up, then the optimizer moves the shared weights once.
///   L = sum over plans of the losses that `Teaching` defines, or the joint loss (+ the penalty)
///
/// Batch, augmentation, learning rate, plans, teachers and swapped blocks are functions of seed,
/// step and network, so `step` continues exactly after the state was restored with `set_position`.
/// Cost: one forward and one backward pass per plan; memory of one pass, of all passes for
/// `Teacher::ensemble` and a joint loss.
/// Throws `ConfigError` for options out of range, `Error` when a loss or a parameter is not finite.
/// Source: SP-Nets, 2002.02815; docs/methods.md has the others.
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
                options_.prefetch},
        gradients_{options_.gradient_share > 0.0F ? optimizer.parameters()
                                                  : nn::Named<nn::Parameter>{}} {
    if (options_.plans.empty() && !options_.plans_of_step) {
      throw ConfigError("trainer: expected at least one plan, got none");
    }
    if (options_.epochs < 0) {
      throw ConfigError(concat("trainer: expected epochs >= 0, got ", options_.epochs));
    }
    if (!(options_.gradient_share >= 0.0F) || std::isinf(options_.gradient_share)) {
      throw ConfigError(
          concat("trainer: expected gradient_share >= 0 and finite (0: no limit), got ",
                 options_.gradient_share));
    }
    require_valid(options_.teaching, options_.plans_of_step
                                         ? options_.teaching.switch_weights.size()
                                         : options_.plans.size());
    layers_ = nn::quantized_layers(network).size();
    if (options_.block_swap.probability && options_.block_swap.blocks.empty()) {
      options_.block_swap.blocks = nn::blocks(network);
      if (options_.block_swap.blocks.empty()) {
        throw ConfigError(
            "trainer: block_swap: the network has no parts with parallel paths; say in "
            "block_swap.blocks which layers are swapped together");
      }
    }
    if (options_.gradient_bits != real_valued_bits &&
        (options_.gradient_bits < 1 || options_.gradient_bits > max_code_bits)) {
      throw ConfigError(
          concat("trainer: expected gradient bits 1..8 or 32, got ", options_.gradient_bits));
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
    if (!(report.learning_rate >= 0.0F) || std::isinf(report.learning_rate)) {
      throw ConfigError(concat("trainer: step ", position_,
                               ": expected a learning rate >= 0, the schedule gives ",
                               report.learning_rate));
    }
    take_batch(report);
    nn::zero_gradients(*network_);
    gradients_.start();
    const std::vector<PrecisionPlan> switches = switches_of_step();
    share_ = options_.gradient_share / static_cast<float>(switches.size());
    if (options_.penalty) add_penalty(report);
    if (options_.joint_loss || options_.teaching.teacher == Teacher::ensemble) {
      step_together(switches, report);
    } else {
      step_in_order(switches, report);
    }
    if (options_.peers != nullptr) finish_together(report);
    if (share_ > 0.0F) gradients_.finish();
    optimizer_->step(report.learning_rate);
    if (const std::string name = diverged_parameter(); !name.empty()) {
      throw Error(concat("trainer: step ", report.step, ": ", name,
                         " is not finite after the update; lower the learning rate"));
    }
    ++position_;
    return report;
  }

 private:
  // Keep the random numbers of different purposes apart.
  static constexpr std::uint64_t teacher_purpose = 0x7465616368657273;
  static constexpr std::uint64_t swap_purpose = 0x737761702d626c6f;

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

  [[nodiscard]] std::vector<PrecisionPlan> switches_of_step() const {
    if (!options_.plans_of_step) return options_.plans;
    std::vector<PrecisionPlan> switches = options_.plans_of_step(position_);
    if (switches.empty()) {
      throw ConfigError(concat("trainer: step ", position_, ": plans_of_step gives no plan"));
    }
    require_valid(options_.teaching, switches.size());
    return switches;
  }

  /// The batch of the step. One without a readable image gives way to the next of its epoch.
  void take_batch(StepReport& report) {
    const std::int64_t first = position_ % steps_per_epoch();
    for (std::int64_t tries = 0; tries < steps_per_epoch(); ++tries) {
      batch_ = &loader_.get(report.epoch, (first + tries) % steps_per_epoch());
      report.images = batch_->size();
      if (tries == 0) report.damaged = batch_->damaged;  // the next one reports its own
      if (report.images > 0) return;
    }
    throw FileError(concat("trainer: step ", report.step,
                           ": no image of the epoch can be read, for ", "example ",
                           report.damaged.front()));
  }

  void add_penalty(StepReport& report) {
    Tape tape;
    const Var penalty = options_.penalty(tape);
    report.penalty = report.loss = penalty.value()[0];
    tape.backward(penalty);
    if (share_ > 0.0F) gradients_.add(share_);
  }

  [[nodiscard]] Var forward(Tape& tape, const PrecisionPlan& plan) {
    tape.set_gradient_products(options_.gradient_products);
    tape.set_integer_forward(options_.integer_forward);
    tape.set_gradient_bits(options_.gradient_bits);
    tape.set_random_streams({options_.seed, static_cast<std::uint64_t>(position_)});
    if (options_.peers != nullptr && options_.peers->shares_statistics()) {
      tape.set_group(options_.peers);
    }
    return network_->forward(tape.borrow(batch_->images),
                             {.plan = plan, .mode = nn::Mode::training});
  }

  /// Plans learn from those before them; tapes are used one by one.
  void step_in_order(const std::vector<PrecisionPlan>& switches, StepReport& report) {
    std::vector<Tensor<float>> lessons;
    std::vector<float> label_losses;
    for (std::size_t i = 0; i < switches.size(); ++i) {
      Random random(options_.seed ^ teacher_purpose, static_cast<std::uint64_t>(report.step));
      random.seek(i);
      const std::vector<std::size_t> teachers =
          choose_teachers(options_.teaching, label_losses, report.step, random);
      report.teachers.push_back(teachers.size() == 1 ? static_cast<int>(teachers.front()) : -1);
      report.plans.push_back(with_borrowed_blocks(switches, i, report));
      Tape tape;
      const Var logits = forward(tape, report.plans.back());
      lessons.push_back(lesson_of(logits, options_.teaching));
      label_losses.push_back(loss_to_compare(logits));
      std::vector<const Tensor<float>*> taught_by;
      for (const std::size_t teacher : teachers) taught_by.push_back(&lessons[teacher]);
      learn(tape, logits, taught_by, i + 1 == switches.size(), report);
    }
  }

  /// What a plan learns depends on all of them: all forward passes come first.
  void step_together(const std::vector<PrecisionPlan>& switches, StepReport& report) {
    std::vector<std::unique_ptr<Tape>> tapes;
    std::vector<Var> outputs;
    for (std::size_t i = 0; i < switches.size(); ++i) {
      report.teachers.push_back(-1);
      report.plans.push_back(with_borrowed_blocks(switches, i, report));
      tapes.push_back(std::make_unique<Tape>());
      outputs.push_back(forward(*tapes.back(), report.plans.back()));
    }
    if (options_.joint_loss) return learn_jointly(tapes, outputs, report);
    std::vector<Tensor<float>> lessons;
    for (const Var& output : outputs) lessons.push_back(lesson_of(output, options_.teaching));
    const Tensor<float> ensemble = mean_lesson(lessons);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      learn(*tapes[i], outputs[i], {&ensemble}, i + 1 == outputs.size(), report);
      tapes[i].reset();
    }
  }

  /// Switch i with blocks of its teacher, which lends its own precision, not what it borrowed.
  [[nodiscard]] PrecisionPlan with_borrowed_blocks(const std::vector<PrecisionPlan>& switches,
                                                   std::size_t i, const StepReport& report) const {
    if (!options_.block_swap.probability || i == 0) return switches[i];
    const auto teacher = static_cast<std::size_t>(std::max(0, report.teachers[i]));
    const auto stream = static_cast<std::uint64_t>(report.step) * 256U + i;
    return swap_blocks(switches[i], switches[teacher], options_.block_swap.blocks, layers_,
                       options_.block_swap.probability(report.step),
                       {options_.seed ^ swap_purpose, stream});
  }

  /// The plan is the one that `report` names last.
  void learn(Tape& tape, Var logits, const std::vector<const Tensor<float>*>& lessons, bool is_last,
             StepReport& report) {
    const std::size_t place = report.losses.size();
    Var loss = switch_loss(logits, batch_->labels, lessons, options_.teaching);
    if (!options_.teaching.switch_weights.empty()) {
      loss = ad::scale(loss, options_.teaching.switch_weights[place]);
    }
    const float value = loss.value()[0];
    if (!std::isfinite(value)) {
      throw Error(divergence_text(concat("plan ", report.plans[place]), value, report.step));
    }
    note_result(logits, value, report);
    report.loss += value;
    run_backward(tape, is_last, [&] { tape.backward(loss); });
  }

  void learn_jointly(std::vector<std::unique_ptr<Tape>>& tapes, const std::vector<Var>& outputs,
                     StepReport& report) {
    std::vector<Tensor<float>> logits;
    for (const Var& output : outputs) logits.push_back(output.value());
    const JointLossValue joint = options_.joint_loss(logits, batch_->labels);
    report.loss += joint.loss;
    if (!std::isfinite(joint.loss)) {
      throw Error(divergence_text("joint loss", joint.loss, report.step));
    }
    if (joint.gradients.size() != outputs.size()) {
      throw ConfigError(concat("trainer: expected one gradient of the joint loss per plan, got ",
                               joint.gradients.size(), " for ", outputs.size()));
    }
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      note_result(outputs[i], label_loss(outputs[i]), report);
      run_backward(*tapes[i], i + 1 == outputs.size(),
                   [&] { tapes[i]->backward(outputs[i], joint.gradients[i]); });
      tapes[i].reset();
    }
  }

  /// The cross-entropy with the labels.
  [[nodiscard]] float label_loss(Var logits) const {
    Tensor<float> loss({1});
    Tensor<float> p(logits.shape());
    ops::softmax_cross_entropy_forward(loss.view(), p.view(), logits.value().view(),
                                       batch_->labels);
    return loss[0];
  }

  /// The label loss by which teachers are chosen: the mean over all processes, so that all choose
  /// alike. Others do not look at it.
  [[nodiscard]] float loss_to_compare(Var logits) const {
    const Teacher teacher = options_.teaching.teacher;
    if (teacher != Teacher::best && teacher != Teacher::chosen) return 0.0F;
    const float own = label_loss(logits);
    if (options_.peers == nullptr) return own;
    double shared = static_cast<double>(own);
    options_.peers->sum({&shared, 1});
    return static_cast<float>(shared / static_cast<double>(options_.peers->count()));
  }

  void note_result(Var logits, float loss, StepReport& report) const {
    const std::int64_t correct = top_k_correct(logits.value().view(), batch_->labels, 1);
    report.losses.push_back(loss);
    report.accuracies.push_back(static_cast<float>(correct) / static_cast<float>(report.images));
  }

  /// The backward pass of one plan. What is complete, each plan's part where parts are limited and
  /// the last plan's otherwise, is on its way to other processes at once.
  template <class Backward>
  void run_backward(Tape& tape, bool is_last, Backward backward) {
    Peers* const peers = options_.peers;
    const bool is_limited = share_ > 0.0F;
    if (peers != nullptr && (is_limited || is_last)) {
      tape.on_complete_gradient(
          [peers](Tensor<float>& gradient) { peers->send_gradient(gradient); });
    }
    backward();
    if (!is_limited) return;
    if (peers != nullptr) exchange_gradients();  // limits depend on the same numbers everywhere
    gradients_.add(share_);
  }

  /// The mean gradients of all processes, and the mean of what each of them learned on its own.
  void exchange_gradients() {
    options_.peers->finish_gradients(nn::parameters(*network_));
    if (!options_.peers->shares_statistics()) share_learned_numbers();
  }

  /// The mean losses and accuracies of all processes, and gradients where plans share an exchange.
  void finish_together(StepReport& report) {
    if (!(share_ > 0.0F)) exchange_gradients();
    std::vector<double> shared(report.losses.begin(), report.losses.end());
    shared.insert(shared.end(), report.accuracies.begin(), report.accuracies.end());
    shared.push_back(static_cast<double>(report.loss));
    options_.peers->sum(shared);
    const auto count = static_cast<double>(options_.peers->count());
    const std::size_t plans = report.losses.size();
    for (std::size_t i = 0; i < plans; ++i) {
      report.losses[i] = static_cast<float>(shared[i] / count);
      report.accuracies[i] = static_cast<float>(shared[plans + i] / count);
    }
    report.loss = static_cast<float>(shared.back() / count);
  }

  /// Learned numbers that a process started, or moved by a rule, from its own share of the batch:
  /// the mean over all processes.
  void share_learned_numbers() {
    std::vector<double> numbers;
    const auto for_each = [&](auto body) {
      for (const auto& [name, parameter] : nn::parameters(*network_)) {
        if (parameter->role != nn::ParameterRole::clip) continue;
        for (float& value : parameter->value.span()) body(value);
      }
    };
    for_each([&](float value) { numbers.push_back(static_cast<double>(value)); });
    options_.peers->sum(numbers);
    auto next = numbers.begin();
    for_each([&](float& value) {
      value = static_cast<float>(*next++ / static_cast<double>(options_.peers->count()));
    });
  }

  /// The name of the first parameter with a value that is not finite, or "".
  [[nodiscard]] std::string diverged_parameter() {
    const nn::Named<nn::Parameter> parameters = nn::parameters(*network_);
    const std::vector<double> norms = detail::norms(
        parameters, [](const nn::Parameter& parameter) { return parameter.value.span(); });
    const auto at = std::ranges::find_if(norms, [](double norm) { return !std::isfinite(norm); });
    return at == norms.end() ? "" : parameters[static_cast<std::size_t>(at - norms.begin())].first;
  }

  [[nodiscard]] std::string divergence_text(const std::string& what, float loss,
                                            std::int64_t step) {
    const std::string name = diverged_parameter();
    return concat("trainer: step ", step, ", ", what, ": the loss is ", loss, "; ",
                  name.empty() ? "all parameters are finite" : name + " is not finite",
                  "; lower the learning rate");
  }

  nn::Module* network_;
  Optimizer* optimizer_;
  TrainerOptions options_;
  data::PrefetchingLoader loader_;
  std::size_t layers_ = 0;              // quantized layers of the network
  const data::Batch* batch_ = nullptr;  // of the step in work
  ClippedGradients gradients_;          // of the plans that have run in this step
  float share_ = 0.0F;                  // of each of them
  std::int64_t position_ = 0;
};

}  // namespace bitdial::inline BITDIAL_ABI::train
