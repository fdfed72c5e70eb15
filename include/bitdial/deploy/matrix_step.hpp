// SPDX-License-Identifier: Apache-2.0
// One convolution or linear layer: windows read in place, products tile by tile, and the epilogue
// from sums to values and codes while the tile is in the first-level cache.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>

#include <bitdial/core/rounding.hpp>
#include <bitdial/deploy/border_sums.hpp>
#include <bitdial/deploy/kernel_choice.hpp>
#include <bitdial/deploy/packed_network.hpp>
#include <bitdial/deploy/plan_compiler.hpp>
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
  WindowRows rows;

  /// True when the kernel's sums are I.
  [[nodiscard]] bool is_plain() const noexcept {
    return product_factor == 1 && row_sum_factor == 0 && border.empty();
  }
};

/// Half-open.
struct IndexRange {
  std::int64_t begin = 0, end = 0;
};

/// What a matrix step may touch, for images 0 .. `images` - 1 of the arena.
struct MatrixOperands {
  const std::uint8_t* x = nullptr;
  float* y = nullptr;               ///< null where nobody reads values
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
        parts_{table, *prepared.weights, prepared.state->executed.a, step.y_shape.c,
               prepared.rows.depth()} {}

  [[nodiscard]] std::int64_t tiles() const noexcept { return tiles_.count(); }
  /// Parts of columns begin at multiples of this: whole panels, and whole bytes of bit planes.
  [[nodiscard]] std::int64_t column_step() const noexcept { return parts_.column_step; }
  /// Multiplications.
  [[nodiscard]] std::int64_t work() const noexcept {
    return operands_.images * step_.y_shape.size() * prepared_.rows.depth();
  }

  /// Bytes of scratch of one `run`.
  [[nodiscard]] static std::size_t scratch_bytes(const kernels::KernelTable& table,
                                                 const PreparedWeights& weights, int bits,
                                                 std::int64_t channels,
                                                 std::int64_t depth) noexcept {
    return Scratch{table, weights, bits, channels, depth}.end;
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
    const void* a = nullptr;
    const std::int32_t* sums = nullptr;  ///< of the codes of each row, where the epilogue needs it
  };

  /// Offsets of the parts of a thread's scratch.
  struct Scratch {
    std::size_t line = 0, values = 0, row_sums = 0, codes = 0, planes = 0, end = 0;
    std::int64_t cols = 0;         ///< that the epilogue sees at once
    std::int64_t column_step = 8;  ///< where parts of columns may begin

    Scratch(const kernels::KernelTable& table, const PreparedWeights& weights, int bits,
            std::int64_t channels, std::int64_t depth) noexcept {
      const auto aligned = [](std::int64_t bytes) {
        return static_cast<std::size_t>(round_up(bytes, 64));
      };
      const std::int64_t rows = tile_rows(table, weights), width = tile_cols(table, weights);
      column_step = std::lcm(width, std::int64_t{8});
      const std::int64_t step = column_step;
      cols = std::min(round_up(channels, width), std::max(step, epilogue_cols / step * step));
      line = aligned(rows * cols * 4);
      values = line + aligned(cols * 4);
      row_sums = values + aligned(rows * cols * 4);
      codes = row_sums + aligned(rows * 4);
      planes = codes + aligned(depth);
      const bool needs_planes = weights.path == KernelPath::planes;
      end = planes + (needs_planes ? aligned(rows * bits * ((depth + 63) / 64) * 8) : 0);
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
    const WindowRows& rows = prepared_.rows;
    const std::uint8_t* const a = operands_.x + tile.image * rows.x.image() + rows.origin +
                                  tile.line * rows.line_step + tile.first * rows.row_step;
    if (prepared_.weights->path == KernelPath::planes) return packed_planes(tile, a, scratch);
    if (prepared_.row_sum_factor == 0) return {.tile = tile, .a = a};
    auto* const sums = reinterpret_cast<std::int32_t*>(scratch + parts_.row_sums);
    for (std::int64_t r = 0; r < tile.rows; ++r) {
      std::uint64_t sum = 0;
      for (const std::int64_t offset : rows.offsets) {
        sum += table_.sum_codes(a + r * rows.row_step + offset, rows.run);
      }
      sums[r] = static_cast<std::int32_t>(sum);
    }
    return {.tile = tile, .a = a, .sums = sums};
  }

  [[nodiscard]] Rows packed_planes(const RowTile& tile, const std::uint8_t* a,
                                   std::byte* scratch) const noexcept {
    const WindowRows& rows = prepared_.rows;
    const Scratch& part = parts_;
    const int bits = prepared_.state->executed.a;
    const std::int64_t words = prepared_.weights->planes.words;
    auto* const codes = reinterpret_cast<std::uint8_t*>(scratch + part.codes);
    auto* const planes = reinterpret_cast<std::uint64_t*>(scratch + part.planes);
    auto* const sums = reinterpret_cast<std::int32_t*>(scratch + part.row_sums);
    for (std::int64_t r = 0; r < tile.rows; ++r) {
      std::uint8_t* out = codes;
      for (const std::int64_t offset : rows.offsets) {
        out = std::copy_n(a + r * rows.row_step + offset, rows.run, out);
      }
      table_.pack_planes({.codes = codes,
                          .count = rows.depth(),
                          .bits = bits,
                          .planes = planes + r * bits * words,
                          .plane_stride = words});
      sums[r] = static_cast<std::int32_t>(table_.sum_codes(codes, rows.depth()));
    }
    return {.tile = tile, .a = planes, .sums = sums};
  }

