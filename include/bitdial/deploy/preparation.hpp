// SPDX-License-Identifier: Apache-2.0
// Plans made ready to run: first where everything will lie, without memory; then everything in it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <bitdial/core/heap_bytes.hpp>
#include <bitdial/core/result.hpp>
#include <bitdial/core/rounding.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/deploy/executor.hpp>
#include <bitdial/deploy/kernel_choice.hpp>
#include <bitdial/deploy/measured_choice.hpp>
#include <bitdial/deploy/model.hpp>
#include <bitdial/deploy/plan_compiler.hpp>
#include <bitdial/deploy/pooled_lines.hpp>
#include <bitdial/deploy/prepared_encoder.hpp>
#include <bitdial/deploy/prepared_step.hpp>
#include <bitdial/deploy/prepared_weights.hpp>
#include <bitdial/deploy/session_options.hpp>

namespace bitdial::inline BITDIAL_ABI::detail {

/// The plans of a session. `lay_out` compiles them and gives every array of weights and of working
/// memory its place; it reads no weights. `fill` then repacks the weights into their places.
///
/// The memory is [weights and border sums | one arena per thread | one scratch per thread | outputs
/// | traced codes], each part on a 64-byte boundary.
class Preparation {
 public:
  [[nodiscard]] static Result<Preparation> lay_out(const Model& model,
                                                   const SessionOptions& options) {
    const auto table = check_session_options(options);
    if (!table) return table.failure();
    Preparation preparation{model, **table, options};
    if (auto done = preparation.lay_out_plans(options.plans); !done) return done.failure();
    preparation.lay_out_working_memory();
    return preparation;
  }

  [[nodiscard]] MemoryPlan memory_plan() const noexcept {
    return {.weights = arena_at_, .working = end_ - arena_at_, .description = heap_bytes()};
  }

  /// Repacks the weights into `memory`, as large as planned. Error: a damaged weight plane.
  [[nodiscard]] Result<void> fill(std::byte* memory) {
    memory_ = memory;
    for (const auto& stored : weights_) {
      if (auto done = fill_weights(*stored); !done) return done;
    }
    for (std::size_t plan = 0; plan < plans_.size(); ++plan) {
      if (!plans_[plan]) continue;
      PreparedPlan& prepared = *plans_[plan];
      for (std::size_t s = 0; s < prepared.steps.size(); ++s) {
        const Step& step = prepared.program.steps[s];
        if (!has_layer(step.kind)) continue;
        const LayerState& state = state_of(plan, step);
        prepared.steps[s].saturates = prepared.groups[s].saturates = saturates(step, state);
        if (step.kind == ops::NodeKind::grouped_conv2d) {
          const PackedLayer& layer = layer_of(step);
          const auto planes = planes_of(layer, state.executed.w, state.pack);
          if (!planes) return planes.failure();
          const StepPlace& place = places_[plan][s];
          fill_groups(*table_, layer, *planes, step, memory_ + place.groups, sums_at(place.border),
                      prepared.groups[s]);
        } else {
          finish_step(state, prepared.steps[s], places_[plan][s]);
        }
      }
    }
    for (const auto& stored : weights_) std::vector<std::int32_t>{}.swap(stored->weights.tap_sums);
    return {};
  }

  [[nodiscard]] const kernels::KernelTable& table() const noexcept { return *table_; }
  /// The plan with this index into `Model::plans()`; null when it was not asked for.
  [[nodiscard]] const PreparedPlan* plan(std::size_t index) const noexcept {
    return index < plans_.size() && plans_[index] ? &*plans_[index] : nullptr;
  }

  /// `team` threads that work in arena `arena`.
  [[nodiscard]] ExecutorContext context(int arena, int team) const noexcept {
    const auto index = static_cast<std::size_t>(arena);
    return {.table = *table_,
            .encoders = encoders_,
            .normalisation = model_.preprocessing().normalisation,
            .arena = memory_ + arena_at_ + index * arena_bytes_,
            .traced = reinterpret_cast<std::uint8_t*>(memory_ + traced_at_),
            .scratch = memory_ + scratch_at_ + index * scratch_bytes_,
            .scratch_bytes = scratch_bytes_,
            .threads = team,
            .work_per_thread = work_per_thread_,
            .parallel_for = hook_};
  }
  /// Outputs of `max_batch` images.
  [[nodiscard]] std::span<float> outputs() const noexcept {
    return {reinterpret_cast<float*>(memory_ + outputs_at_),
            static_cast<std::size_t>(max_batch_ * model_.output_size())};
  }

