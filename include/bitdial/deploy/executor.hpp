// SPDX-License-Identifier: Apache-2.0
// Runs the steps of a compiled plan. Allocates nothing; the memory is the session's.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <bitdial/core/image_byte.hpp>
#include <bitdial/core/parallel.hpp>
#include <bitdial/deploy/border_sums.hpp>
#include <bitdial/deploy/kernel_choice.hpp>
#include <bitdial/deploy/network_check.hpp>
#include <bitdial/deploy/packed_network.hpp>
#include <bitdial/deploy/patches.hpp>
#include <bitdial/deploy/plan_compiler.hpp>
#include <bitdial/deploy/prepared_encoder.hpp>
#include <bitdial/deploy/prepared_weights.hpp>
#include <bitdial/deploy/real_steps.hpp>
#include <bitdial/kernels/kernel_table.hpp>
#include <bitdial/ops/graph.hpp>
#include <bitdial/ops/qgemm.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// What a convolution step needs beyond its `Step`:
/// I = product_factor * sum(s u) + row_sum_factor * sum(u) + border, modulo 2^32.
struct PreparedStep {
  const PreparedWeights* weights = nullptr;
  const LayerState* state = nullptr;
  std::uint32_t product_factor = 1;
  std::uint32_t row_sum_factor = 0;
  BorderSums border;

  /// True when the kernel's sums are I.
  [[nodiscard]] bool is_plain() const noexcept {
    return product_factor == 1 && row_sum_factor == 0 && border.empty();
  }
};

/// A plan, ready to run.
struct PreparedPlan {
  Program program;
  std::vector<PreparedStep> steps;  ///< one per step; empty ones where no layer is involved
};

/// Images to run: bytes (value u / 255) or real values, [N, H, W, C]; one of the pointers is null.
struct ImageBatch {
  const std::uint8_t* bytes = nullptr;
  const float* values = nullptr;
  std::int64_t count = 0;
};

/// What an observer of a run sees of a quantized layer: the codes that it multiplies.
struct LayerTrace {
  std::int32_t layer = 0;  ///< index into `Model::layers()`
  std::int64_t images = 0;
  ImageShape shape;                     ///< of one image
  std::span<const std::uint8_t> codes;  ///< [images, h, w, c]
};

/// The observer that sees nothing and costs nothing.
struct NoObserver {
  void operator()(const LayerTrace&) const noexcept {}
};

/// The working memory of a run and the machine it runs on.
struct ExecutorContext {
  const kernels::KernelTable& table;
  std::span<const PreparedEncoder> encoders;
  std::byte* arena = nullptr;    ///< `Program::arena_bytes`, 64-byte aligned
  std::byte* scratch = nullptr;  ///< `threads` times `scratch_bytes`, 64-byte aligned
  std::size_t scratch_bytes = 0;
  int threads = 1;
  std::int64_t work_per_thread = 1;  ///< multiplications that pay for one more thread
};

namespace detail {

/// A matrix step works on an image of codes; a linear layer sees one pixel with all the features.
[[nodiscard]] inline Patches patches_of(const Step& step, const std::uint8_t* codes) noexcept {
  const bool flat = step.kind == ops::NodeKind::linear;
  return {.codes = codes,
          .x = flat ? ImageShape{1, 1, step.x_shape.size()} : step.x_shape,
          .y = step.y_shape,
          .window = flat ? ops::Window{} : step.window};
}

/// Scratch of one thread for one matrix step: the product's own, then a line of I, then a tile of
/// y, then a line of codes.
struct MatrixScratch {
  std::size_t sums = 0, values = 0, codes = 0, end = 0;  ///< offsets

  MatrixScratch(const kernels::KernelTable& table, const PreparedWeights& weights, int bits,
                std::int64_t channels, std::int64_t depth) noexcept {
    const bool planes = weights.path == KernelPath::planes;
    const auto aligned = [](std::size_t bytes) { return (bytes + 63) / 64 * 64; };
    const auto columns = static_cast<std::size_t>(channels);
    const auto rows =
        static_cast<std::size_t>(planes ? table.gemm_planes.rows : table.gemm_u8s8.rows);
    sums =
        aligned(planes ? ops::qgemm_planes_scratch_bytes(table, channels, (depth + 63) / 64, bits)
                       : ops::qgemm_u8s8_scratch_bytes(table, channels, depth));
    values = sums + aligned(columns * sizeof(std::int32_t));
    codes = values + aligned(rows * columns * sizeof(float));
    end = codes + aligned(static_cast<std::size_t>(depth));
  }
};

/// An element-wise value counts as this many multiplications when work is shared out.
inline constexpr std::int64_t element_work = 16;
/// Elements per chunk of element-wise work.
inline constexpr std::int64_t element_grain = 1 << 13;

class Executor {
 public:
  Executor(const ExecutorContext& context, const PreparedPlan& plan,
           const ImageBatch& batch) noexcept
      : context_{context}, plan_{plan}, batch_{batch} {}

