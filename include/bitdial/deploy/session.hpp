// SPDX-License-Identifier: Apache-2.0
// Runs a model: memory and repacked weights for one caller, the plan chosen call by call.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <bitdial/core/result.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/deploy/executor.hpp>
#include <bitdial/deploy/kernel_choice.hpp>
#include <bitdial/deploy/model.hpp>
#include <bitdial/deploy/plan_compiler.hpp>
#include <bitdial/deploy/prepared_encoder.hpp>
#include <bitdial/deploy/prepared_weights.hpp>
#include <bitdial/kernels/dispatch.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// What a session prepares for.
struct SessionOptions {
  int threads = 1;
  std::int64_t max_batch = 1;                     ///< images that may share working memory, at most
  std::vector<std::size_t> plans{};               ///< indices into `Model::plans()`; empty: all
  const kernels::KernelTable* kernels = nullptr;  ///< null: what `select_kernels()` says
  KernelPath path = KernelPath::automatic;        ///< to compare the two paths
  /// Multiplications of a step that pay for one more thread; waking one takes as long as about a
  /// million of them. A network of small layers runs on one thread, whatever `threads` says.
  std::int64_t work_per_thread = std::int64_t{1} << 20;
};

namespace detail {

/// Memory on a 64-byte boundary whose size comes from a file: running out of it is an error text.
class Arena {
 public:
  Arena() = default;
  [[nodiscard]] static Result<Arena> allocate(std::size_t bytes) {
    Arena arena;
    arena.memory_.reset(static_cast<std::byte*>(
        ::operator new (std::max<std::size_t>(bytes, 1), std::align_val_t{64}, std::nothrow)));
    if (!arena.memory_) return Failure{concat("session: cannot allocate ", bytes, " bytes")};
    return arena;
  }
  [[nodiscard]] std::byte* data() const noexcept { return memory_.get(); }

 private:
  struct Release {
    void operator()(std::byte* memory) const noexcept {
      ::operator delete (memory, std::align_val_t{64});
    }
  };
  std::unique_ptr<std::byte, Release> memory_;
};

}  // namespace detail

