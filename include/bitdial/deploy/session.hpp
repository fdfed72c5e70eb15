// SPDX-License-Identifier: Apache-2.0
// Runs a model: memory and repacked weights for one caller, the plan chosen call by call.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <bitdial/core/parallel.hpp>
#include <bitdial/core/result.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/deploy/arena.hpp>
#include <bitdial/deploy/executor.hpp>
#include <bitdial/deploy/kernel_choice.hpp>
#include <bitdial/deploy/model.hpp>
#include <bitdial/deploy/preparation.hpp>
#include <bitdial/deploy/session_options.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// One caller's way to run a model. A session belongs to one thread at a time; sessions share a
/// `Model` freely.
///
/// Creation repacks the weights of the chosen plans for this machine and starts the threads. After
/// that `run` allocates nothing on success and starts no thread, switching the plan costs nothing,
/// and the result for the same file, input and plan is the same bit for bit on every instruction
/// set and for every number of threads.
class Session {
 public:
  /// The memory that `create` takes with these options. Repacks nothing and reads no weights.
  ///
  /// The number holds for every session of this model in this process, unless choices are loaded in
  /// between (`load_kernel_choices`). In another process the measurement behind
  /// `KernelPath::automatic` may end differently: name a path in the options where the size must be
  /// known beforehand. Errors: options out of range.
  [[nodiscard]] static Result<MemoryPlan> plan_memory(const Model& model,
                                                      const SessionOptions& options = {}) {
    const auto preparation = detail::Preparation::lay_out(model, options);
    if (!preparation) return preparation.failure();
    return preparation->memory_plan();
  }
  /// The same for one plan and up to `batch` images at a time, on one thread.
  [[nodiscard]] static Result<MemoryPlan> plan_memory(const Model& model, std::size_t plan,
                                                      std::int64_t batch) {
    return plan_memory(model, {.max_batch = batch, .plans = {plan}});
  }

  /// Errors: options out of range, an arena that is too small or not aligned, an unknown
  /// instruction set in BITDIAL_FORCE_ISA, a damaged weight plane, no memory.
  [[nodiscard]] static Result<Session> create(const Model& model,
                                              const SessionOptions& options = {}) {
    auto preparation = detail::Preparation::lay_out(model, options);
    if (!preparation) return preparation.failure();
    const std::size_t bytes = preparation->memory_plan().arena();
    auto memory = options.arena.data() != nullptr ? detail::Arena::borrow(options.arena, bytes)
                                                  : detail::Arena::allocate(bytes);
    if (!memory) return memory.failure();
    if (auto done = preparation->fill(memory->data()); !done) return done.failure();
    start_threads(options.parallel_for, options.threads);
    return Session{model, options, *std::move(preparation), *std::move(memory)};
  }

  /// Output values, [N, outputs], for images [N, H, W, C] of bytes, which are normalised as
  /// `Model::preprocessing()` says.
  ///
  /// `plan` is an index into `Model::plans()`. N may exceed `max_batch`. Errors name the size or
  /// plan that is wrong; then nothing was written.
  template <class Observer = NoObserver>
  [[nodiscard]] Result<void> run(std::span<const std::uint8_t> images, std::span<float> outputs,
                                 std::size_t plan, Observer&& observer = {}) {
    return run_all(images, outputs, plan, observer);
  }
  /// The same for a plan by name, `w4a4`, or by value.
  template <class Observer = NoObserver>
  [[nodiscard]] Result<void> run(std::span<const std::uint8_t> images, std::span<float> outputs,
                                 std::string_view plan, Observer&& observer = {}) {
    const auto index = model_.find_plan(plan);
    return index ? run_all(images, outputs, *index, observer) : index.failure();
  }
  template <class Observer = NoObserver>
  [[nodiscard]] Result<void> run(std::span<const std::uint8_t> images, std::span<float> outputs,
                                 const PrecisionPlan& plan, Observer&& observer = {}) {
    const auto index = model_.find_plan(plan);
    return index ? run_all(images, outputs, *index, observer) : index.failure();
  }

