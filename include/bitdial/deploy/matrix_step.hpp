// SPDX-License-Identifier: Apache-2.0
// One convolution or linear layer: windows read in place, products tile by tile, and the epilogue
// from sums to values and codes while the tile is in the first-level cache.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include <bitdial/core/assert.hpp>
#include <bitdial/core/rounding.hpp>
#include <bitdial/deploy/kernel_choice.hpp>
#include <bitdial/deploy/operand_images.hpp>
#include <bitdial/deploy/plan_compiler.hpp>
#include <bitdial/deploy/prepared_encoder.hpp>
#include <bitdial/deploy/prepared_step.hpp>
#include <bitdial/deploy/prepared_weights.hpp>
#include <bitdial/deploy/window_rows.hpp>
#include <bitdial/kernels/kernel_table.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Half-open.
struct IndexRange {
  std::int64_t begin = 0, end = 0;
};

/// What a matrix step may touch, for images 0 .. `count` - 1 of the arena.
struct MatrixOperands {
  const std::uint8_t* x = nullptr;
  std::uint8_t* images = nullptr;   ///< working memory: the codes as `PreparedStep::images`
  float* y = nullptr;               ///< first channel of the result; null where nobody reads values
  const float* residual = nullptr;  ///< null where nothing is added
  std::byte* arena = nullptr;       ///< of the codes of y
  std::int64_t count = 0;           ///< of images
};

namespace detail {

/// Weights that are read again for every tile of rows should stay in the second-level cache.
inline constexpr std::int64_t weight_block_bytes = std::int64_t{1} << 19;
/// The epilogue sees at most about this many columns at once, and as many rows as leave the sums in
/// the first-level cache.
inline constexpr std::int64_t epilogue_cols = 256;
inline constexpr std::int64_t epilogue_bytes = std::int64_t{1} << 14;
/// What is done once for many rows costs little for each.
inline constexpr std::int64_t epilogue_rows = 64;
/// Of every kernel.
inline constexpr std::int64_t most_tile_rows = 16;

/// Runs parts of one matrix step. Parts do not depend on each other: any split over rows and
/// columns gives the same bits.
class MatrixStep {
 public:
  MatrixStep(const kernels::KernelTable& table, std::span<const PreparedEncoder> encoders,
             std::span<const ProgramBuffer> buffers, const Step& step, const PreparedStep& prepared,
             const MatrixOperands& operands) noexcept
      : table_{table},
        encoders_{encoders},
        buffers_{buffers},
        step_{step},
        prepared_{prepared},
        operands_{operands},
        tiles_{prepared.rows, operands.count, shape_of(table, prepared.weights->path).rows},
        parts_{table, *prepared.weights, step.y_shape.c} {
    BITDIAL_ASSERT(shape_of(table, prepared.weights->path).rows <= most_tile_rows);
  }

  [[nodiscard]] std::int64_t tiles() const noexcept { return tiles_.count(); }
  /// Parts of columns begin at multiples of this: whole panels, and whole bytes of bit planes.
  [[nodiscard]] std::int64_t column_step() const noexcept { return parts_.column_step; }
  /// Multiplications.
  [[nodiscard]] std::int64_t work() const noexcept {
    return operands_.count * step_.y_shape.size() * prepared_.rows.depth();
  }

  /// Bytes of scratch of one `run`.
  [[nodiscard]] static std::size_t scratch_bytes(const kernels::KernelTable& table,
                                                 const PreparedWeights& weights,
                                                 std::int64_t channels) noexcept {
    return Scratch{table, weights, channels}.end;
  }

  [[nodiscard]] bool needs_images() const noexcept { return !prepared_.images.empty(); }
  /// Makes lines `lines` of what the kernel reads beside the codes, counted over all images, before
  /// any `run` reads them.
  void make_images(IndexRange lines) const noexcept {
    const OperandImages& images = prepared_.images;
    const std::int64_t h = images.codes.h;
    for (std::int64_t i = lines.begin; i < lines.end; ++i) {
      std::uint8_t* const image = operands_.images + i / h * images.stride();
      if (i % h == 0) images.clear_border(image);
      images.make_line(table_, i % h, operands_.x + i / h * images.codes.image(), image);
    }
  }

