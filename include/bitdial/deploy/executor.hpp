// SPDX-License-Identifier: Apache-2.0
// Runs the steps of a compiled plan. Allocates nothing; the memory is the session's.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <bitdial/core/heap_bytes.hpp>
#include <bitdial/core/image_byte.hpp>
#include <bitdial/core/parallel.hpp>
#include <bitdial/deploy/grouped_step.hpp>
#include <bitdial/deploy/matrix_step.hpp>
#include <bitdial/deploy/network_check.hpp>
#include <bitdial/deploy/plan_compiler.hpp>
#include <bitdial/deploy/pooled_lines.hpp>
#include <bitdial/deploy/prepared_encoder.hpp>
#include <bitdial/deploy/real_steps.hpp>
#include <bitdial/kernels/kernel_table.hpp>
#include <bitdial/ops/graph.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// A plan, ready to run.
struct PreparedPlan {
  Program program;
  std::vector<PreparedStep> steps;     ///< one per step; empty ones where no layer is involved
  std::vector<PreparedGroups> groups;  ///< one per step; empty ones but for grouped convolutions
  std::int64_t images = 1;             ///< that run at once
  std::int64_t work = 0;               ///< multiplications of one image

  /// Whether `count` images give two threads `work_per_thread` multiplications each.
  [[nodiscard]] bool pays_for_two(std::int64_t count, std::int64_t work_per_thread) const noexcept {
    return static_cast<double>(count) * static_cast<double>(work) >=
           2.0 * static_cast<double>(work_per_thread);
  }
  [[nodiscard]] std::size_t heap_bytes() const noexcept {
    std::size_t bytes =
        program.heap_bytes() + bitdial::heap_bytes(steps) + bitdial::heap_bytes(groups);
    for (const PreparedStep& step : steps) bytes += step.heap_bytes();
    for (const PreparedGroups& group : groups) bytes += group.heap_bytes();
    return bytes;
  }
};

/// Images to run: bytes or real values, [N, H, W, C]; one of the pointers is null.
struct ImageBatch {
  const std::uint8_t* bytes = nullptr;
  const float* values = nullptr;
  std::int64_t count = 0;
  std::int64_t first = 0;  ///< index of the first image in the call of `run`
};

/// What an observer of a run sees of a quantized layer: the codes that it multiplies. It is called
/// for a few images at a time, in order.
struct LayerTrace {
  std::int32_t layer = 0;        ///< index into `Model::layers()`
  std::int64_t first_image = 0;  ///< of the call of `run`
  std::int64_t images = 0;
  ImageShape shape;                     ///< of one image
  std::span<const std::uint8_t> codes;  ///< [images, h, w, c]
};

/// An observer that is called before and after each step, with its index into `Program::steps`, by
/// the first thread; it must not throw.
template <class Observer>
concept WatchesSteps = requires(Observer& observer, std::size_t step) {
  observer.begin(step);
  observer.end(step);
};

/// An observer that is called with the codes of each quantized layer; it may throw.
template <class Observer>
concept WatchesLayers = std::invocable<Observer&, const LayerTrace&>;

/// The observer that sees nothing and costs nothing.
struct NoObserver {};

/// The working memory of a run and the machine it runs on.
struct ExecutorContext {
  const kernels::KernelTable& table;
  std::span<const PreparedEncoder> encoders;
  const Normalisation& normalisation;  ///< of the bytes of images
  std::byte* arena = nullptr;          ///< `Program::arena_bytes`, 64-byte aligned
  std::uint8_t* traced = nullptr;      ///< codes of one step without borders, for an observer
  std::byte* scratch = nullptr;        ///< `threads` times `scratch_bytes`, 64-byte aligned
  std::size_t scratch_bytes = 0;
  int threads = 1;
  std::int64_t work_per_thread = 1;  ///< multiplications that pay for one more thread
  ParallelHook parallel_for{};       ///< the caller's threads
};

