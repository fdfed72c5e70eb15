// SPDX-License-Identifier: Apache-2.0
// One convolution or linear layer: windows read in place, products tile by tile, and the epilogue
// from sums to values and codes while the tile is in the first-level cache.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include <bitdial/core/rounding.hpp>
#include <bitdial/deploy/border_sums.hpp>
#include <bitdial/deploy/kernel_choice.hpp>
#include <bitdial/deploy/packed_network.hpp>
#include <bitdial/deploy/plan_compiler.hpp>
#include <bitdial/deploy/plane_images.hpp>
#include <bitdial/deploy/prepared_encoder.hpp>
#include <bitdial/deploy/prepared_weights.hpp>
#include <bitdial/deploy/window_rows.hpp>
#include <bitdial/kernels/kernel_table.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// What a matrix step needs beyond its `Step`:
/// I = product_factor * sum(s u) + row_sum_factor * sum(u) + border, modulo 2^32.
struct PreparedStep {
  const PreparedWeights* weights = nullptr;
  const LayerState* state = nullptr;
  std::uint32_t product_factor = 1;
  std::uint32_t row_sum_factor = 0;
  BorderSums border;
  WindowRows rows;                ///< of bytes
  std::int64_t short_groups = 0;  ///< of the byte kernel
  // Where the product runs on bit planes:
  PlaneImages planes;
  WindowRows plane_rows;               ///< of one plane
  std::vector<std::int64_t> sum_taps;  ///< from a window's first pixel sum to each, in bytes
};

/// Half-open.
struct IndexRange {
  std::int64_t begin = 0, end = 0;
};

/// What a matrix step may touch, for images 0 .. `images` - 1 of the arena.
struct MatrixOperands {
  const std::uint8_t* x = nullptr;
  std::uint8_t* planes = nullptr;   ///< working memory: the codes as `PreparedStep::planes`
  float* y = nullptr;               ///< first channel of the result; null where nobody reads values
  const float* residual = nullptr;  ///< null where nothing is added
  std::byte* arena = nullptr;       ///< of the codes of y
  std::int64_t images = 0;
};

namespace detail {

/// Weights that are read again for every tile of rows should stay in the second-level cache.
inline constexpr std::int64_t weight_block_bytes = std::int64_t{1} << 19;
/// The epilogue sees at most about this many columns at once, so that sums stay in the first-level
/// cache.
inline constexpr std::int64_t epilogue_cols = 256;

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
        tiles_{prepared.rows, operands.images, tile_rows(table, *prepared.weights)},
        parts_{table, *prepared.weights, step.y_shape.c} {}

  [[nodiscard]] std::int64_t tiles() const noexcept { return tiles_.count(); }
  /// Parts of columns begin at multiples of this: whole panels, and whole bytes of bit planes.
  [[nodiscard]] std::int64_t column_step() const noexcept { return parts_.column_step; }
  /// Multiplications.
  [[nodiscard]] std::int64_t work() const noexcept {
    return operands_.images * step_.y_shape.size() * prepared_.rows.depth();
  }

  /// Bytes of scratch of one `run`.
  [[nodiscard]] static std::size_t scratch_bytes(const kernels::KernelTable& table,
                                                 const PreparedWeights& weights,
                                                 std::int64_t channels) noexcept {
    return Scratch{table, weights, channels}.end;
  }

  [[nodiscard]] bool needs_planes() const noexcept {
    return prepared_.weights->path == KernelPath::planes;
  }
  /// Packs lines `lines` of the operand, counted over all images, before any `run` reads them.
  void pack_planes(IndexRange lines) const noexcept {
    const PlaneImages& planes = prepared_.planes;
    const std::int64_t h = planes.codes.h;
    for (std::int64_t i = lines.begin; i < lines.end; ++i) {
      std::uint8_t* const image = operands_.planes + i / h * planes.image();
      if (i % h == 0) planes.clear_border(image);
      planes.pack_line(table_, i % h, operands_.x + i / h * planes.codes.image(), image);
    }
  }

  void run(IndexRange tiles, IndexRange columns, std::byte* scratch) const noexcept {
    const std::int64_t step = column_step();
    const std::int64_t column_bytes = std::max<std::int64_t>(1, weight_bytes_per_column());
    const std::int64_t block = std::max(step, weight_block_bytes / column_bytes / step * step);
    const std::int64_t part = parts_.cols;
    for (std::int64_t begin = columns.begin; begin < columns.end; begin += block) {
      const std::int64_t end = std::min(columns.end, begin + block);
      for (std::int64_t i = tiles.begin; i < tiles.end; ++i) {
        const RowTile tile = tiles_[i];
        const Rows a = rows_of(tile, scratch);
        for (std::int64_t col = begin; col < end; col += part) {
          const IndexRange cols{col, std::min(end, col + part)};
          multiply(a, cols, scratch);
          finish(a, cols, scratch);
        }
      }
    }
  }