 private:
  /// Small images run several at once, as many as keep the arena in a second-level cache.
  static constexpr std::int64_t arena_budget = std::int64_t{1} << 19;

  /// Weights that several plans may share.
  struct StoredWeights {
    std::int32_t layer = 0;
    int width = 0;
    std::int32_t pack = 0;  ///< of those that serve the width
    KernelPath path = KernelPath::bytes;
    RowShape shape;
    IntegerLevels levels;
    std::size_t at = 0, bytes = 0;
    PreparedWeights weights{};

    [[nodiscard]] bool same(const StoredWeights& other) const noexcept {
      return layer == other.layer && width == other.width && pack == other.pack &&
             path == other.path && shape == other.shape &&
             levels.multiplier == other.levels.multiplier && levels.offset == other.levels.offset;
    }
  };
  /// Where the arrays of one step lie.
  struct StepPlace {
    std::size_t groups = 0, border = 0;
  };

  Preparation(const Model& model, const kernels::KernelTable& table, const SessionOptions& options)
      : model_{model},
        table_{&table},
        path_{options.path},
        threads_{static_cast<std::size_t>(options.threads)},
        max_batch_{options.max_batch},
        work_per_thread_{options.work_that_pays()},
        hook_{options.parallel_for},
        list_bytes_{options.plans.size() * sizeof(std::size_t)} {}

  /// What the description of the steps takes, now and when everything is filled.
  [[nodiscard]] std::size_t heap_bytes() const noexcept {
    std::size_t bytes = list_bytes_ + bitdial::heap_bytes(encoders_) +
                        bitdial::heap_bytes(weights_) + bitdial::heap_bytes(plans_) +
                        bitdial::heap_bytes(places_) + weights_.size() * sizeof(StoredWeights);
    for (const PreparedEncoder& encoder : encoders_) bytes += encoder.heap_bytes();
    for (const auto& plan : plans_) bytes += plan ? plan->heap_bytes() : 0;
    for (const auto& places : places_) bytes += bitdial::heap_bytes(places);
    return bytes;
  }

  // ---- places -----------------------------------------------------------------------------

  [[nodiscard]] std::size_t take(std::size_t bytes) noexcept {
    const std::size_t at = end_;
    end_ += aligned(bytes);
    return at;
  }
  [[nodiscard]] static std::size_t aligned(std::size_t bytes) noexcept {
    return (bytes + MemoryPlan::alignment - 1) / MemoryPlan::alignment * MemoryPlan::alignment;
  }

  [[nodiscard]] Result<void> lay_out_plans(std::vector<std::size_t> wanted) {
    const std::size_t count = model_.plans().size();
    plans_ = std::vector<std::optional<PreparedPlan>>(count);
    places_ = std::vector<std::vector<StepPlace>>(count);
    for (const ActivationEncoder& encoder : model_.network().encoders) {
      encoders_.emplace_back(encoder);
    }
    const bool all = wanted.empty();
    for (std::size_t plan = 0; all && plan < count; ++plan) wanted.push_back(plan);
    for (const std::size_t plan : wanted) {
      if (const auto known = model_.check_plan(plan); !known) {
        return Failure{concat("session: ", known.error())};
      }
      if (!plans_[plan]) lay_out_plan(plan);
    }
    return {};
  }

  void lay_out_working_memory() noexcept {
    arena_at_ = take(threads_ * arena_bytes_);
    scratch_bytes_ = aligned(scratch_bytes_);
    scratch_at_ = take(threads_ * scratch_bytes_);
    outputs_at_ = take(static_cast<std::size_t>(max_batch_ * model_.output_size()) * sizeof(float));
    traced_at_ = take(static_cast<std::size_t>(traced_bytes_));
  }

