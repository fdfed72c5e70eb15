// SPDX-License-Identifier: Apache-2.0
// A 3 x 3 convolution by Winograd's minimal filtering: tiles of 4 x 4 outputs, whose sums are those
// of the direct product to the bit.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <bitdial/core/rounding.hpp>
#include <bitdial/core/tile_split.hpp>
#include <bitdial/deploy/matrix_epilogue.hpp>
#include <bitdial/deploy/network_check.hpp>
#include <bitdial/deploy/prepared_step.hpp>
#include <bitdial/deploy/window_rows.hpp>
#include <bitdial/kernels/kernel_table.hpp>
#include <bitdial/ops/winograd_weights.hpp>

namespace bitdial::inline BITDIAL_ABI::detail {

/// The tiles of a batch, numbered along lines, then down, then image by image.
class WinogradTiles {
 public:
  static constexpr std::int64_t side = kernels::WinogradCodeTile::outputs, size = side * side;

  WinogradTiles(const ImageShape& y, std::int64_t images) noexcept
      : h_{y.h},
        w_{y.w},
        across_{(w_ + side - 1) / side},
        down_{(h_ + side - 1) / side},
        count_{images * across_ * down_} {}

  [[nodiscard]] std::int64_t count() const noexcept { return count_; }

  /// Neighbouring tiles of a line of tiles, and their outputs.
  struct Run : LineRun {
    std::int64_t first = 0, tiles = 1;
    bool whole = false;  ///< their outputs are whole lines, and whole tiles
  };
  /// Tile i and those after it in its line, before tile `end`.
  [[nodiscard, gnu::noinline]] Run run(std::int64_t i, std::int64_t end) const noexcept {
    const std::int64_t line = i / across_, first = i % across_ * side, y = line % down_ * side;
    const std::int64_t tiles = std::min(end - i, across_ - i % across_);
    const std::int64_t rows = std::min(tiles * side, w_ - first);
    return {{.rows = {.image = line / down_, .line = y, .first = first, .rows = rows},
             .lines = std::min(side, h_ - y)},
            i,
            tiles,
            rows == w_ && rows == tiles * side};
  }
  /// The first tile of a tile's line.
  [[nodiscard]] std::int64_t line_begin(std::int64_t i) const noexcept { return i - i % across_; }
  /// The number of a line's pixel among all of the batch.
  [[nodiscard]] std::int64_t row_of(const RowRun& run) const noexcept {
    return (run.image * h_ + run.line) * w_ + run.first;
  }

 private:
  std::int64_t h_, w_, across_, down_, count_;
};

/// A thread takes tiles in groups, as many as the kernel has rows, and several groups at once while
/// their inputs fit the second-level cache: they read the same weights.
class WinogradProduct {
 public:
  WinogradProduct(const kernels::KernelTable& table, const Step& step, const PreparedStep& prepared,
                  const MatrixOperands& operands) noexcept
      : table_{table},
        rows_{prepared.rows},
        window_{step.window},
        weights_{prepared.weights->winograd},
        operands_{operands},
        tiles_{step.y_shape, operands.count},
        parts_{table, weights_} {}

  [[nodiscard]] static std::size_t scratch_bytes(const kernels::KernelTable& table,
                                                 const PreparedStep& prepared) noexcept {
    return Scratch{table, prepared.weights->winograd}.end;
  }
  [[nodiscard]] RowSums row_sums(std::byte* scratch) const noexcept {
    return {.sums = reinterpret_cast<std::int32_t*>(scratch),
            .stride = table_.gemm_s16.cols,
            .row_terms = reinterpret_cast<std::int32_t*>(scratch + parts_.row_terms),
            .values = reinterpret_cast<float*>(scratch + parts_.values)};
  }

  void run(IndexRange tiles, IndexRange columns, std::byte* scratch,
           MatrixEpilogue& epilogue) const noexcept {
    const std::int64_t most = table_.gemm_s16.rows, width = table_.gemm_s16.cols;
    const TileSplit blocks{tiles.end - tiles.begin, parts_.groups * most};
    for (std::int64_t i = 0; i < blocks.count(); ++i) {
      const Block block{{tiles.begin + blocks.begin(i), tiles.begin + blocks.begin(i + 1)},
                        scratch};
      const auto group = [&](std::int64_t first) {
        return IndexRange{first, std::min(block.tiles.end, first + most)};
      };
      for (std::int64_t t = block.tiles.begin; t < block.tiles.end;) {
        const WinogradTiles::Run run = tiles_.run(t, block.tiles.end);
        epilogue.sum_rows(run, row_terms_of(block, t));
        t += run.tiles;
      }
      for (std::int64_t t = block.tiles.begin; t < block.tiles.end; t += most) {
        transform(block, group(t));
      }
      for (std::int64_t col = columns.begin; col < columns.end; col += width) {
        const IndexRange cols{col, std::min(columns.end, col + width)};
        for (std::int64_t t = block.tiles.begin; t < block.tiles.end; t += most) {
          multiply(block, group(t), cols, epilogue);
        }
      }
    }
  }

 private:
  using Tile = kernels::WinogradCodeTile;

  /// Offsets of the parts of a thread's scratch, and numbers between those of the transformed codes
  /// and of the sums of products. Products stand an odd number of cache lines apart, so that they
  /// do not share cache sets.
  struct Scratch {
    static constexpr std::int64_t input_bytes = std::int64_t{9} << 15;

    std::int64_t u_step, u_block, u_group, m_step, groups;
    std::size_t values, row_terms, m, u, end;