  /// Runs all steps; returns the [images, outputs] values.
  template <class Observer>
  [[nodiscard]] const float* run(Observer&& observer) const {
    const Program& program = plan_.program;
    for (std::size_t s = 0; s < program.steps.size(); ++s) {
      const Step& step = program.steps[s];
      if (has_layer(step.kind)) {
        const auto size = static_cast<std::size_t>(step.x_shape.size() * batch_.count);
        observer(LayerTrace{step.layer, batch_.count, step.x_shape, {codes(step.x_codes), size}});
        run_matrix(step, plan_.steps[s]);
      } else {
        run_real(step);
      }
    }
    return real(program.output);
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
  [[nodiscard]] const PreparedEncoder& encoder(const CodeOutput& output) const noexcept {
    return context_.encoders[static_cast<std::size_t>(output.encoder)];
  }

  /// Encodes y[0 .. count), which stand at element `begin` of the step's value, for all readers.
  void encode(const Step& step, const float* y, std::int64_t begin, std::int64_t count) const {
    for (const CodeOutput& output : step.codes) {
      encoder(output).encode(context_.table, y, count, codes(output.buffer) + begin);
    }
  }

  // ---- quantized layers -------------------------------------------------------------------

  void run_matrix(const Step& step, const PreparedStep& prepared) const {
    const Patches patches = patches_of(step, codes(step.x_codes));
    const std::int64_t rows = batch_.count * step.y_shape.h * step.y_shape.w;
    const std::int64_t tile = prepared.weights->path == KernelPath::planes
                                  ? context_.table.gemm_planes.rows
                                  : context_.table.gemm_u8s8.rows;
    const std::int64_t tiles = (rows + tile - 1) / tile;
    const std::int64_t work = rows * step.y_shape.c * patches.depth();
    const std::int64_t team = std::min(team_for(work), tiles);
    // One chunk per thread, because each needs its own scratch. Rows do not depend on each other,
    // so the result does not depend on where the chunks end.
    parallel_for(static_cast<int>(team), team, 1, [&](std::int64_t rank, std::int64_t) {
      const std::int64_t begin = tiles * rank / team * tile;
      const std::int64_t end = std::min(rows, tiles * (rank + 1) / team * tile);
      run_rows(step, prepared, patches, begin, end,
               context_.scratch + static_cast<std::size_t>(rank) * context_.scratch_bytes);
    });
  }

  void run_rows(const Step& step, const PreparedStep& prepared, const Patches& patches,
                std::int64_t begin, std::int64_t end, std::byte* scratch) const {
    const PreparedWeights& weights = *prepared.weights;
    const int bits = prepared.state->executed.a;
    const MatrixScratch parts{context_.table, weights, bits, step.y_shape.c, patches.depth()};
    const std::span<std::byte> product{scratch, parts.sums};
    const ops::QgemmOptions options{.row_sums = prepared.row_sum_factor != 0};
    const auto epilogue = [&](const ops::QgemmTile& tile) {
      finish_tile(step, prepared, tile, begin,
                  reinterpret_cast<std::int32_t*>(scratch + parts.sums),
                  reinterpret_cast<float*>(scratch + parts.values));
    };
    if (weights.path == KernelPath::planes) {
      auto* const line = reinterpret_cast<std::uint8_t*>(scratch + parts.codes);
      ops::qgemm_planes(
          context_.table, end - begin, {.a = bits, .b = weights.planes.planes},
          [&](std::int64_t row, ops::MatrixView<std::uint64_t> panel) {
            patches.pack_planes(context_.table, bits, begin + row, panel, line);
          },
          weights.planes, epilogue, product, options);
    } else {
      ops::qgemm_u8s8(
          context_.table, end - begin,
          [&](std::int64_t row, ops::MatrixView<std::uint8_t> panel) {
            patches.pack(begin + row, panel);
          },
          weights.bytes, epilogue, product, options);
    }
  }

  /// From the sums of a tile to y and its codes. Rows of the tile count from `first_row`.
  void finish_tile(const Step& step, const PreparedStep& prepared, const ops::QgemmTile& tile,
                   std::int64_t first_row, std::int32_t* line, float* values) const {
    const std::int64_t channels = step.y_shape.c;
    const std::int64_t row0 = first_row + tile.row0;
    float* const y = step.y >= 0 ? real(step.y) + row0 * channels + tile.col0 : values;
    const float* const residual =
        step.residual >= 0 ? real(step.residual) + row0 * channels + tile.col0 : nullptr;
    for (std::int64_t i = 0; i < tile.rows; ++i) {
      const std::int32_t* sums = tile.row(i);
      if (!prepared.is_plain()) {
        correct_row(step, prepared, tile, i, row0 + i, line);
        sums = line;
      }
      context_.table.requantize(
          {.sums = sums,
           .count = tile.cols,
           .scale = prepared.state->multiplier.data() + tile.col0,
           .bias = prepared.state->bias.data() + tile.col0,
           .residual = residual == nullptr ? nullptr : residual + i * channels,
           .relu = step.relu,
           .y = y + i * channels});
    }
    if (tile.cols == channels) {
      encode(step, y, row0 * channels, tile.rows * channels);
      return;
    }
    for (std::int64_t i = 0; i < tile.rows; ++i) {
      encode(step, y + i * channels, (row0 + i) * channels + tile.col0, tile.cols);
    }
  }

  /// I of one row of a tile, from the kernel's sums, the sum of the codes, and the border.
  void correct_row(const Step& step, const PreparedStep& prepared, const ops::QgemmTile& tile,
                   std::int64_t i, std::int64_t row, std::int32_t* line) const {
    const std::int32_t* const sums = tile.row(i);
    const std::uint32_t constant =
        prepared.row_sum_factor == 0
            ? 0
            : prepared.row_sum_factor * static_cast<std::uint32_t>(tile.row_sums[i]);
    correct_sums(sums, tile.cols, prepared.product_factor, constant, line);
    if (prepared.border.empty()) return;
    const std::int64_t ox = row % step.y_shape.w, oy = row / step.y_shape.w % step.y_shape.h;
    const std::uint32_t* const border = prepared.border.at(oy, ox) + tile.col0;
    for (std::int64_t c = 0; c < tile.cols; ++c) {
      line[c] = static_cast<std::int32_t>(static_cast<std::uint32_t>(line[c]) + border[c]);
    }
  }

  // ---- everything else --------------------------------------------------------------------

  void run_real(const Step& step) const {
    const std::int64_t channels = step.y_shape.c;
    const std::int64_t size = step.y_shape.size();
    switch (step.kind) {
      case ops::NodeKind::input:
        return for_chunks(
            batch_.count * size, element_grain,
            [&](std::int64_t begin, std::int64_t end) { run_input(step, begin, end - begin); });
      case ops::NodeKind::global_average_pool:
        return for_chunks(batch_.count, 1, [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t n = begin; n < end; ++n) {
            global_average(step.x_shape, real(step.x) + n * step.x_shape.size(),
                           real(step.y) + n * channels);
          }
          encode(step, real(step.y) + begin * channels, begin * channels, (end - begin) * channels);
        });
      case ops::NodeKind::max_pool2d:
      case ops::NodeKind::average_pool2d:
        return for_chunks(batch_.count * step.y_shape.h, 1,
                          [&](std::int64_t begin, std::int64_t end) {
                            for (std::int64_t r = begin; r < end; ++r) run_pool_row(step, r);
                          });
      default:
        return for_chunks(batch_.count * size, element_grain,
                          [&](std::int64_t begin, std::int64_t end) {
                            float* const y = real(step.y) + begin;
                            const float* const residual =
                                step.residual >= 0 ? real(step.residual) + begin : nullptr;
                            const bool rectify = step.relu || step.kind == ops::NodeKind::relu;
                            elementwise(real(step.x) + begin, end - begin,
                                        {.residual = residual, .rectify = rectify}, y);
                            encode(step, y, begin, end - begin);
                          });
    }
  }