namespace detail {

/// An element-wise value counts as this many multiplications when work is shared out.
inline constexpr std::int64_t element_work = 16;
/// How much better columns must share out a product to be split, and beyond how many bytes of
/// weights for each code any advantage will do.
inline constexpr double column_advantage = 1.2;
inline constexpr std::int64_t heavy_weights = 32;
/// Elements per chunk of element-wise work.
inline constexpr std::int64_t element_grain = 1 << 13;

/// What one thread does in a run: alone it runs all steps, on other threads too where they pay; as
/// a member of a team it does its part of each.
class Executor {
 public:
  Executor(const ExecutorContext& context, const PreparedPlan& plan, const ImageBatch& batch,
           const TeamMember& member = {}) noexcept
      : context_{context}, plan_{plan}, batch_{batch}, member_{member} {}

  /// Runs all steps.
  template <class Observer>
  void run(Observer&& observer) {
    const Program& program = plan_.program;
    for (std::size_t s = 0; s < program.steps.size(); ++s) {
      const Step& step = program.steps[s];
      if constexpr (WatchesSteps<Observer>) {
        if (member_.rank == 0) observer.begin(s);
      }
      if (has_layer(step.kind)) {
        if constexpr (WatchesLayers<Observer>) trace(step, observer);
        if (step.kind == ops::NodeKind::grouped_conv2d) {
          run_groups(step, plan_.groups[s]);
        } else if (step.pooled) {
          run_pooled(step, plan_.steps[s], program.steps[s + 1]);
        } else {
          run_matrix(step, plan_.steps[s]);
        }
      } else if (s == 0 || !program.steps[s - 1].pooled) {
        run_real(step);
      }
      if constexpr (WatchesSteps<Observer>) {
        member_.wait();
        if (member_.rank == 0) observer.end(s);
      }
    }
  }

 private:
  [[nodiscard]] std::byte* memory(BufferId buffer) const noexcept {
    return context_.arena + plan_.program.buffers[static_cast<std::size_t>(buffer)].offset;
  }
  [[nodiscard]] float* real(BufferId buffer) const noexcept {
    return reinterpret_cast<float*>(memory(buffer));
  }
  [[nodiscard]] std::uint8_t* codes(BufferId buffer) const noexcept {
    return reinterpret_cast<std::uint8_t*>(memory(buffer));
  }
  [[nodiscard]] std::byte* scratch_of(std::int64_t rank) const noexcept {
    return context_.scratch + static_cast<std::size_t>(rank) * context_.scratch_bytes;
  }
  [[nodiscard]] const CodeLayout& layout(BufferId buffer) const noexcept {
    return plan_.program.buffers[static_cast<std::size_t>(buffer)].layout;
  }
  [[nodiscard]] const PreparedEncoder& encoder(const CodeOutput& output) const noexcept {
    return context_.encoders[static_cast<std::size_t>(output.encoder)];
  }

  /// The share that member `rank` of `team` has in the borders of a step's codes: that of about the
  /// lines that it writes, whose memory its core holds.
  void clear_borders(const Step& step, std::int64_t rank, std::int64_t team) const noexcept {
    for (const CodeOutput& output : step.codes) {
      if (!output.clears_border) continue;
      const CodeLayout& own = layout(output.buffer);
      const std::int64_t end = batch_.count * own.h * (rank + 1) / team;
      for (std::int64_t line = batch_.count * own.h * rank / team; line < end;) {
        const std::int64_t n = line / own.h, next = std::min(end, (n + 1) * own.h);
        own.clear_border(codes(output.buffer) + n * own.image(), line - n * own.h,
                         next - n * own.h);
        line = next;
      }
    }
  }

  template <class Observer>
  void trace(const Step& step, Observer&& observer) const {
    const CodeLayout& own = plan_.program.codes_of(step);
    const std::int64_t line = step.x_shape.w * step.x_shape.c;
    std::uint8_t* out = context_.traced;
    for (std::int64_t n = 0; n < batch_.count; ++n) {
      for (std::int64_t y = 0; y < step.x_shape.h; ++y) {
        out = std::copy_n(codes(step.x_codes) + n * own.image() + own.at(y, 0), line, out);
      }
    }
    observer(LayerTrace{.layer = step.layer,
                        .first_image = batch_.first,
                        .images = batch_.count,
                        .shape = step.x_shape,
                        .codes = {context_.traced, out}});
  }

