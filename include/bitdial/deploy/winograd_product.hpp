// SPDX-License-Identifier: Apache-2.0
// A 3 x 3 convolution by Winograd's minimal filtering: tiles of 4 x 4 or 2 x 4 outputs, whose sums
// are those of the direct product to the bit.
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
  WinogradTiles(const kernels::WinogradTile& tile, const ImageShape& y,
                std::int64_t images) noexcept
      : lines_{tile.lines},
        h_{y.h},
        w_{y.w},
        across_{(w_ + pixels - 1) / pixels},
        down_{(h_ + lines_ - 1) / lines_},
        count_{images * across_ * down_} {}

  [[nodiscard]] std::int64_t count() const noexcept { return count_; }

  /// Neighbouring tiles of a line of tiles, and their outputs.
  struct Run : LineRun {
    std::int64_t first = 0, tiles = 1;
    bool whole = false;  ///< their outputs are whole lines, and whole tiles
  };
  /// Tile i and those after it in its line, before tile `end`.
  [[nodiscard, gnu::noinline]] Run run(std::int64_t i, std::int64_t end) const noexcept {
    const std::int64_t line = i / across_, first = i % across_ * pixels;
    const std::int64_t y = line % down_ * lines_;
    const std::int64_t tiles = std::min(end - i, across_ - i % across_);
    const std::int64_t rows = std::min(tiles * pixels, w_ - first);
    return {{.rows = {.image = line / down_, .line = y, .first = first, .rows = rows},
             .lines = std::min(lines_, h_ - y)},
            i,
            tiles,
            rows == w_ && rows == tiles * pixels};
  }
  /// The first tile of a tile's line.
  [[nodiscard]] std::int64_t line_begin(std::int64_t i) const noexcept { return i - i % across_; }
  /// The number of a line's pixel among all of the batch.
  [[nodiscard]] std::int64_t row_of(const RowRun& run) const noexcept {
    return (run.image * h_ + run.line) * w_ + run.first;
  }

 private:
  static constexpr std::int64_t pixels = kernels::WinogradTile::pixels;

  std::int64_t lines_, h_, w_, across_, down_, count_;
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
        tiles_{*weights_.tile, step.y_shape, operands.count},
        parts_{table, weights_} {}

  [[nodiscard]] static std::size_t scratch_bytes(const kernels::KernelTable& table,
                                                 const PreparedStep& prepared) noexcept {
    return Scratch{table, prepared.weights->winograd}.end;
  }
  [[nodiscard]] RowSums row_sums(std::byte* scratch) const noexcept {
    return {.sums = reinterpret_cast<std::int32_t*>(scratch),
            .stride = parts_.width,
            .row_terms = reinterpret_cast<std::int32_t*>(scratch + parts_.row_terms),
            .values = reinterpret_cast<float*>(scratch + parts_.values)};
  }

  void run(IndexRange tiles, IndexRange columns, std::byte* scratch,
           MatrixEpilogue& epilogue) const noexcept {
    const TileSplit blocks{tiles.end - tiles.begin, parts_.groups * parts_.most};
    for (std::int64_t i = 0; i < blocks.count(); ++i) {
      const Block block{{tiles.begin + blocks.begin(i), tiles.begin + blocks.begin(i + 1)},
                        scratch};
      const TileSplit groups{block.tiles.end - block.tiles.begin, parts_.most};
      const auto group = [&](std::int64_t g) {
        return Group{g,
                     {block.tiles.begin + groups.begin(g), block.tiles.begin + groups.begin(g + 1)},
                     reinterpret_cast<std::uint8_t*>(scratch + parts_.u) + g * parts_.u_group};
      };
      for (std::int64_t t = block.tiles.begin; t < block.tiles.end;) {
        const WinogradTiles::Run run = tiles_.run(t, block.tiles.end);
        epilogue.sum_rows(run, row_terms_of(block, t));
        t += run.tiles;
      }
      for (std::int64_t g = 0; g < groups.count(); ++g) transform(group(g));
      for (std::int64_t col = columns.begin; col < columns.end; col += parts_.width) {
        const IndexRange cols{col, std::min(columns.end, col + parts_.width)};
        for (std::int64_t g = 0; g < groups.count(); ++g) {
          multiply(block, group(g), cols, cols.end < columns.end, epilogue);
        }
      }
    }
  }

 private:
  using Tile = kernels::WinogradTile;

  /// Offsets of the parts of a thread's scratch, and bytes between those of the transformed codes
  /// and of the sums of products. Products stand an odd number of cache lines apart, so that they
  /// do not share cache sets.
  struct Scratch {
    static constexpr std::int64_t input_bytes = std::int64_t{9} << 15;

    std::int64_t most, width;  ///< tiles and columns of a product
    std::int64_t u_stride, u_step, u_block, u_group, m_step, groups;
    std::size_t values, row_terms, m, u, end;

    Scratch(const kernels::KernelTable& table, const ops::PackedWinograd& weights) noexcept
        : most{weights.rows(table)}, width{weights.width(table)} {
      const Tile& tile = *weights.tile;
      u_stride = weights.block_channels() * tile.number_bytes;
      u_step = ((most * u_stride + 63) / 64 | 1) * 64;
      u_block = tile.products() * u_step;
      u_group = weights.blocks() * u_block;
      m_step = ((most * width * 4 + 63) / 64 | 1) * 64;
      groups = std::max<std::int64_t>(1, input_bytes / u_group);
      const std::int64_t sums = most * tile.outputs() * width * 4;
      values = static_cast<std::size_t>(sums);
      row_terms = values + static_cast<std::size_t>(sums);
      m = row_terms + static_cast<std::size_t>(groups * most * tile.outputs() * 4);
      u = m + static_cast<std::size_t>(tile.products() * m_step);
      end = u + static_cast<std::size_t>(groups * u_group);
    }
  };

  /// Tiles whose inputs are there at once.
  struct Block {
    IndexRange tiles;
    std::byte* scratch;
  };
  /// Tiles of one product, and their inputs.
  struct Group {
    std::int64_t number;  ///< in its block
    IndexRange tiles;
    std::uint8_t* inputs;
  };
  /// Of the tile with this number in its group.
  [[nodiscard]] std::int32_t* sums_of(const Block& block, std::int64_t tile) const noexcept {
    return reinterpret_cast<std::int32_t*>(block.scratch) +
           tile * weights_.tile->outputs() * parts_.width;
  }
  [[nodiscard]] std::int32_t* row_terms_of(const Block& block, std::int64_t tile) const noexcept {
    return reinterpret_cast<std::int32_t*>(block.scratch + parts_.row_terms) +
           (tile - block.tiles.begin) * weights_.tile->outputs();
  }

  [[gnu::always_inline]] void transform(const Group& group) const noexcept {
    const CodeLayout& x = rows_.x;
    const std::int64_t channels = weights_.block_channels();
    for (std::int64_t t = group.tiles.begin; t < group.tiles.end;) {
      const WinogradTiles::Run run = tiles_.run(t, group.tiles.end);
      kernels::WinogradCodes codes{.tile = weights_.tile,
                                   .tiles = run.tiles,
                                   .x = operands_.x + rows_.at(run.rows),
                                   .x_line = x.line(),
                                   .x_pixel = x.pixel,
                                   .lines = x.h + x.border_h + window_.padding_h - run.rows.line,
                                   .pixels = x.w + x.border_w + window_.padding_w - run.rows.first,
                                   .u = group.inputs + (t - group.tiles.begin) * parts_.u_stride,
                                   .u_step = parts_.u_step,
                                   .u_stride = parts_.u_stride};
      for (std::int64_t left = weights_.channels; left > 0; left -= channels) {
        codes.channels = std::min(channels, left);
        table_.winograd_codes(codes);
        codes.x += channels;
        codes.u += parts_.u_block;
      }
      t += run.tiles;
    }
  }

  /// The products of one block of channels. Products of bytes ask for the next panel meanwhile,
  /// where it is read next: each group of tiles for a part of it.
  [[gnu::always_inline]] void multiply_block(const Group& group, std::int64_t col,
                                             std::int64_t part, bool reads_on,
                                             std::int32_t* m) const noexcept {
    const std::int64_t rows = group.tiles.end - group.tiles.begin;
    const std::uint8_t* const u = group.inputs + part * parts_.u_block;
    const std::int64_t groups = weights_.groups(part), products = weights_.tile->products();
    const std::byte* const b = weights_.panel(table_, col, part);
    if (!weights_.of_bytes()) {
      return table_.gemm_s16.run({.rows = rows,
                                  .pairs = groups,
                                  .a = reinterpret_cast<const std::int16_t*>(u),
                                  .a_stride = parts_.u_stride / 2,
                                  .b = reinterpret_cast<const std::int16_t*>(b),
                                  .c = m,
                                  .c_stride = parts_.width,
                                  .products = products,
                                  .a_step = parts_.u_step / 2,
                                  .c_step = parts_.m_step / 4});
    }
    kernels::GemmU8S8Tile tile{.rows = rows,
                               .cols = parts_.width,
                               .groups = groups,
                               .a = u,
                               .a_stride = parts_.u_stride,
                               .b = reinterpret_cast<const std::int8_t*>(b),
                               .c = m,
                               .c_stride = parts_.width};
    const std::int64_t step = groups * parts_.width * 4;
    const std::int64_t asked = group.number * products * tile.next_bytes();
    if (reads_on && asked < products * step) tile.next = tile.b + products * step + asked;
    for (std::int64_t p = 0; p < products; ++p) {
      table_.gemm_u8s8.run(tile);
      if (tile.next != nullptr) tile.next += tile.next_bytes();
      tile.a += parts_.u_step;
      tile.b += step;
      tile.c += parts_.m_step / 4;
    }
  }

  void multiply(const Block& block, const Group& group, IndexRange cols, bool reads_on,
                MatrixEpilogue& epilogue) const noexcept {
    const std::int64_t width = parts_.width, begin = group.tiles.begin, end = group.tiles.end;
    auto* const m = reinterpret_cast<std::int32_t*>(block.scratch + parts_.m);
    kernels::WinogradSums sums{.tile = weights_.tile,
                               .cols = std::min(width, round_up(cols.end - cols.begin, 16)),
                               .m_step = parts_.m_step / 4,
                               .m_stride = width,
                               .terms = weights_.terms(table_) + cols.begin,
                               .terms_stride = weights_.terms_stride(table_),
                               .sums_stride = width};
    for (std::int64_t part = 0; part < weights_.blocks(); ++part) {
      multiply_block(group, cols.begin, part, reads_on, m);
      for (std::int64_t t = begin; t < end; t += sums.tiles) {
        sums.tiles = tiles_.run(t, end).tiles;
        sums.m = m + (t - begin) * width;
        sums.sums = sums_of(block, t - begin);
        sums.sums_line = sums.tiles * Tile::pixels * width;
        table_.winograd_sums(sums);
      }
      sums.terms = nullptr;
    }
    for (std::int64_t t = begin; t < end;) {
      // Lines that are not whole are finished one by one. Their row terms stand among those of all
      // tiles of the line in the block.
      const WinogradTiles::Run run = tiles_.run(t, end);
      const WinogradTiles::Run around =
          tiles_.run(std::max(block.tiles.begin, tiles_.line_begin(t)), block.tiles.end);
      const std::int32_t* const row_terms =
          row_terms_of(block, around.first) + run.rows.first - around.rows.first;
      LineRun lines = run;
      if (!run.whole) lines.lines = 1;
      for (std::int64_t i = 0; i < run.lines; i += lines.lines, ++lines.rows.line) {
        epilogue.move_to(sums_of(block, t - begin) + i * run.tiles * Tile::pixels * width,
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