 private:
  /// One tile of rows, ready for the kernel.
  struct Rows {
    RowTile tile;
    const std::uint8_t* a = nullptr;
    const std::int32_t* sums = nullptr;  ///< of the codes of each row, where the epilogue needs it
  };

  /// Offsets of the parts of a thread's scratch.
  struct Scratch {
    std::size_t values = 0, row_sums = 0, end = 0;
    std::int64_t cols = 0;         ///< that the epilogue sees at once
    std::int64_t column_step = 8;  ///< where parts of columns may begin

    Scratch(const kernels::KernelTable& table, const PreparedWeights& weights,
            std::int64_t channels) noexcept {
      const auto aligned = [](std::int64_t bytes) {
        return static_cast<std::size_t>(round_up(bytes, 64));
      };
      const std::int64_t rows = tile_rows(table, weights), width = tile_cols(table, weights);
      column_step = std::lcm(width, std::int64_t{8});
      cols = std::min(round_up(channels, width),
                      std::max(column_step, epilogue_cols / column_step * column_step));
      values = aligned(rows * cols * 4);
      row_sums = values + aligned(rows * cols * 4);
      end = row_sums + aligned(rows * 4);
    }
  };

  [[nodiscard]] static std::int64_t tile_rows(const kernels::KernelTable& table,
                                              const PreparedWeights& weights) noexcept {
    return weights.path == KernelPath::planes ? table.gemm_planes.rows : table.gemm_u8s8.rows;
  }
  [[nodiscard]] static std::int64_t tile_cols(const kernels::KernelTable& table,
                                              const PreparedWeights& weights) noexcept {
    return weights.path == KernelPath::planes ? table.gemm_planes.cols : table.gemm_u8s8.cols;
  }
  [[nodiscard]] std::int64_t weight_bytes_per_column() const noexcept {
    const PreparedWeights& weights = *prepared_.weights;
    return weights.path == KernelPath::planes
               ? weights.planes.words * weights.planes.planes * 8
               : weights.bytes.panel_bytes(table_) / table_.gemm_u8s8.cols;
  }

  [[nodiscard]] Rows rows_of(const RowTile& tile, std::byte* scratch) const noexcept {
    auto* const sums = reinterpret_cast<std::int32_t*>(scratch + parts_.row_sums);
    const bool needs_sums = prepared_.row_sum_factor != 0;
    if (needs_planes()) {
      if (needs_sums) add_pixel_sums(tile, sums);
      const std::uint8_t* const image = operands_.planes + tile.image * prepared_.planes.image();
      return {.tile = tile, .a = image + in_image(prepared_.plane_rows, tile), .sums = sums};
    }
    const WindowRows& rows = prepared_.rows;
    const std::uint8_t* const a = operands_.x + tile.image * rows.x.image() + in_image(rows, tile);
    for (std::int64_t r = 0; needs_sums && r < tile.rows; ++r) {
      std::uint64_t sum = 0;
      for (const std::int64_t offset : rows.offsets) {
        sum += table_.sum_codes(a + r * rows.row_step + offset, rows.run);
      }
      sums[r] = static_cast<std::int32_t>(sum);
    }
    return {.tile = tile, .a = a, .sums = sums};
  }

  [[nodiscard]] static std::int64_t in_image(const WindowRows& rows, const RowTile& tile) noexcept {
    return rows.origin + tile.line * rows.line_step + tile.first * rows.row_step;
  }

  /// The sums of the codes of a tile's windows, from those of the pixels.
  void add_pixel_sums(const RowTile& tile, std::int32_t* sums) const noexcept {
    const PlaneImages& planes = prepared_.planes;
    const WindowRows& rows = prepared_.plane_rows;
    const bool image_rows = rows.images_are_rows;
    // A pixel of sums has 4 bytes, one of a plane `plane.pixel`; borders are the same.
    const std::int64_t row_step =
        image_rows ? planes.image() : rows.row_step / planes.plane.pixel * 4;
    const std::uint8_t* const first = operands_.planes + tile.image * planes.image() +
                                      planes.sums_at() +
                                      (image_rows ? planes.sums.at(0, 0) + tile.first * row_step
                                                  : in_image(rows, tile) / planes.plane.pixel * 4);
    std::fill_n(sums, tile.rows, 0);
    for (const std::int64_t tap : prepared_.sum_taps) {
      for (std::int64_t r = 0; r < tile.rows; ++r) {
        sums[r] += *reinterpret_cast<const std::int32_t*>(first + tap + r * row_step);
      }
    }
  }