  void run(IndexRange tiles, IndexRange columns, std::byte* scratch) const noexcept {
    const std::int64_t step = column_step();
    const std::int64_t column_bytes = std::max<std::int64_t>(1, weight_bytes_per_column());
    const std::int64_t block = std::max(step, weight_block_bytes / column_bytes / step * step);
    const std::int64_t part = parts_.cols;
    for (std::int64_t begin = columns.begin; begin < columns.end; begin += block) {
      const std::int64_t end = std::min(columns.end, begin + block);
      for (std::int64_t i = tiles.begin; i < tiles.end;) {
        const TileRun run = tiles_.run(i, tiles.end, parts_.rows);
        const Rows a = rows_of(run.rows, scratch);
        for (std::int64_t col = begin; col < end; col += part) {
          const IndexRange cols{col, std::min(end, col + part)};
          multiply(a, run, cols, scratch);
          finish(a, cols, scratch);
        }
        i += run.count;
      }
    }
  }

 private:
  /// Rows ready for the kernel.
  struct Rows {
    RowRun run;
    const std::uint8_t* a = nullptr;
    const std::int32_t* sums = nullptr;  ///< of the codes of each row, where the epilogue needs it
  };

  /// Offsets of the parts of a thread's scratch.
  struct Scratch {
    std::size_t values = 0, row_sums = 0, end = 0;
    std::int64_t cols = 0, rows = 0;  ///< that the epilogue sees at once
    std::int64_t column_step = 8;     ///< where parts of columns may begin

    Scratch(const kernels::KernelTable& table, const PreparedWeights& weights,
            std::int64_t channels) noexcept {
      const auto aligned = [](std::int64_t bytes) {
        return static_cast<std::size_t>(round_up(bytes, 64));
      };
      const auto [tile_rows, width] = shape_of(table, weights.path);
      column_step = least_common_multiple(width, 8);
      cols = std::min(round_up(channels, width),
                      std::max(column_step, epilogue_cols / column_step * column_step));
      rows = std::max(tile_rows, std::min(epilogue_rows, epilogue_bytes / (cols * 4)));
      values = aligned(rows * cols * 4);
      row_sums = values + aligned(rows * cols * 4);
      end = row_sums + aligned(rows * 4);
    }
  };

  /// Rows and columns of a tile.
  struct TileShape {
    std::int64_t rows, cols;
  };
  [[nodiscard]] static TileShape shape_of(const kernels::KernelTable& table,
                                          KernelPath path) noexcept {
    const auto shape = [](const auto& kernel) { return TileShape{kernel.rows, kernel.cols}; };
    if (path == KernelPath::planes) return shape(table.gemm_planes);
    if (path == KernelPath::lookup) return shape(table.gemm_lookup);
    if (path == KernelPath::packed) return shape(table.gemm_codes);
    return shape(table.gemm_u8s8);
  }
  [[nodiscard]] std::int64_t weight_bytes_per_column() const noexcept {
    const PreparedWeights& weights = *prepared_.weights;
    if (weights.path == KernelPath::planes) return weights.planes.words * weights.planes.planes * 4;
    if (weights.path == KernelPath::lookup) return weights.lookup.column_bytes();
    if (weights.path == KernelPath::packed) return weights.packed.blocks() * 4;
    return weights.bytes.panel_bytes(table_) / table_.gemm_u8s8.cols;
  }

  [[nodiscard]] Rows rows_of(const RowRun& run, std::byte* scratch) const noexcept {
    const WindowRows& rows = prepared_.rows;
    const std::uint8_t* const codes =
        operands_.x + run.image * rows.x.image() + in_image(rows, run);
    auto* const sums = reinterpret_cast<std::int32_t*>(scratch + parts_.row_sums);
    const OperandImages& images = prepared_.images;
    const WindowRows& image_rows = prepared_.image_rows;
    const std::uint8_t* const a =
        images.empty() ? codes
                       : operands_.images + run.image * images.stride() + in_image(image_rows, run);
    if (prepared_.row_sum_factor != 0 && images.form == KernelPath::planes) {
      table_.sum_plane_rows({.rows = run.rows,
                             .planes = images.bits,
                             .count = 8 * image_rows.run,
                             .a = a,
                             .a_stride = image_rows.row_step,
                             .plane_stride = images.image.image(),
                             .sums = sums,
                             .segments = image_rows.segments(),
                             .offsets = image_rows.offsets.data()});
    } else if (prepared_.row_sum_factor != 0) {
      table_.sum_rows({.codes = codes,
                       .rows = run.rows,
                       .stride = rows.row_step,
                       .count = rows.run,
                       .sums = sums,
                       .segments = rows.segments(),
                       .offsets = rows.offsets.data()});
    }
    return {.run = run, .a = a, .sums = sums};
  }