  template <class Body>
  void for_chunks(std::int64_t count, std::int64_t grain, Body&& body) const {
    parallel_for(static_cast<int>(team_for(count * element_work)), count, grain, body);
  }

  /// The threads that this much work pays for.
  [[nodiscard]] std::int64_t team_for(std::int64_t work) const noexcept {
    return std::clamp<std::int64_t>(work / context_.work_per_thread, 1, context_.threads);
  }

  void run_input(const Step& step, std::int64_t begin, std::int64_t count) const {
    if (batch_.bytes == nullptr) {
      if (step.y >= 0) std::copy_n(batch_.values + begin, count, real(step.y) + begin);
      return encode(step, batch_.values + begin, begin, count);
    }
    const std::uint8_t* const x = batch_.bytes + begin;
    if (step.y >= 0) std::transform(x, x + count, real(step.y) + begin, unit_value);
    for (const CodeOutput& output : step.codes) {
      encoder(output).encode_bytes(x, count, codes(output.buffer) + begin);
    }
  }

  /// Row `r` counts output rows over all images.
  void run_pool_row(const Step& step, std::int64_t r) const {
    const ImageShape& shape = step.y_shape;
    const std::int64_t size = shape.w * shape.c;
    const float* const image = real(step.x) + r / shape.h * step.x_shape.size();
    float* const y = real(step.y) + r * size;
    const auto pool = step.kind == ops::NodeKind::max_pool2d ? max_pool_pixel : average_pool_pixel;
    for (std::int64_t ox = 0; ox < shape.w; ++ox) {
      pool(step.window, step.x_shape, image, r % shape.h, ox, y + ox * shape.c);
    }
    encode(step, y, r * size, size);
  }

  const ExecutorContext& context_;
  const PreparedPlan& plan_;
  const ImageBatch& batch_;
};

}  // namespace detail

/// Runs a prepared plan on a batch; returns [images, outputs] values in the arena.
template <class Observer = NoObserver>
[[nodiscard]] const float* execute(const ExecutorContext& context, const PreparedPlan& plan,
                                   const ImageBatch& batch, Observer&& observer = {}) {
  return detail::Executor{context, plan, batch}.run(observer);
}

}  // namespace bitdial::inline BITDIAL_ABI
