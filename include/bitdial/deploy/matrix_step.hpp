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
#include <bitdial/core/tile_split.hpp>
#include <bitdial/deploy/kernel_choice.hpp>
#include <bitdial/deploy/matrix_epilogue.hpp>
#include <bitdial/deploy/operand_images.hpp>
#include <bitdial/deploy/plan_compiler.hpp>
#include <bitdial/deploy/prepared_encoder.hpp>
#include <bitdial/deploy/prepared_step.hpp>
#include <bitdial/deploy/prepared_weights.hpp>
#include <bitdial/deploy/window_rows.hpp>
#include <bitdial/deploy/winograd_product.hpp>
#include <bitdial/kernels/kernel_table.hpp>

namespace bitdial::inline BITDIAL_ABI {

namespace detail {

/// Weights that are read again for every tile of rows should stay in the second-level cache.
inline constexpr std::int64_t weight_block_bytes = std::int64_t{1} << 19;
/// The epilogue sees at most about this many columns at once, and as many rows as leave the sums in
/// the first-level cache, of which the panel of weights beside them may take half.
inline constexpr std::int64_t epilogue_cols = 128;
inline constexpr std::int64_t first_level_bytes = std::int64_t{1} << 15;
/// Bytes of a panel from which on it pays to ask for the next one meanwhile.
inline constexpr std::int64_t long_panel = std::int64_t{1} << 13;

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
        count_{by_winograd() ? WinogradTiles{winograd_tile(prepared.weights->path), step.y_shape,
                                             operands.count}
                                   .count()
                             : tiles_.count()},
        parts_{table, prepared, step.y_shape.c, operands.count} {
    BITDIAL_ASSERT(shape_of(table, prepared.weights->path).rows <= most_tile_rows);
  }

  /// Parts of the work that rows are cut into.
  [[nodiscard]] std::int64_t tiles() const noexcept { return count_; }
  /// The tiles of lines of an image: lines from a multiple of `PooledLines::unit` to another or to
  /// the last one.
  [[nodiscard]] IndexRange tiles_of(std::int64_t image, IndexRange lines) const noexcept {
    const std::int64_t unit = by_winograd() ? winograd_tile(prepared_.weights->path).lines : 1;
    const std::int64_t down = (step_.y_shape.h + unit - 1) / unit;
    const std::int64_t across = count_ / (operands_.count * down);
    return {(image * down + lines.begin / unit) * across,
            (image * down + (lines.end + unit - 1) / unit) * across};
  }
  /// Parts of columns begin at multiples of this: whole panels, and whole bytes of bit planes.
  [[nodiscard]] std::int64_t column_step() const noexcept { return parts_.column_step; }
  /// What every row is multiplied with.
  [[nodiscard]] std::int64_t weight_bytes() const noexcept {
    return step_.y_shape.c * bytes_per_column(table_, *prepared_.weights);
  }
  /// Multiplications.
  [[nodiscard]] std::int64_t work() const noexcept {
    return operands_.count * step_.y_shape.size() * prepared_.rows.depth();
  }

  /// Bytes of scratch of one thread for up to `images` images.
  [[nodiscard]] static std::size_t scratch_bytes(const kernels::KernelTable& table,
                                                 const PreparedStep& prepared,
                                                 std::int64_t channels,
                                                 std::int64_t images) noexcept {
    if (is_winograd(prepared.weights->path)) {
      return WinogradProduct::scratch_bytes(table, prepared);
    }
    return Scratch{table, prepared, channels, images}.end;
  }