  void lay_out_plan(std::size_t index) {
    const PackedPlan& plan = model_.plans()[index];
    PreparedPlan prepared;
    prepared.program = compile_plan(model_.network(), model_.shapes(), plan, 1);
    const auto image_bytes = static_cast<std::int64_t>(prepared.program.arena_bytes);
    prepared.images = std::clamp<std::int64_t>(arena_budget / image_bytes, 1, max_batch_);
    if (prepared.images > 1) {
      prepared.program = compile_plan(model_.network(), model_.shapes(), plan, prepared.images);
    }
    const std::size_t count = prepared.program.steps.size();
    prepared.steps = std::vector<PreparedStep>(count);
    prepared.groups = std::vector<PreparedGroups>(count);
    places_[index] = std::vector<StepPlace>(count);
    for (std::size_t s = 0; s < count; ++s) {
      const Step& step = prepared.program.steps[s];
      PreparedStep& ready = prepared.steps[s];
      PreparedGroups& groups = prepared.groups[s];
      StepPlace& place = places_[index][s];
      if (step.kind == ops::NodeKind::input) prepare_input(step);
      if (!has_layer(step.kind)) continue;
      const LayerState& state = state_of(index, step);
      const PackedLayer& layer = layer_of(step);
      prepared.work += step.y_shape.size() * layer.depth();
      traced_bytes_ = std::max(traced_bytes_, step.x_shape.size() * prepared.images);
      if (step.kind == ops::NodeKind::grouped_conv2d) {
        place.groups = take(prepared_group_bytes(*table_, layer, step));
        groups = lay_out_groups(layer, state, step, prepared.program.codes_of(step),
                                border_of(step, state));
        place.border = take(groups.border.size() * sizeof(std::uint32_t));
        scratch_bytes_ = std::max(scratch_bytes_, GroupedStep::scratch_bytes(step));
        continue;
      }
      ready.border = border_of(step, state);
      place.border = take(ready.border.size() * sizeof(std::uint32_t));
      lay_out_product(step, matrix_shape(prepared.program, step, state.executed), state, ready);
      ready.scratch_bytes =
          aligned(MatrixStep::scratch_bytes(*table_, ready, step.y_shape.c, prepared.images));
      const std::size_t band =
          step.pooled ? PooledLines::bytes(step, prepared.program.steps[s + 1]) : 0;
      scratch_bytes_ = std::max(scratch_bytes_, ready.scratch_bytes + band);
    }
    arena_bytes_ = std::max(arena_bytes_, prepared.program.arena_bytes);
    plans_[index] = std::move(prepared);
  }

  void prepare_input(const Step& step) {
    for (const CodeOutput& output : step.codes) {
      encoders_[static_cast<std::size_t>(output.encoder)].prepare_bytes(
          model_.preprocessing().normalisation, step.y_shape.c);
    }
  }

  /// What code 0 in padded places owes; the sums come later.
  [[nodiscard]] static BorderSums border_of(const Step& step, const LayerState& state) {
    if (state.activation_levels.offset == 0) return {};
    const bool flat = step.kind == ops::NodeKind::linear;
    return {flat ? ops::Window{} : step.window, flat ? ImageShape{} : step.x_shape, step.y_shape};
  }

  void lay_out_product(const Step& step, const MatrixShape& shape, const LayerState& state,
                       PreparedStep& ready) {
    KernelPath path = path_;
    if (path == KernelPath::automatic) {
      const KernelChoice choice = choose_kernel(*table_, shape);
      path = choice.path;
      ready.why = choice.times;
    } else if (!serves(path, shape)) {
      path = KernelPath::bytes;
    }
    ready.rows = rows_over(shape, shape.x, shape.may_join);
    lay_out_images(shape, path, ready);
    StoredWeights wanted{.layer = step.layer,
                         .width = state.executed.w,
                         .pack = state.pack,
                         .path = path,
                         .shape = {.segments = ready.rows.segments(), .pixel = shape.x.pixel},
                         .levels = state.weight_levels};
    auto found =
        std::ranges::find_if(weights_, [&](const auto& stored) { return stored->same(wanted); });
    if (found == weights_.end()) {
      wanted.weights = weight_layout({shape.y.c, shape.depth(), wanted.width, wanted.levels}, path,
                                     wanted.shape);
      wanted.bytes = prepared_weight_bytes(*table_, wanted.weights);
      wanted.at = take(wanted.bytes);
      weights_.push_back(std::make_unique<StoredWeights>(std::move(wanted)));
      found = weights_.end() - 1;
    }
    ready.weights = &(*found)->weights;
    const auto activation = static_cast<std::uint32_t>(state.activation_levels.multiplier);
    ready.product_factor = activation * static_cast<std::uint32_t>(ready.weights->product_factor);
    ready.row_sum_factor = activation * static_cast<std::uint32_t>(ready.weights->row_sum_factor);
  }