  [[nodiscard]] static std::int64_t in_image(const WindowRows& rows, const RowRun& run) noexcept {
    return rows.origin + run.line * rows.line_step + run.first * rows.row_step;
  }

  void multiply(const Rows& rows, const TileRun& run, IndexRange cols,
                std::byte* scratch) const noexcept {
    const std::int64_t width = shape_of(table_, prepared_.weights->path).cols;
    auto* const sums = reinterpret_cast<std::int32_t*>(scratch);
    for (std::int64_t col = cols.begin; col < cols.end; col += width) {
      multiply_panel(rows, run, {col, std::min(cols.end, col + width)}, sums + (col - cols.begin));
    }
  }

  /// The sums of all tiles of a run and one panel of weights.
  void multiply_panel(const Rows& rows, const TileRun& run, IndexRange cols,
                      std::int32_t* c) const noexcept {
    const PreparedWeights& weights = *prepared_.weights;
    const WindowRows& codes = prepared_.rows;
    const WindowRows& images = prepared_.image_rows;
    const std::int64_t count = cols.end - cols.begin, stride = parts_.cols;
    switch (weights.path) {
      case KernelPath::planes:
        return run_tiles(
            run, table_.gemm_planes,
            {.cols = count,
             .words = weights.planes.words / images.segments(),
             .a_planes = prepared_.images.bits,
             .b_planes = weights.planes.planes,
             .a = rows.a,
             .a_stride = images.row_step,
             .plane_stride = prepared_.images.image.image(),
             .b = weights.planes.data + cols.begin * weights.planes.words * weights.planes.planes,
             .c = c,
             .c_stride = stride,
             .segments = images.segments(),
             .offsets = images.offsets.data()});
      case KernelPath::lookup:
        return run_tiles(
            run, table_.gemm_lookup,
            {.cols = count,
             .bits = prepared_.images.bits,
             .planes = weights.lookup.planes,
             .blocks = weights.lookup.blocks(),
             .segments = weights.lookup.segments,
             .a = rows.a,
             .a_stride = images.row_step,
             .segment_stride = images.segments() > 1 ? images.offsets[1] - images.offsets[0] : 0,
             .b = weights.lookup.data + cols.begin * weights.lookup.column_bytes(),
             .c = c,
             .c_stride = stride});
      case KernelPath::packed:
        return run_tiles(run, table_.gemm_codes,
                         {.cols = count,
                          .bits = weights.packed.bits,
                          .blocks = weights.packed.blocks(),
                          .a = rows.a,
                          .a_stride = codes.row_step,
                          .b = weights.packed.data + cols.begin * weights.packed.blocks() * 4,
                          .c = c,
                          .c_stride = stride});
      default:
        return run_tiles(run, table_.gemm_u8s8,
                         {.cols = count,
                          .groups = weights.bytes.groups(),
                          .a = rows.a,
                          .a_stride = codes.row_step,
                          .b = weights.bytes.panel(table_, cols.begin),
                          .c = c,
                          .c_stride = stride,
                          .segments = weights.bytes.segments,
                          .offsets = codes.offsets.data(),
                          .short_groups = prepared_.short_groups,
                          .short_runs = weights.bytes.short_runs(table_, cols.begin)});
    }
  }

  /// `tile` for each tile of a run; it holds the operands of the first row.
  template <class Tile>
  static void run_tiles(const TileRun& run, const kernels::TileKernel<Tile>& kernel,
                        std::type_identity_t<Tile> tile) noexcept {
    for (std::int64_t i = 0; i < run.count; ++i) {
      tile.rows = run.size(i);
      kernel.run(tile);
      tile.a += tile.rows * tile.a_stride;
      tile.c += tile.rows * tile.c_stride;
    }
  }