/// One caller's way to run a model. A session belongs to one thread at a time; sessions share a
/// `Model` freely.
///
/// Creation repacks the weights of the chosen plans for this machine. After that `run` allocates
/// nothing on success, switching the plan costs nothing, and the result for the same file, input
/// and plan is the same bit for bit on every instruction set and for every number of threads.
class Session {
 public:
  /// Errors: options out of range, an unknown instruction set in BITDIAL_FORCE_ISA, a damaged
  /// weight plane, no memory.
  [[nodiscard]] static Result<Session> create(const Model& model,
                                              const SessionOptions& options = {}) {
    if (options.threads < 1 || options.threads > max_threads) {
      return Failure{concat("session: ", options.threads, " threads, expected 1 to ", max_threads)};
    }
    if (options.max_batch < 1 || options.max_batch > max_max_batch) {
      return Failure{concat("session: batches of ", options.max_batch, " images, expected 1 to ",
                            max_max_batch)};
    }
    if (options.work_per_thread < 1) {
      return Failure{
          concat("session: work_per_thread is ", options.work_per_thread, ", expected at least 1")};
    }
    const auto selected = options.kernels != nullptr
                              ? Result<const kernels::KernelTable*>{options.kernels}
                              : kernels::select_kernels();
    if (!selected) return selected.failure();
    Session session{model, options, **selected};
    if (auto prepared = session.prepare(options); !prepared) return prepared.failure();
    return session;
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
    const auto slice = static_cast<std::size_t>(max_batch_);
    for (std::size_t n = 0; n < classes.size(); n += slice) {
      const std::size_t count = std::min(slice, classes.size() - n);
      const std::span<float> outputs = std::span{outputs_}.first(count * values);
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
  [[nodiscard]] const kernels::KernelTable& kernels() const noexcept { return *table_; }
  [[nodiscard]] int threads() const noexcept { return threads_; }
  /// True when the session was created for this plan.
  [[nodiscard]] bool is_prepared(std::size_t plan) const noexcept {
    return plan < plans_.size() && plans_[plan].has_value();
  }
  [[nodiscard]] std::int64_t max_batch() const noexcept { return max_batch_; }
  /// Bytes of working memory: for each thread the arena of the largest plan and scratch.
  [[nodiscard]] std::size_t working_bytes() const noexcept { return working_bytes_; }
  /// The path that a layer takes under a prepared plan.
  [[nodiscard]] std::optional<KernelPath> path_of(std::size_t plan,
                                                  std::int32_t layer) const noexcept {
    if (plan >= plans_.size() || !plans_[plan]) return std::nullopt;
    const PreparedPlan& prepared = *plans_[plan];
    for (std::size_t s = 0; s < prepared.steps.size(); ++s) {
      if (prepared.program.steps[s].layer != layer) continue;
      const PreparedWeights* const weights = prepared.steps[s].weights;
      return weights == nullptr ? KernelPath::bytes : weights->path;  // grouped: bytes
    }
    return std::nullopt;
  }

 private:
  static constexpr int max_threads = 1024;
  static constexpr std::int64_t max_max_batch = 1 << 16;
  /// Small images run several at once, as many as keep the arena in a second-level cache.
  static constexpr std::int64_t arena_budget = std::int64_t{1} << 19;

  /// Weights that several plans may share.
  struct CachedWeights {
    std::int32_t layer = 0;
    int width = 0;
    KernelPath path = KernelPath::bytes;
    RowShape shape;
    std::int32_t multiplier = 1, offset = 0;
    PreparedWeights weights;
  };

  Session(const Model& model, const SessionOptions& options, const kernels::KernelTable& table)
      : model_{model},
        table_{&table},
        threads_{options.threads},
        max_batch_{options.max_batch},
        work_per_thread_{options.work_per_thread} {}

  [[nodiscard]] Result<void> prepare(const SessionOptions& options) {
    const std::size_t plan_count = model_.plans().size();
    plans_.resize(plan_count);
    for (const ActivationEncoder& encoder : model_.network().encoders) {
      encoders_.emplace_back(encoder);
    }
    std::vector<std::size_t> wanted = options.plans;
    for (std::size_t plan = 0; options.plans.empty() && plan < plan_count; ++plan) {
      wanted.push_back(plan);
    }
    for (const std::size_t plan : wanted) {
      if (plan >= plan_count) {
        return Failure{concat("session: plan ", plan, ", the model has ", plan_count)};
      }
      if (auto done = prepare_plan(plan, options.path); !done) return done;
    }
    outputs_.resize(static_cast<std::size_t>(max_batch_ * model_.output_size()));
    // The planes of a step stand behind the arena.
    plane_offset_ = arena_bytes_;
    arena_bytes_ += (plane_bytes_ + 63) / 64 * 64;
    traced_.resize(static_cast<std::size_t>(trace_bytes_));
    working_bytes_ = static_cast<std::size_t>(threads_) * (arena_bytes_ + scratch_bytes_);
    auto memory = detail::Arena::allocate(working_bytes_);
    if (!memory) return memory.failure();
    memory_ = *std::move(memory);
    return {};
  }

  [[nodiscard]] Result<void> prepare_plan(std::size_t index, KernelPath path) {
    const PackedPlan& plan = model_.plans()[index];
    PreparedPlan prepared;
    prepared.program = compile_plan(model_.network(), model_.shapes(), plan, 1);
    const auto image_bytes = static_cast<std::int64_t>(prepared.program.arena_bytes);
    prepared.images = std::clamp<std::int64_t>(arena_budget / image_bytes, 1, max_batch_);
    if (prepared.images > 1) {
      prepared.program = compile_plan(model_.network(), model_.shapes(), plan, prepared.images);
    }
    for (const Step& step : prepared.program.steps) {
      PreparedStep& ready = prepared.steps.emplace_back();
      PreparedGroups& groups = prepared.groups.emplace_back();
      if (step.kind == ops::NodeKind::input) prepare_input(step);
      if (!detail::has_layer(step.kind)) continue;
      const auto layer = static_cast<std::size_t>(step.layer);
      trace_bytes_ = std::max(trace_bytes_, step.x_shape.size() * prepared.images);
      if (step.kind == ops::NodeKind::grouped_conv2d) {
        auto done = prepare_groups_of(step, plan.layers[layer], prepared.program, groups);
        if (!done) return done;
        prepared.work += groups.work(step);
        continue;
      }
      ready.rows = rows_of(prepared.program, step);
      if (auto done = prepare_step(step, plan.layers[layer], path, ready); !done) return done;
      prepared.work += step.y_shape.size() * ready.rows.depth();
      if (!ready.sum_taps.empty()) {
        plane_bytes_ = std::max(plane_bytes_, ready.planes.bytes(prepared.images));
      }
    }
    arena_bytes_ = std::max(arena_bytes_, prepared.program.arena_bytes);
    plans_[index] = std::move(prepared);
    return {};
  }

  void prepare_input(const Step& step) {
    for (const CodeOutput& output : step.codes) {
      encoders_[static_cast<std::size_t>(output.encoder)].prepare_bytes(
          model_.preprocessing().normalisation, step.y_shape.c);
    }
  }

  [[nodiscard]] static WindowRows rows_of(const Program& program, const Step& step) {
    const auto layout = [&](BufferId buffer) {
      return program.buffers[static_cast<std::size_t>(buffer)].layout;
    };
    if (step.kind == ops::NodeKind::linear) return WindowRows::linear(layout(step.x_codes));
    const bool may_join =
        std::all_of(step.codes.begin(), step.codes.end(),
                    [&](const CodeOutput& output) { return layout(output.buffer).dense(); });
    return WindowRows::convolution(layout(step.x_codes), step.window, step.y_shape,
                                   {.may_join = may_join});
  }

  [[nodiscard]] Result<void> prepare_groups_of(const Step& step, const LayerState& state,
                                               const Program& program, PreparedGroups& groups) {
    const PackedLayer& layer = model_.layers()[static_cast<std::size_t>(step.layer)];
    const WeightPack& pack = *layer.pack_for(state.executed.w);
    if (!model_.planes_checked()) {
      if (auto checked = model_.check_planes(pack, state.executed.w); !checked) return checked;
    }
    groups = prepare_groups(*table_, layer, model_.planes(pack), state, step,
                            program.buffers[static_cast<std::size_t>(step.x_codes)].layout);
    scratch_bytes_ = std::max(scratch_bytes_, detail::GroupedStep::scratch_bytes(step));
    return {};
  }

  [[nodiscard]] Result<void> prepare_step(const Step& step, const LayerState& state,
                                          KernelPath path, PreparedStep& ready) {
    const PackedLayer& layer = model_.layers()[static_cast<std::size_t>(step.layer)];
    const ProductSize size{layer.cout, layer.depth(), state.executed.w, state.executed.a};
    if (path == KernelPath::automatic) path = measured_path(size);
    if (!planes_fit(size)) path = KernelPath::bytes;
    if (path == KernelPath::planes) prepare_planes(step, state.executed.a, ready);
    const RowShape shape{.segments = ready.rows.segments(), .pixel = ready.rows.x.pixel};
    auto weights = weights_of(step.layer, state, path, shape);
    if (!weights) return weights.failure();
    ready.weights = *weights;
    ready.state = &state;
    ready.short_groups = ready.weights->bytes.short_groups((1 << state.executed.a) - 1);
    const IntegerLevels& levels = state.activation_levels;
    const auto activation = static_cast<std::uint32_t>(levels.multiplier);
    ready.product_factor = activation * static_cast<std::uint32_t>(ready.weights->product_factor);
    ready.row_sum_factor = activation * static_cast<std::uint32_t>(ready.weights->row_sum_factor);
    if (levels.offset != 0) {
      const bool flat = step.kind == ops::NodeKind::linear;
      ready.border =
          BorderSums{flat ? ops::Window{} : step.window, flat ? ImageShape{} : step.x_shape,
                     step.y_shape, ready.weights->tap_sums, levels.offset};
    }
    scratch_bytes_ = std::max(
        scratch_bytes_, detail::MatrixStep::scratch_bytes(*table_, *ready.weights, layer.cout));
    return {};
  }

  void prepare_planes(const Step& step, int bits, PreparedStep& ready) {
    ready.planes = PlaneImages{ready.rows.x, bits};
    const CodeLayout& plane = ready.planes.plane;
    const CodeLayout& sums = ready.planes.sums;
    const bool flat = step.kind == ops::NodeKind::linear;
    ready.plane_rows =
        flat ? WindowRows::linear(plane)
             : WindowRows::convolution(plane, step.window, step.y_shape,
                                       {.may_join = ready.rows.lines != step.y_shape.h});
    if (flat) ready.plane_rows.row_step = ready.planes.image();
    const ops::Window taps =
        flat ? ops::Window{.kernel_h = plane.h, .kernel_w = plane.w} : step.window;
    for (std::int64_t ky = 0; ky < taps.kernel_h; ++ky) {
      for (std::int64_t kx = 0; kx < taps.kernel_w; ++kx) {
        ready.sum_taps.push_back(ky * taps.dilation_h * sums.line() +
                                 kx * taps.dilation_w * sums.pixel);
      }
    }
  }

  /// Measures each size once.
  [[nodiscard]] KernelPath measured_path(const ProductSize& size) {
    for (const auto& [measured, path] : paths_) {
      if (measured == size) return path;
    }
    paths_.emplace_back(size, choose_path(*table_, size));
    return paths_.back().second;
  }

  [[nodiscard]] Result<const PreparedWeights*> weights_of(std::int32_t index,
                                                          const LayerState& state, KernelPath path,
                                                          const RowShape& shape) {
    const IntegerLevels& levels = state.weight_levels;
    const int width = state.executed.w;
    for (const auto& cached : weights_) {
      if (cached->layer == index && cached->width == width && cached->path == path &&
          cached->shape == shape && cached->multiplier == levels.multiplier &&
          cached->offset == levels.offset) {
        return &cached->weights;
      }
    }
    const PackedLayer& layer = model_.layers()[static_cast<std::size_t>(index)];
    const WeightPack& pack = *layer.pack_for(width);
    if (!model_.planes_checked()) {
      if (auto checked = model_.check_planes(pack, width); !checked) return checked.failure();
    }
    weights_.push_back(std::make_unique<CachedWeights>(CachedWeights{
        index, width, path, shape, levels.multiplier, levels.offset,
        prepare_weights(*table_, layer, model_.planes(pack), width, levels, path, shape)}));
    return &weights_.back()->weights;
  }

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
    if (plan >= plans_.size() || !plans_[plan]) return not_prepared(plan);
    const PreparedPlan& prepared = *plans_[plan];
    const std::int64_t groups = (total + prepared.images - 1) / prepared.images;
    const auto run_group = [&](std::int64_t group, int arena, int team, auto& seen) {
      const std::int64_t first = group * prepared.images;
      ImageBatch batch = batch_of(images.data() + first * image);
      batch.count = std::min(prepared.images, total - first);
      batch.first = first;
      const float* const result = execute(context(arena, team), prepared, batch, seen);
      std::copy_n(result, batch.count * values, outputs.data() + first * values);
    };
    // Whole groups side by side, each in the caches of one thread; what is left over, and what an
    // observer wants in order, one group after the other on all threads.
    std::int64_t apart = 0;
    if constexpr (std::is_same_v<Observer, NoObserver>) {
      const bool pays = total * prepared.work >= 2 * work_per_thread_;
      apart = threads_ > 1 && pays ? groups / threads_ * threads_ : 0;
      parallel_for(threads_, apart > 0 ? threads_ : 0, 1, [&](std::int64_t rank, std::int64_t) {
        for (std::int64_t group = rank; group < apart; group += threads_) {
          run_group(group, static_cast<int>(rank), 1, observer);
        }
      });
    }
    for (std::int64_t group = apart; group < groups; ++group) {
      run_group(group, 0, threads_, observer);
    }
    return {};
  }

  /// `team` threads on arena `arena`.
  [[nodiscard]] ExecutorContext context(int arena, int team) noexcept {
    const auto index = static_cast<std::size_t>(arena);
    const auto arenas = static_cast<std::size_t>(threads_) * arena_bytes_;
    return {.table = *table_,
            .encoders = encoders_,
            .normalisation = model_.preprocessing().normalisation,
            .arena = memory_.data() + index * arena_bytes_,
            .planes = reinterpret_cast<std::uint8_t*>(memory_.data() + index * arena_bytes_ +
                                                      plane_offset_),
            .traced = traced_.data(),
            .scratch = memory_.data() + arenas + index * scratch_bytes_,
            .scratch_bytes = scratch_bytes_,
            .threads = team,
            .work_per_thread = work_per_thread_};
  }

  [[nodiscard]] Failure not_prepared(std::size_t plan) const {
    if (plan >= plans_.size()) {
      return Failure{concat("session: plan ", plan, ", the model has ", plans_.size())};
    }
    return Failure{concat("session: plan ", model_.plans()[plan].name(),
                          " was not among the plans that this session was created for")};
  }

  Model model_;
  const kernels::KernelTable* table_;
  int threads_;
  std::int64_t max_batch_;
  std::int64_t work_per_thread_;
  std::vector<std::pair<ProductSize, KernelPath>> paths_;  ///< measured
  std::vector<PreparedEncoder> encoders_;
  std::vector<std::unique_ptr<CachedWeights>> weights_;
  std::vector<std::optional<PreparedPlan>> plans_;  ///< by index into `Model::plans()`
  std::vector<float> outputs_;                      ///< of `classify`
  std::vector<std::uint8_t> traced_;                ///< what an observer sees
  std::int64_t trace_bytes_ = 0;
  detail::Arena memory_;
  std::size_t plane_bytes_ = 0, plane_offset_ = 0, arena_bytes_ = 0, scratch_bytes_ = 0,
              working_bytes_ = 0;
};

}  // namespace bitdial::inline BITDIAL_ABI