  void multiply(const Rows& rows, IndexRange cols, std::byte* scratch) const noexcept {
    const PreparedWeights& weights = *prepared_.weights;
    const std::int64_t width = tile_cols(table_, weights), stride = parts_.cols;
    auto* const sums = reinterpret_cast<std::int32_t*>(scratch);
    for (std::int64_t col = cols.begin; col < cols.end; col += width) {
      const std::int64_t count = std::min(width, cols.end - col);
      std::int32_t* const c = sums + (col - cols.begin);
      if (weights.path == KernelPath::planes) {
        const std::int64_t column = weights.planes.words * weights.planes.planes;
        table_.gemm_planes.run({.rows = rows.tile.rows,
                                .cols = count,
                                .words = weights.planes.words / prepared_.plane_rows.segments(),
                                .a_planes = prepared_.planes.bits,
                                .b_planes = weights.planes.planes,
                                .a = rows.a,
                                .a_stride = prepared_.plane_rows.row_step,
                                .plane_stride = prepared_.planes.plane.image(),
                                .b = weights.planes.data + col * column,
                                .c = c,
                                .c_stride = stride,
                                .segments = prepared_.plane_rows.segments(),
                                .offsets = prepared_.plane_rows.offsets.data()});
      } else {
        table_.gemm_u8s8.run(
            {.rows = rows.tile.rows,
             .cols = count,
             .groups = weights.bytes.groups(),
             .a = rows.a,
             .a_stride = prepared_.rows.row_step,
             .b = weights.bytes.data + col / width * weights.bytes.panel_bytes(table_),
             .c = c,
             .c_stride = stride,
             .segments = weights.bytes.segments,
             .offsets = prepared_.rows.offsets.data(),
             .short_groups = prepared_.short_groups});
      }
    }
  }

  /// From the sums of a tile to y and its codes.
  void finish(const Rows& rows, IndexRange cols, std::byte* scratch) const noexcept {
    const Scratch& part = parts_;
    const std::int64_t channels = step_.y_shape.c, count = cols.end - cols.begin;
    const std::int64_t row = tiles_.row_of(rows.tile), at = row * channels + cols.begin;
    float* const y = operands_.y != nullptr ? operands_.y + row * step_.pixel + cols.begin
                                            : reinterpret_cast<float*>(scratch + part.values);
    const std::int64_t y_step = operands_.y != nullptr ? step_.pixel : count;
    const auto* const sums = reinterpret_cast<const std::int32_t*>(scratch);
    for (std::int64_t r = 0; r < rows.tile.rows; ++r) {
      table_.requantize(
          {.sums = sums + r * part.cols,
           .count = count,
           .scale = prepared_.state->multiplier.data() + cols.begin,
           .bias = prepared_.state->bias.data() + cols.begin,
           .residual =
               operands_.residual == nullptr ? nullptr : operands_.residual + at + r * channels,
           .relu = step_.relu,
           .y = y + r * y_step,
           .factor = prepared_.product_factor,
           .constant = prepared_.row_sum_factor == 0
                           ? 0
                           : prepared_.row_sum_factor * static_cast<std::uint32_t>(rows.sums[r]),
           .offsets = border_of(rows.tile, r, cols.begin)});
    }
    for (const CodeOutput& output : step_.codes) encode(output, rows.tile, cols, y, y_step);
  }

  void encode(const CodeOutput& output, const RowTile& tile, IndexRange cols, const float* y,
              std::int64_t y_step) const noexcept {
    const PreparedEncoder& encoder = encoders_[static_cast<std::size_t>(output.encoder)];
    const ProgramBuffer& buffer = buffers_[static_cast<std::size_t>(output.buffer)];
    const CodeLayout& layout = buffer.layout;
    const bool image_rows = prepared_.rows.images_are_rows;
    const std::int64_t first = image_rows
                                   ? tile.first * layout.image() + layout.at(0, 0)
                                   : tile.image * layout.image() + layout.at(tile.line, tile.first);
    const std::int64_t step = image_rows ? layout.image() : layout.pixel;
    const std::int64_t count = cols.end - cols.begin;
    auto* const codes = reinterpret_cast<std::uint8_t*>(operands_.arena + buffer.offset) + first +
                        step_.first_channel + cols.begin;
    if (count == step && count == y_step) {
      encoder.encode(table_, y, tile.rows * count, codes);
      return;
    }
    for (std::int64_t r = 0; r < tile.rows; ++r) {
      encoder.encode(table_, y + r * y_step, count, codes + r * step);
    }
  }

  /// What the border owes to row r of a tile, from channel `channel` on; null where it owes none.
  [[nodiscard]] const std::uint32_t* border_of(const RowTile& tile, std::int64_t r,
                                               std::int64_t channel) const noexcept {
    if (prepared_.border.empty()) return nullptr;
    // Where lines are joined no window leaves the image, so that all pixels are alike.
    const bool joined = prepared_.rows.images_are_rows || prepared_.rows.lines != step_.y_shape.h;
    return prepared_.border.at(joined ? 0 : tile.line, joined ? 0 : tile.first + r) + channel;
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