  void multiply(const Rows& rows, IndexRange cols, std::byte* scratch) const noexcept {
    const PreparedWeights& weights = *prepared_.weights;
    const std::int64_t width = tile_cols(table_, weights), stride = parts_.cols;
    auto* const sums = reinterpret_cast<std::int32_t*>(scratch);
    for (std::int64_t col = cols.begin; col < cols.end; col += width) {
      const std::int64_t count = std::min(width, cols.end - col);
      std::int32_t* const c = sums + (col - cols.begin);
      if (weights.path == KernelPath::planes) {
        table_.gemm_planes.run(
            {.rows = rows.tile.rows,
             .cols = count,
             .words = weights.planes.words,
             .a_planes = prepared_.state->executed.a,
             .b_planes = weights.planes.planes,
             .a = static_cast<const std::uint64_t*>(rows.a),
             .a_stride = prepared_.state->executed.a * weights.planes.words,
             .b = weights.planes.data + col * weights.planes.words * weights.planes.planes,
             .c = c,
             .c_stride = stride});
      } else {
        table_.gemm_u8s8.run(
            {.rows = rows.tile.rows,
             .cols = count,
             .groups = weights.bytes.groups(),
             .a = static_cast<const std::uint8_t*>(rows.a),
             .a_stride = prepared_.rows.row_step,
             .b = weights.bytes.data + col / width * weights.bytes.panel_bytes(table_),
             .c = c,
             .c_stride = stride,
             .segments = weights.bytes.segments,
             .offsets = prepared_.rows.offsets.data()});
      }
    }
  }

  /// From the sums of a tile to y and its codes.
  void finish(const Rows& rows, IndexRange cols, std::byte* scratch) const noexcept {
    const Scratch& part = parts_;
    const std::int64_t channels = step_.y_shape.c, count = cols.end - cols.begin;
    const std::int64_t at = tiles_.row_of(rows.tile) * channels + cols.begin;
    float* const y =
        operands_.y != nullptr ? operands_.y + at : reinterpret_cast<float*>(scratch + part.values);
    const std::int64_t y_step = operands_.y != nullptr ? channels : count;
    auto* const line = reinterpret_cast<std::int32_t*>(scratch + part.line);
    const auto* const all_sums = reinterpret_cast<const std::int32_t*>(scratch);
    for (std::int64_t r = 0; r < rows.tile.rows; ++r) {
      const std::int32_t* sums = all_sums + r * part.cols;
      if (!prepared_.is_plain()) {
        correct_row(rows, r, sums, cols, line);
        sums = line;
      }
      table_.requantize({.sums = sums,
                         .count = count,
                         .scale = prepared_.state->multiplier.data() + cols.begin,
                         .bias = prepared_.state->bias.data() + cols.begin,
                         .residual = operands_.residual == nullptr
                                         ? nullptr
                                         : operands_.residual + at + r * channels,
                         .relu = step_.relu,
                         .y = y + r * y_step});
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
    auto* const codes =
        reinterpret_cast<std::uint8_t*>(operands_.arena + buffer.offset) + first + cols.begin;
    if (count == step && count == y_step) {
      encoder.encode(table_, y, tile.rows * count, codes);
      return;
    }
    for (std::int64_t r = 0; r < tile.rows; ++r) {
      encoder.encode(table_, y + r * y_step, count, codes + r * step);
    }
  }

  /// I of one row of a tile, from the kernel's sums, the sum of the codes, and the border.
  void correct_row(const Rows& rows, std::int64_t r, const std::int32_t* sums, IndexRange cols,
                   std::int32_t* line) const noexcept {
    const std::int64_t count = cols.end - cols.begin;
    const std::uint32_t constant =
        prepared_.row_sum_factor == 0
            ? 0
            : prepared_.row_sum_factor * static_cast<std::uint32_t>(rows.sums[r]);
    correct_sums(sums, count, prepared_.product_factor, constant, line);
    if (prepared_.border.empty()) return;
    // Where lines are joined no window leaves the image, so that all pixels are alike.
    const bool joined = prepared_.rows.images_are_rows || prepared_.rows.lines != step_.y_shape.h;
    const std::uint32_t* const border =
        prepared_.border.at(joined ? 0 : rows.tile.line, joined ? 0 : rows.tile.first + r) +
        cols.begin;
    for (std::int64_t c = 0; c < count; ++c) {
      line[c] = static_cast<std::int32_t>(static_cast<std::uint32_t>(line[c]) + border[c]);
    }
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