  /// The same for images of real values, normalised already.
  template <class Observer = NoObserver>
  [[nodiscard]] Result<void> run_real(std::span<const float> images, std::span<float> outputs,
                                      std::size_t plan, Observer&& observer = {}) {
    return run_all(images, outputs, plan, observer);
  }

  /// The class of each image: the index of its largest output, the first of equals.
  [[nodiscard]] Result<void> classify(std::span<const std::uint8_t> images,
                                      std::span<std::int32_t> classes, std::size_t plan) {
    const auto image = static_cast<std::size_t>(model_.input_shape().size());
    const auto values = static_cast<std::size_t>(model_.output_size());
    if (images.size() != classes.size() * image) {
      return Failure{concat("session: ", images.size(), " input bytes for ", classes.size(),
                            " classes, one image has ", image, ", ", model_.input_shape())};
    }
    const auto slice = static_cast<std::size_t>(options_.max_batch);
    for (std::size_t n = 0; n < classes.size(); n += slice) {
      const std::size_t count = std::min(slice, classes.size() - n);
      const std::span<float> outputs = preparation_.outputs().first(count * values);
      auto done = run(images.subspan(n * image, count * image), outputs, plan);
      if (!done) return done;
      for (std::size_t i = 0; i < count; ++i) {
        const auto begin = outputs.begin() + static_cast<std::ptrdiff_t>(i * values);
        const auto best = std::max_element(begin, begin + static_cast<std::ptrdiff_t>(values));
        classes[n + i] = static_cast<std::int32_t>(best - begin);
      }
    }
    return {};
  }

  [[nodiscard]] const Model& model() const noexcept { return model_; }
  [[nodiscard]] const kernels::KernelTable& kernels() const noexcept {
    return preparation_.table();
  }
  /// Those of `create`.
  [[nodiscard]] const SessionOptions& options() const noexcept { return options_; }
  [[nodiscard]] int threads() const noexcept { return options_.threads; }
  /// True when the session was created for this plan.
  [[nodiscard]] bool is_prepared(std::size_t plan) const noexcept {
    return preparation_.plan(plan) != nullptr;
  }
  /// The plans that the session was created for, ascending.
  [[nodiscard]] std::vector<std::size_t> prepared_plans() const {
    std::vector<std::size_t> plans;
    for (std::size_t plan = 0; plan < model_.plans().size(); ++plan) {
      if (is_prepared(plan)) plans.push_back(plan);
    }
    return plans;
  }
  /// Errors: a plan that the model does not have, or that the session was not created for.
  [[nodiscard]] Result<void> check_prepared(std::size_t plan) const {
    if (is_prepared(plan)) return {};
    if (const auto known = model_.check_plan(plan); !known) {
      return Failure{concat("session: ", known.error())};
    }
    std::vector<std::string> prepared;
    for (const std::size_t own : prepared_plans()) prepared.push_back(model_.plans()[own].name());
    return Failure{concat("session: plan ", model_.plans()[plan].name(),
                          " was not among the plans that this session was created for, ",
                          join(prepared), "; name it in SessionOptions::plans")};
  }
  [[nodiscard]] std::int64_t max_batch() const noexcept { return options_.max_batch; }
  /// What `plan_memory` said.
  [[nodiscard]] MemoryPlan memory() const noexcept { return preparation_.memory_plan(); }
  /// The steps that a prepared plan runs, in order; none for another one.
  [[nodiscard]] std::span<const Step> steps(std::size_t plan) const noexcept {
    const PreparedPlan* const prepared = preparation_.plan(plan);
    return prepared == nullptr ? std::span<const Step>{} : prepared->program.steps;
  }
  /// The path that a layer takes under a prepared plan.
  [[nodiscard]] std::optional<KernelPath> path_of(std::size_t plan,
                                                  std::int32_t layer) const noexcept {
    const PreparedPlan* const prepared = preparation_.plan(plan);
    for (std::size_t s = 0; prepared != nullptr && s < prepared->steps.size(); ++s) {
      if (prepared->program.steps[s].layer != layer) continue;
      const PreparedWeights* const weights = prepared->steps[s].weights;
      return weights == nullptr ? KernelPath::bytes : weights->path;  // grouped: bytes
    }
    return std::nullopt;
  }
  /// The kernel of every layer of a prepared plan and why: a line of text each, with the times per
  /// image of all kernels that were tried. Empty for a plan that is not prepared.
  [[nodiscard]] std::string explain(std::size_t plan) const {
    std::string text;
    const PreparedPlan* const prepared = preparation_.plan(plan);
    for (std::size_t s = 0; prepared != nullptr && s < prepared->steps.size(); ++s) {
      const Step& step = prepared->program.steps[s];
      if (!detail::has_layer(step.kind)) continue;
      const auto layer = static_cast<std::size_t>(step.layer);
      const Precision executed = model_.plans()[plan].layers[layer].executed;
      text += model_.layers()[layer].name + ": ";
      if (const PreparedStep& ready = prepared->steps[s]; ready.weights != nullptr) {
        text += concat(matrix_shape(prepared->program, step, executed), ": ",
                       name_of(ready.weights->path));
        if (!ready.why.empty()) text += concat(" (", ready.why, ')');
      } else {
        text += concat("grouped ", step.x_shape, " to ", step.y_shape, ' ', executed, ": bytes");
      }
      text += '\n';
    }
    return text;
  }