  [[nodiscard]] bool needs_images() const noexcept { return !prepared_.images.empty(); }
  /// The lines of codes, counted over all images, that `tiles`, at least one, read.
  [[nodiscard, gnu::always_inline]] IndexRange lines_of(IndexRange tiles) const noexcept {
    const std::int64_t h = prepared_.rows.x.h;
    const RowRun first = tiles_.run(tiles.begin, tiles.end, 1).rows;
    const RowRun last = tiles_.run(tiles.end - 1, tiles.end, 1).rows;
    if (prepared_.rows.images_are_rows) return {first.first * h, (last.first + last.rows) * h};
    const auto line_of = [&](const RowRun& run, std::int64_t row) {
      return prepared_.rows.lines == step_.y_shape.h ? run.line : row / step_.y_shape.w;
    };
    const ops::Window& window = step_.window;
    // The first line that the first window reads and the last one that the last window reads; of
    // windows in the border alone the nearest ones, with which their border is made.
    const auto place = [&](std::int64_t image, std::int64_t line, std::int64_t tap) {
      return image * h +
             std::clamp<std::int64_t>(line * window.stride_h - window.padding_h + tap, 0, h - 1);
    };
    return {place(first.image, line_of(first, first.first), 0),
            place(last.image, line_of(last, last.first + last.rows - 1),
                  (window.kernel_h - 1) * window.dilation_h) +
                1};
  }
  /// Makes lines of what the kernel reads beside the codes, in the scratch of a thread, before its
  /// `run` reads them. Lines that two threads read are made twice: it takes less time than waiting
  /// for each other, and than fetching lines from the cache of another core.
  void make_images(IndexRange lines, std::byte* scratch) const noexcept {
    const OperandImages& images = prepared_.images;
    const std::int64_t h = images.codes.h;
    for (std::int64_t i = lines.begin; i < lines.end;) {
      const std::int64_t n = i / h, next = std::min(lines.end, (n + 1) * h);
      images.make_lines(table_, i - n * h, next - n * h, operands_.x + n * images.codes.image(),
                        images_in(scratch) + n * images.stride());
      i = next;
    }
  }

  void run(IndexRange tiles, IndexRange columns, std::byte* scratch) const noexcept {
    if (by_winograd()) {
      const WinogradProduct product{table_, step_, prepared_, operands_};
      MatrixEpilogue epilogue = epilogue_of(product.row_sums(scratch));
      return product.run(tiles, columns, scratch, epilogue);
    }
    const std::int64_t step = column_step();
    const std::int64_t column_bytes =
        std::max<std::int64_t>(1, bytes_per_column(table_, *prepared_.weights));
    const std::int64_t block = std::max(step, weight_block_bytes / column_bytes / step * step);
    const std::int64_t part = parts_.cols;
    auto* const row_terms = reinterpret_cast<std::int32_t*>(scratch + parts_.row_terms);
    MatrixEpilogue epilogue =
        epilogue_of({.sums = reinterpret_cast<std::int32_t*>(scratch),
                     .stride = parts_.cols,
                     .row_terms = row_terms,
                     .values = reinterpret_cast<float*>(scratch + parts_.values)});
    for (std::int64_t begin = columns.begin; begin < columns.end; begin += block) {
      const std::int64_t end = std::min(columns.end, begin + block);
      for (std::int64_t i = tiles.begin; i < tiles.end;) {
        const TileRun run = tiles_.run(i, tiles.end, parts_.rows);
        epilogue.sum_rows(run, row_terms);
        // Behind the last panel of a block memory is read on when all rows have met it.
        const bool is_last = i + run.tiles() == tiles.end;
        for (std::int64_t col = begin; col < end; col += part) {
          const IndexRange cols{col, std::min(end, col + part)};
          multiply(run, cols, is_last || cols.end < end, scratch);
          epilogue.finish(run, tiles_.row_of(run.rows), cols);
        }
        i += run.tiles();
      }
    }
  }

 private:
  /// Offsets of the parts of a thread's scratch.
  struct Scratch {
    std::size_t values = 0, row_terms = 0, images = 0, end = 0;
    std::int64_t cols = 0, rows = 0;  ///< that the epilogue sees at once
    std::int64_t column_step = 8;     ///< where parts of columns may begin