  // ---- quantized layers -------------------------------------------------------------------

  [[nodiscard]] MatrixOperands operands_of(const Step& step) const noexcept {
    return {.x = codes(step.x_codes),
            .y = step.y >= 0 ? real(step.y) + step.first_channel : nullptr,
            .residual = step.residual >= 0 ? real(step.residual) : nullptr,
            .arena = context_.arena,
            .count = batch_.count};
  }

  void run_groups(const Step& step, const PreparedGroups& prepared) {
    const MatrixOperands operands = operands_of(step);
    const GroupedStep groups{context_.table, context_.encoders, plan_.program.buffers,
                             step,           prepared,          operands};
    const std::int64_t lines = groups.lines();
    const std::int64_t team = std::min(team_for(groups.work()), lines);
    write_on_team(step, team, [&](std::int64_t rank) {
      groups.run({lines * rank / team, lines * (rank + 1) / team}, scratch_of(rank));
    });
  }

  void run_matrix(const Step& step, const PreparedStep& prepared) {
    const MatrixOperands operands = operands_of(step);
    const MatrixStep matrix{context_.table, context_.encoders, plan_.program.buffers,
                            step,           prepared,          operands};
    const std::int64_t channels = step.y_shape.c, unit = matrix.column_step();
    const std::int64_t tiles = matrix.tiles(), units = (channels + unit - 1) / unit;
    const std::int64_t team = std::min(team_for(matrix.work()), std::max(tiles, units));
    // Rows leave each thread the part of the images that its core holds. Columns are split where
    // rows would leave a thread idle, or where everybody would read much more weight than codes.
    const auto share = [&](std::int64_t parts) {
      return static_cast<double>(parts) / static_cast<double>((parts + team - 1) / team);
    };
    const bool heavy = matrix.weight_bytes() > heavy_weights * batch_.count * step.x_shape.size();
    const bool by_columns =
        tiles < 16 * team && share(units) >= share(tiles) * (heavy ? 1.0 : column_advantage);
    write_on_team(step, team, [&](std::int64_t rank) {
      std::byte* const scratch = scratch_of(rank);
      const auto part = [&](std::int64_t count) {
        return IndexRange{count * rank / team, count * (rank + 1) / team};
      };
      const IndexRange rows = by_columns ? IndexRange{0, tiles} : part(tiles);
      const IndexRange columns = by_columns ? part(units) : IndexRange{0, units};
      if (rows.begin == rows.end || columns.begin == columns.end) return;
      if (matrix.needs_images()) matrix.make_images(matrix.lines_of(rows), scratch);
      matrix.run(rows, {columns.begin * unit, std::min(channels, columns.end * unit)}, scratch);
    });
  }

  /// A convolution and the pool behind it, a few lines of one and then those of the other.
  void run_pooled(const Step& step, const PreparedStep& prepared, const Step& pool) {
    const MatrixOperands operands = operands_of(step);
    const MatrixStep whole{context_.table, context_.encoders, plan_.program.buffers,
                           step,           prepared,          operands};
    const std::int64_t h = pool.y_shape.h, lines = batch_.count * h;
    const std::int64_t team = std::min(team_for(whole.work()), lines);
    write_on_team(pool, team, [&](std::int64_t rank) {
      std::byte* const scratch = scratch_of(rank);
      PooledLines band{step, pool, reinterpret_cast<float*>(scratch + prepared.scratch_bytes)};
      const std::int64_t end = lines * (rank + 1) / team;
      for (std::int64_t r = lines * rank / team; r < end;) {
        const std::int64_t n = r / h, next = std::min(end, (n + 1) * h);
        const auto make = [&](IndexRange made, float* values) {
          MatrixOperands own = operands;
          own.y = values - n * step.y_shape.size();
          const MatrixStep matrix{context_.table, context_.encoders, plan_.program.buffers,
                                  step,           prepared,          own};
          const IndexRange tiles = matrix.tiles_of(n, made);
          if (matrix.needs_images()) matrix.make_images(matrix.lines_of(tiles), scratch);
          matrix.run(tiles, {0, step.y_shape.c}, scratch);
        };
        const auto take = [&](std::int64_t line, const float* values) {
          run_pool_line(pool, n * h + line, values);
        };
        band.run({r - n * h, next - n * h}, make, take);
        r = next;
      }
    });
  }