 private:
  Session(const Model& model, const SessionOptions& options, detail::Preparation preparation,
          detail::Arena memory)
      : model_{model},
        options_{options},
        memory_{std::move(memory)},
        preparation_{std::move(preparation)} {}

  [[nodiscard]] static ImageBatch batch_of(const std::uint8_t* images) noexcept {
    return {.bytes = images};
  }
  [[nodiscard]] static ImageBatch batch_of(const float* images) noexcept {
    return {.values = images};
  }

  template <class T, class Observer>
  [[nodiscard]] Result<void> run_all(std::span<const T> images, std::span<float> outputs,
                                     std::size_t plan, Observer& observer) {
    const std::int64_t image = model_.input_shape().size(), values = model_.output_size();
    const auto size = static_cast<std::int64_t>(images.size());
    const std::int64_t total = size / image;
    if (size % image != 0 || static_cast<std::int64_t>(outputs.size()) != total * values) {
      return Failure{concat("session: ", size, " input values and ", outputs.size(),
                            " output values; one image takes ", image, ", ", model_.input_shape(),
                            ", and gives ", values)};
    }
    if (auto ready = check_prepared(plan); !ready) return ready;
    const PreparedPlan& prepared = *preparation_.plan(plan);
    const std::int64_t groups = (total + prepared.images - 1) / prepared.images;
    const auto run_group = [&](std::int64_t group, int arena, int team, auto& seen) {
      const std::int64_t first = group * prepared.images;
      ImageBatch batch = batch_of(images.data() + first * image);
      batch.count = std::min(prepared.images, total - first);
      batch.first = first;
      const float* const result = execute(preparation_.context(arena, team), prepared, batch, seen);
      std::copy_n(result, batch.count * values, outputs.data() + first * values);
    };
    // Whole groups side by side, each in the caches of one thread; what is left over, and what an
    // observer wants in order, one group after the other on all threads.
    const int threads = options_.threads;
    std::int64_t apart = 0;
    if constexpr (std::is_same_v<Observer, NoObserver>) {
      const bool pays = prepared.pays_for_two(total, options_.work_that_pays());
      apart = threads > 1 && pays ? groups / threads * threads : 0;
      parallel_for(options_.parallel_for, threads, apart > 0 ? threads : 0, 1,
                   [&](std::int64_t rank, std::int64_t) {
                     for (std::int64_t group = rank; group < apart; group += threads) {
                       run_group(group, static_cast<int>(rank), 1, observer);
                     }
                   });
    }
    for (std::int64_t group = apart; group < groups; ++group) {
      run_group(group, 0, threads, observer);
    }
    return {};
  }

  Model model_;
  SessionOptions options_;
  detail::Arena memory_;
  detail::Preparation preparation_;
};

}  // namespace bitdial::inline BITDIAL_ABI