  // ---- contents ---------------------------------------------------------------------------

  [[nodiscard]] const PackedLayer& layer_of(const Step& step) const noexcept {
    return model_.layers()[static_cast<std::size_t>(step.layer)];
  }
  [[nodiscard]] const LayerState& state_of(std::size_t plan, const Step& step) const noexcept {
    return model_.plans()[plan].layers[static_cast<std::size_t>(step.layer)];
  }
  [[nodiscard]] std::uint32_t* sums_at(std::size_t place) const noexcept {
    return reinterpret_cast<std::uint32_t*>(memory_ + place);
  }

  /// The planes that a layer reads at `width` in pack `number` of those that serve it, proved.
  [[nodiscard]] Result<std::span<const std::span<const std::byte>>> planes_of(
      const PackedLayer& layer, int width, std::int32_t number) const {
    const WeightPack& pack = *layer.pack_for(width, number);
    if (!model_.planes_checked()) {
      if (auto checked = model_.check_planes(pack, width); !checked) return checked.failure();
    }
    return model_.planes(pack);
  }

  [[nodiscard]] Result<void> fill_weights(StoredWeights& stored) {
    const PackedLayer& layer = model_.layers()[static_cast<std::size_t>(stored.layer)];
    const auto planes = planes_of(layer, stored.width, stored.pack);
    if (!planes) return planes.failure();
    stored.weights = prepare_weights(*table_, layer, *planes, stored.levels, stored.shape,
                                     stored.weights, {memory_ + stored.at, stored.bytes});
    return {};
  }

  /// CodeSteps::saturates of the first codes that a step makes, for every sum of 32 bits.
  [[nodiscard]] bool saturates(const Step& step, const LayerState& state) const noexcept {
    if (step.codes.empty() || step.residual >= 0) return false;
    const kernels::CodeSteps steps =
        encoders_[static_cast<std::size_t>(step.codes.front().encoder)].steps();
    if (steps.thresholds != nullptr || steps.max_code < 255) return false;
    if (steps.clip * steps.inverse_step <= 254.5F) return false;
    const float most = 0x1p29F / std::max(1.0F, steps.inverse_step);
    for (std::size_t c = 0; c < state.bias.size(); ++c) {
      if (std::abs(state.bias[c]) > most || std::abs(state.multiplier[c]) * 0x1p31F > most) {
        return false;
      }
    }
    return true;
  }

  void finish_step(const LayerState& state, PreparedStep& ready, const StepPlace& place) const {
    ready.state = &state;
    ready.short_groups = ready.weights->bytes.short_groups((1 << state.executed.a) - 1);
    if (!ready.border.empty()) {
      ready.border.fill(ready.weights->tap_sums, state.activation_levels.offset,
                        sums_at(place.border));
    }
  }

  Model model_;
  const kernels::KernelTable* table_;
  KernelPath path_;
  std::size_t threads_;
  std::int64_t max_batch_, work_per_thread_;
  ParallelHook hook_;
  std::size_t list_bytes_;  ///< of the plans in the session's options
  std::vector<PreparedEncoder> encoders_;
  std::vector<std::unique_ptr<StoredWeights>> weights_;
  std::vector<std::optional<PreparedPlan>> plans_;   ///< by index into `Model::plans()`
  std::vector<std::vector<StepPlace>> places_;       ///< of the steps of each plan
  std::size_t end_ = 0;                              ///< of the places that were taken
  std::size_t arena_bytes_ = 0, scratch_bytes_ = 0;  ///< for each thread
  std::int64_t traced_bytes_ = 0;
  std::size_t arena_at_ = 0, scratch_at_ = 0, outputs_at_ = 0, traced_at_ = 0;
  std::byte* memory_ = nullptr;
};

}  // namespace bitdial::inline BITDIAL_ABI::detail