  // ---- everything else --------------------------------------------------------------------

  // By lines of the result: line r counts over all images.

  void run_real(const Step& step) {
    const std::int64_t line = step.y_shape.w * step.y_shape.c;
    const std::int64_t lines = batch_.count * step.y_shape.h;
    const bool pools = step.kind == ops::NodeKind::max_pool2d ||
                       step.kind == ops::NodeKind::average_pool2d ||
                       step.kind == ops::NodeKind::global_average_pool;
    const std::int64_t grain = pools ? 1 : std::max<std::int64_t>(1, element_grain / line);
    const std::int64_t work = std::max(step.x_shape.size(), step.y_shape.size()) * batch_.count;
    const std::int64_t chunks = (lines + grain - 1) / grain;
    const std::int64_t team = std::min(team_for(work * element_work), chunks);
    write_on_team(step, team, [&](std::int64_t rank) {
      const std::int64_t end = std::min(lines, chunks * (rank + 1) / team * grain);
      for (std::int64_t r = chunks * rank / team * grain; r < end; ++r) {
        if (step.kind == ops::NodeKind::input) {
          run_input_line(step, r, line);
        } else {
          run_real_line(step, r, line);
        }
      }
    });
  }

  /// The threads that this much work pays for.
  [[nodiscard]] std::int64_t team_for(std::int64_t work) const noexcept {
    return std::clamp<std::int64_t>(work / context_.work_per_thread, 1, context_.threads);
  }

  /// `body(rank)` for each rank of a team, after all that came before; threads beyond it do
  /// nothing. Members of a team wait where what came before was not their own work alone.
  template <class Body>
  void on_team(std::int64_t team, Body&& body) {
    if (member_.size == 1) {
      return parallel_for(context_.parallel_for, context_.threads, team, 1,
                          [&](std::int64_t rank, std::int64_t) { body(rank); });
    }
    if (team > 1 || last_team_ > 1) member_.wait();
    last_team_ = team;
    for (std::int64_t rank = member_.rank; rank < team; rank += member_.size) body(rank);
  }
  /// The same for the results of a step. The memory of their borders belonged to other buffers
  /// before: it is cleared.
  template <class Body>
  void write_on_team(const Step& step, std::int64_t team, Body&& body) {
    on_team(team, [&](std::int64_t rank) {
      clear_borders(step, rank, team);
      body(rank);
    });
  }

  [[nodiscard]] std::uint8_t* code_line(const Step& step, const CodeOutput& output,
                                        std::int64_t r) const noexcept {
    return codes(output.buffer) + layout(output.buffer).at_line(r) + step.first_channel;
  }
  void encode_line(const Step& step, std::int64_t r, const float* y) const {
    for (const CodeOutput& output : step.codes) {
      encoder(output).encode(context_.table, {.rows = step.y_shape.w,
                                              .size = step.y_shape.c,
                                              .x = y,
                                              .x_step = step.pixel,
                                              .codes = code_line(step, output, r),
                                              .codes_step = step.pixel});
    }
  }

  void run_input_line(const Step& step, std::int64_t r, std::int64_t line) const {
    if (batch_.bytes == nullptr) {
      const float* const x = batch_.values + r * line;
      if (step.y >= 0) std::copy_n(x, line, real(step.y) + r * line);
      return encode_line(step, r, x);
    }
    const std::uint8_t* const x = batch_.bytes + r * line;
    if (step.y >= 0) {
      const auto channels = static_cast<std::size_t>(step.y_shape.c);
      float* const y = real(step.y) + r * line;
      for (std::size_t i = 0; i < static_cast<std::size_t>(line); ++i) {
        y[i] = context_.normalisation(unit_value(x[i]), i % channels);
      }
    }
    for (const CodeOutput& output : step.codes) {
      encoder(output).encode_bytes(context_.table, x, line, code_line(step, output, r));
    }
  }