    Scratch(const kernels::KernelTable& table, const PreparedStep& prepared, std::int64_t channels,
            std::int64_t count) noexcept {
      const auto aligned = [](std::int64_t bytes) {
        return static_cast<std::size_t>(round_up(bytes, 64));
      };
      const auto [tile_rows, width] = shape_of(table, prepared.weights->path);
      column_step = least_common_multiple(width, 8);
      cols = std::min(round_up(channels, width),
                      std::max(column_step, epilogue_cols / column_step * column_step));
      const std::int64_t panel = width * bytes_per_column(table, *prepared.weights);
      const std::int64_t sum_bytes = first_level_bytes - std::min(panel, first_level_bytes / 2);
      rows = std::max(tile_rows, std::min(epilogue_rows, sum_bytes / (cols * 4)));
      values = aligned(rows * cols * 4);
      row_terms = values + aligned(rows * cols * 4);
      images = row_terms + aligned(rows * 4);
      end = images + prepared.images.bytes(count);
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
    if (path == KernelPath::winograd) return shape(table.gemm_s16);
    return shape(table.gemm_u8s8);
  }
  [[nodiscard]] static std::int64_t bytes_per_column(const kernels::KernelTable& table,
                                                     const PreparedWeights& weights) noexcept {
    if (weights.path == KernelPath::planes) return weights.planes.words * weights.planes.planes * 4;
    if (weights.path == KernelPath::lookup) return weights.lookup.column_bytes();
    if (weights.path == KernelPath::packed) return weights.packed.blocks() * 4;
    if (is_winograd(weights.path)) return weights.winograd.bytes_per_column();
    return weights.bytes.panel_bytes(table) / table.gemm_u8s8.cols;
  }

  [[nodiscard]] bool by_winograd() const noexcept { return is_winograd(prepared_.weights->path); }
  [[nodiscard]] MatrixEpilogue epilogue_of(const RowSums& sums) const noexcept {
    return {table_, encoders_, buffers_, step_, prepared_, operands_, sums};
  }

  [[nodiscard]] std::uint8_t* images_in(std::byte* scratch) const noexcept {
    return reinterpret_cast<std::uint8_t*>(scratch + parts_.images);
  }
  [[nodiscard]] const std::uint8_t* image_of(const RowRun& run, std::byte* scratch) const noexcept {
    RowRun first = run;
    first.image = 0;
    return images_in(scratch) + run.image * prepared_.images.stride() +
           prepared_.image_rows.at(first);
  }

  /// The rows of a run as a kernel reads them: lines that follow each other without a gap are one.
  struct Rows {
    const WindowRows& rows;
    const std::uint8_t* first;
    std::int64_t lines;
    TileSplit tiles;  ///< of each line
  };

  /// `reads_on`: whether what follows the columns in memory is read next.
  void multiply(const TileRun& run, IndexRange cols, bool reads_on,
                std::byte* scratch) const noexcept {
    auto* const sums = reinterpret_cast<std::int32_t*>(scratch);
    const TileShape shape = shape_of(table_, prepared_.weights->path);
    const bool reads_images = needs_images();
    const WindowRows& rows = reads_images ? prepared_.image_rows : prepared_.rows;
    const std::uint8_t* const first =
        reads_images ? image_of(run.rows, scratch) : operands_.x + rows.at(run.rows);
    const bool is_one = rows.line_step == run.rows.rows * rows.row_step;
    const Rows a{rows, first, is_one ? 1 : run.lines,
                 TileSplit{is_one ? run.lines * run.rows.rows : run.rows.rows, shape.rows}};
    for (std::int64_t col = cols.begin; col < cols.end; col += shape.cols) {
      const std::int64_t end = std::min(cols.end, col + shape.cols);
      multiply_panel(a, {col, end}, reads_on || end < cols.end, sums + (col - cols.begin));
    }
  }