    Scratch(const kernels::KernelTable& table, const ops::PackedWinograd& weights) noexcept {
      const std::int64_t most = table.gemm_s16.rows, width = table.gemm_s16.cols;
      u_step = ((most * weights.block_channels() * 2 + 63) / 64 | 1) * 32;
      u_block = Tile::products * u_step;
      u_group = weights.blocks() * u_block;
      m_step = ((most * width * 4 + 63) / 64 | 1) * 16;
      groups = std::max<std::int64_t>(1, input_bytes / (u_group * 2));
      const std::int64_t sums = most * WinogradTiles::size * width * 4;
      values = static_cast<std::size_t>(sums);
      row_terms = values + static_cast<std::size_t>(sums);
      m = row_terms + static_cast<std::size_t>(groups * most * WinogradTiles::size * 4);
      u = m + static_cast<std::size_t>(Tile::products * m_step * 4);
      end = u + static_cast<std::size_t>(groups * u_group * 2);
    }
  };

  /// Tiles whose inputs are there at once.
  struct Block {
    IndexRange tiles;
    std::byte* scratch;
  };
  /// Of the group of tiles from `first` on.
  [[nodiscard]] std::int16_t* inputs_of(const Block& block, std::int64_t first) const noexcept {
    return reinterpret_cast<std::int16_t*>(block.scratch + parts_.u) +
           (first - block.tiles.begin) / table_.gemm_s16.rows * parts_.u_group;
  }
  /// Of the tile with this number in its group.
  [[nodiscard]] std::int32_t* sums_of(const Block& block, std::int64_t tile) const noexcept {
    return reinterpret_cast<std::int32_t*>(block.scratch) +
           tile * WinogradTiles::size * table_.gemm_s16.cols;
  }
  [[nodiscard]] std::int32_t* row_terms_of(const Block& block, std::int64_t tile) const noexcept {
    return reinterpret_cast<std::int32_t*>(block.scratch + parts_.row_terms) +
           (tile - block.tiles.begin) * WinogradTiles::size;
  }

  void transform(const Block& block, IndexRange group) const noexcept {
    const CodeLayout& x = rows_.x;
    const std::int64_t channels = weights_.block_channels();
    for (std::int64_t t = group.begin; t < group.end;) {
      const WinogradTiles::Run run = tiles_.run(t, group.end);
      kernels::WinogradCodes codes{
          .tiles = run.tiles,
          .x = operands_.x + rows_.at(run.rows),
          .x_line = x.line(),
          .x_pixel = x.pixel,
          .lines = x.h + x.border_h + window_.padding_h - run.rows.line,
          .pixels = x.w + x.border_w + window_.padding_w - run.rows.first,
          .u = inputs_of(block, group.begin) + (t - group.begin) * channels,
          .u_step = parts_.u_step,
          .u_stride = channels};
      for (std::int64_t left = weights_.channels; left > 0; left -= channels) {
        codes.channels = std::min(channels, left);
        table_.winograd_codes(codes);
        codes.x += channels;
        codes.u += parts_.u_block;
      }
      t += run.tiles;
    }
  }

  void multiply(const Block& block, IndexRange group, IndexRange cols,
                MatrixEpilogue& epilogue) const noexcept {
    const std::int64_t width = table_.gemm_s16.cols;
    auto* const m = reinterpret_cast<std::int32_t*>(block.scratch + parts_.m);
    kernels::GemmS16Tile product{.rows = group.end - group.begin,
                                 .a = inputs_of(block, group.begin),
                                 .a_stride = weights_.block_channels(),
                                 .c = m,
                                 .c_stride = width,
                                 .products = Tile::products,
                                 .a_step = parts_.u_step,
                                 .c_step = parts_.m_step};
    kernels::WinogradSums sums{.cols = round_up(cols.end - cols.begin, 16),
                               .m_step = parts_.m_step,
                               .m_stride = width,
                               .terms = weights_.terms(table_) + cols.begin,
                               .sums_stride = width};
    for (std::int64_t part = 0; part < weights_.blocks(); ++part) {
      product.pairs = weights_.pairs(part);
      product.b = weights_.panel(table_, cols.begin, part);
      table_.gemm_s16.run(product);
      product.a += parts_.u_block;
      for (std::int64_t t = group.begin; t < group.end; t += sums.tiles) {
        sums.tiles = tiles_.run(t, group.end).tiles;
        sums.m = m + (t - group.begin) * width;
        sums.sums = sums_of(block, t - group.begin);
        sums.sums_line = sums.tiles * WinogradTiles::side * width;
        table_.winograd_sums(sums);
      }
      sums.terms = nullptr;
    }
    for (std::int64_t t = group.begin; t < group.end;) {
      // Lines that are not whole are finished one by one. Their row terms stand among those of all
      // tiles of the line in the block.
      const WinogradTiles::Run run = tiles_.run(t, group.end);
      const WinogradTiles::Run around =
          tiles_.run(std::max(block.tiles.begin, tiles_.line_begin(t)), block.tiles.end);
      const std::int32_t* const row_terms =
          row_terms_of(block, around.first) + run.rows.first - around.rows.first;
      LineRun lines = run;
      if (!run.whole) lines.lines = 1;
      for (std::int64_t i = 0; i < run.lines; i += lines.lines, ++lines.rows.line) {
        epilogue.move_to(
            sums_of(block, t - group.begin) + i * run.tiles * WinogradTiles::side * width,
            row_terms + i * around.rows.rows);
        epilogue.finish(lines, tiles_.row_of(lines.rows), cols);
      }
      t += run.tiles;
    }
  }

  const kernels::KernelTable& table_;
  const WindowRows& rows_;
  const ops::Window& window_;
  const ops::PackedWinograd& weights_;
  const MatrixOperands& operands_;
  WinogradTiles tiles_;
  Scratch parts_;
};

}  // namespace bitdial::inline BITDIAL_ABI::detail