  void run_real_line(const Step& step, std::int64_t r, std::int64_t line) const {
    const std::int64_t w = step.y_shape.w, h = step.y_shape.h;
    const float* const x = real(step.x);
    const float* const image = x + r / h * step.x_shape.size();
    float* const y = real(step.y) + r * w * step.pixel + step.first_channel;
    switch (step.kind) {
      case ops::NodeKind::global_average_pool:
        global_average(step.x_shape, image, y);
        break;
      case ops::NodeKind::max_pool2d:
      case ops::NodeKind::average_pool2d:
        return run_pool_line(step, r, image);
      case ops::NodeKind::scale_shift:
        scale_shift_line(step, x + r * line, y);
        break;
      default:
        elementwise_line(step, r * line, y);
    }
    encode_line(step, r, y);
  }

  /// Line r of a pool of the image whose values begin at `image`.
  void run_pool_line(const Step& step, std::int64_t r, const float* image) const {
    const std::int64_t w = step.y_shape.w;
    float* const y = real(step.y) + r * w * step.pixel + step.first_channel;
    for (std::int64_t ox = 0; ox < w; ++ox) {
      pool_pixel(step, image, r % step.y_shape.h, ox, y + ox * step.pixel);
    }
    encode_line(step, r, y);
  }

  void scale_shift_line(const Step& step, const float* x, float* y) const noexcept {
    const ScaleShift& map = plan_.program.scale_shifts[static_cast<std::size_t>(step.map)];
    for (std::int64_t ox = 0; ox < step.y_shape.w; ++ox) {
      scale_shift_pixel(map, x + ox * step.y_shape.c, step.relu, y + ox * step.pixel);
    }
  }

  /// ReLU, addition, or the copy of a part of a concatenation: the line that begins `at` values
  /// into the operands. At once where pixels have no gaps.
  void elementwise_line(const Step& step, std::int64_t at, float* y) const noexcept {
    const bool whole = step.pixel == step.y_shape.c;
    const std::int64_t line = step.y_shape.w * step.y_shape.c;
    const std::int64_t run = whole ? line : step.y_shape.c;
    for (const std::int64_t end = at + line; at < end; at += run, y += step.pixel) {
      elementwise(real(step.x) + at, run,
                  {.residual = step.residual >= 0 ? real(step.residual) + at : nullptr,
                   .rectify = step.relu || step.kind == ops::NodeKind::relu},
                  y);
    }
  }

  void pool_pixel(const Step& step, const float* image, std::int64_t oy, std::int64_t ox,
                  float* y) const noexcept {
    if (step.kind == ops::NodeKind::average_pool2d) {
      average_pool_pixel(step.window, step.x_shape, image, oy, ox, y);
    } else if (step.x_rectified) {
      rectified_max_pool_pixel(context_.table, step.window, step.x_shape, image, oy, ox, y);
    } else {
      max_pool_pixel(step.window, step.x_shape, image, oy, ox, y);
    }
  }

  const ExecutorContext& context_;
  const PreparedPlan& plan_;
  const ImageBatch& batch_;
  TeamMember member_;
  std::int64_t last_team_ = 1;
};

}  // namespace detail

/// Runs a prepared plan on a batch; returns [images, outputs] values in the arena. OpenMP's threads
/// stay together from the first step to the last, if the whole run pays for two of them; a caller's
/// threads, which must not wait for each other, come together for every step, and so do all where
/// an observer may throw.
template <class Observer = NoObserver>
[[nodiscard]] const float* execute(const ExecutorContext& context, const PreparedPlan& plan,
                                   const ImageBatch& batch, Observer&& observer = {}) {
  if (WatchesLayers<Observer> || context.parallel_for.run != nullptr ||
      !plan.pays_for_two(batch.count, context.work_per_thread)) {
    detail::Executor{context, plan, batch}.run(observer);
  } else {
    run_team(context.threads, [&](const TeamMember& member) {
      detail::Executor{context, plan, batch, member}.run(observer);
    });
  }
  return reinterpret_cast<const float*>(
      context.arena + plan.program.buffers[static_cast<std::size_t>(plan.program.output)].offset);
}

}  // namespace bitdial::inline BITDIAL_ABI