  /// The sums of all tiles of a run and one panel of weights.
  void multiply_panel(const Rows& a, IndexRange cols, bool reads_on,
                      std::int32_t* c) const noexcept {
    const PreparedWeights& weights = *prepared_.weights;
    const WindowRows& rows = a.rows;
    const std::int64_t count = cols.end - cols.begin, stride = parts_.cols;
    switch (weights.path) {
      case KernelPath::planes:
        return run_tiles(
            a, table_.gemm_planes,
            {.cols = count,
             .words = weights.planes.words / rows.segments(),
             .a_planes = prepared_.images.bits,
             .b_planes = weights.planes.planes,
             .a = a.first,
             .a_stride = rows.row_step,
             .plane_stride = prepared_.images.image.image(),
             .b = weights.planes.data + cols.begin * weights.planes.words * weights.planes.planes,
             .c = c,
             .c_stride = stride,
             .segments = rows.segments(),
             .offsets = rows.offsets.data(),
             .starts = weights.planes.starts(table_, cols.begin)});
      case KernelPath::lookup:
        return run_tiles(
            a, table_.gemm_lookup,
            {.cols = count,
             .bits = prepared_.images.bits,
             .planes = weights.lookup.planes,
             .blocks = weights.lookup.blocks(),
             .segments = weights.lookup.segments,
             .a = a.first,
             .a_stride = rows.row_step,
             .segment_stride = rows.segments() > 1 ? rows.offsets[1] - rows.offsets[0] : 0,
             .b = weights.lookup.data + cols.begin * weights.lookup.column_bytes(),
             .c = c,
             .c_stride = stride});
      case KernelPath::packed:
        return run_tiles(a, table_.gemm_codes,
                         {.cols = count,
                          .bits = weights.packed.bits,
                          .blocks = weights.packed.blocks(),
                          .a = a.first,
                          .a_stride = rows.row_step,
                          .b = weights.packed.data + cols.begin * weights.packed.blocks() * 4,
                          .c = c,
                          .c_stride = stride});
      default:
        const std::int8_t* const panel = weights.bytes.panel(table_, cols.begin);
        const std::int64_t bytes = weights.bytes.panel_bytes(table_);
        return run_tiles(a, table_.gemm_u8s8,
                         {.cols = count,
                          .groups = weights.bytes.groups(),
                          .a = a.first,
                          .a_stride = rows.row_step,
                          .b = panel,
                          .c = c,
                          .c_stride = stride,
                          .segments = weights.bytes.segments,
                          .offsets = rows.offsets.data(),
                          .short_groups = prepared_.short_groups,
                          .short_runs = weights.bytes.short_runs(table_, cols.begin),
                          .next = reads_on && bytes >= long_panel ? panel + bytes : nullptr});
    }
  }

  /// `tile` for the rows of a run; it holds the operands of the first one. The kernels of bytes and
  /// of planes take whole tiles at once.
  template <class Tile>
  static void run_tiles(const Rows& a, const kernels::TileKernel<Tile>& kernel,
                        std::type_identity_t<Tile> tile) noexcept {
    constexpr bool takes_tiles = std::is_same_v<Tile, kernels::GemmU8S8Tile> ||
                                 std::is_same_v<Tile, kernels::GemmPlanesTile>;
    const std::int64_t at_once = takes_tiles ? std::max<std::int64_t>(1, a.tiles.whole()) : 1;
    for (std::int64_t line = 0; line < a.lines; ++line) {
      tile.a = a.first + line * a.rows.line_step;
      for (std::int64_t i = 0, next = at_once; i < a.tiles.count(); i = next++) {
        tile.rows = a.tiles.begin(next) - a.tiles.begin(i);
        kernel.run(tile);
        tile.a += tile.rows * tile.a_stride;
        tile.c += tile.rows * tile.c_stride;
        if constexpr (std::is_same_v<Tile, kernels::GemmU8S8Tile>) {
          if (tile.next != nullptr) tile.next += (next - i) * tile.next_bytes();
        }
      }
    }
  }

  const kernels::KernelTable& table_;
  std::span<const PreparedEncoder> encoders_;
  std::span<const ProgramBuffer> buffers_;
  const Step& step_;
  const PreparedStep& prepared_;
  const MatrixOperands& operands_;
  RowTiles tiles_;
  std::int64_t count_;
  Scratch parts_;
};

}  // namespace detail

}  // namespace bitdial::inline BITDIAL_ABI