  /// Where the codes of rows begin, from row to row `step` bytes.
  struct CodeRows {
    std::uint8_t* codes = nullptr;
    std::int64_t step = 0;
  };
  [[nodiscard]] CodeRows code_rows(const CodeOutput& output, const RowRun& run,
                                   std::int64_t channel) const noexcept {
    const ProgramBuffer& buffer = buffers_[static_cast<std::size_t>(output.buffer)];
    const CodeLayout& layout = buffer.layout;
    const bool image_rows = prepared_.rows.images_are_rows;
    const std::int64_t first = image_rows
                                   ? run.first * layout.image() + layout.at(0, 0)
                                   : run.image * layout.image() + layout.at(run.line, run.first);
    return {reinterpret_cast<std::uint8_t*>(operands_.arena + buffer.offset) + first +
                step_.first_channel + channel,
            image_rows ? layout.image() : layout.pixel};
  }

  /// From the sums of rows to y and its codes. The codes of the first reader are made in
  /// registers, those of others from y.
  void finish(const Rows& rows, IndexRange cols, std::byte* scratch) const noexcept {
    const Scratch& part = parts_;
    const std::int64_t channels = step_.y_shape.c, count = cols.end - cols.begin;
    const std::int64_t row = tiles_.row_of(rows.run), at = row * channels + cols.begin;
    kernels::RequantizeTile tile{
        .rows = rows.run.rows,
        .cols = count,
        .sums = reinterpret_cast<const std::int32_t*>(scratch),
        .sums_stride = part.cols,
        .scale = prepared_.state->multiplier.data() + cols.begin,
        .bias = prepared_.state->bias.data() + cols.begin,
        .residual = operands_.residual == nullptr ? nullptr : operands_.residual + at,
        .residual_stride = channels,
        .relu = step_.relu,
        .factor = prepared_.product_factor,
        .row_factor = prepared_.row_sum_factor,
        .row_sums = rows.sums,
        .y = operands_.y != nullptr   ? operands_.y + row * step_.pixel + cols.begin
             : step_.codes.size() > 1 ? reinterpret_cast<float*>(scratch + part.values)
                                      : nullptr,
        .y_stride = operands_.y != nullptr ? step_.pixel : count};
    if (!step_.codes.empty()) {
      const CodeOutput& first = step_.codes.front();
      const CodeRows out = code_rows(first, rows.run, cols.begin);
      tile.codes = out.codes;
      tile.codes_stride = out.step;
      tile.steps = encoders_[static_cast<std::size_t>(first.encoder)].steps();
    }
    const std::uint32_t* owed[std::max(epilogue_rows, most_tile_rows)];
    if (!prepared_.border.empty()) {
      for (std::int64_t r = 0; r < rows.run.rows; ++r) {
        owed[r] = border_of(rows.run, r, cols.begin);
      }
      tile.offsets = owed;
    }
    table_.requantize_tile(tile);
    for (std::size_t i = 1; i < step_.codes.size(); ++i) {
      encode(step_.codes[i], rows.run, cols, tile.y, tile.y_stride);
    }
  }

  void encode(const CodeOutput& output, const RowRun& run, IndexRange cols, const float* y,
              std::int64_t y_step) const noexcept {
    const PreparedEncoder& encoder = encoders_[static_cast<std::size_t>(output.encoder)];
    const auto [codes, step] = code_rows(output, run, cols.begin);
    encoder.encode(table_, {.rows = run.rows,
                            .size = cols.end - cols.begin,
                            .x = y,
                            .x_step = y_step,
                            .codes = codes,
                            .codes_step = step});
  }

  /// What the border owes to row r of a run, from channel `channel` on.
  [[nodiscard]] const std::uint32_t* border_of(const RowRun& run, std::int64_t r,
                                               std::int64_t channel) const noexcept {
    // Where lines are joined no window leaves the image, so that all pixels are alike.
    const bool joined = prepared_.rows.images_are_rows || prepared_.rows.lines != step_.y_shape.h;
    return prepared_.border.at(joined ? 0 : run.line, joined ? 0 : run.first + r) + channel;
  }

  const kernels::KernelTable& table_;
  std::span<const PreparedEncoder> encoders_;
  std::span<const ProgramBuffer> buffers_;
  const Step& step_;
  const PreparedStep& prepared_;
  const MatrixOperands& operands_;
  RowTiles tiles_;
  Scratch parts_;
};

}  // namespace detail

}  // namespace bitdial::inline BITDIAL_ABI
