// SPDX-License-Identifier: Apache-2.0
// The levels of 3 x 3 filters as Winograd's minimal filtering multiplies them: 36 numbers of 16
// bits or 24 bytes for 9 levels.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include <bitdial/core/assert.hpp>
#include <bitdial/core/rounding.hpp>
#include <bitdial/kernels/kernel_table.hpp>
#include <bitdial/ops/matrix_view.hpp>

namespace bitdial::inline BITDIAL_ABI::ops {

/// G g G4' of `kernels::WinogradTile` in the layout of one kernel table's products, gemm_s16 or
/// gemm_u8s8: a view of caller memory.
///
/// Channels are cut into blocks whose sums come out exactly. Panels of `width` columns hold for
/// each block [products][groups of channels][cols][channels of a group]. Behind the panels stand
/// the terms of each output of a tile, [outputs][columns], which take back what `offset` adds.
struct PackedWinograd {
  using Tile = kernels::WinogradTile;

  const Tile* tile = &kernels::winograd_shorts;
  const std::byte* data = nullptr;
  std::int64_t n = 0;
  std::int64_t channels = 0;

  [[nodiscard]] bool of_bytes() const noexcept { return tile->number_bytes == 1; }
  /// Tiles and columns of a product.
  [[nodiscard]] std::int64_t rows(const kernels::KernelTable& table) const noexcept {
    return of_bytes() ? table.gemm_u8s8.rows : table.gemm_s16.rows;
  }
  [[nodiscard]] std::int64_t width(const kernels::KernelTable& table) const noexcept {
    return of_bytes() ? table.gemm_u8s8.cols : table.gemm_s16.cols;
  }

  [[nodiscard]] std::int64_t blocks() const noexcept {
    return (channels + tile->most_channels - 1) / tile->most_channels;
  }
  /// Of every block but the last: whole vectors.
  [[nodiscard]] std::int64_t block_channels() const noexcept {
    return round_up((channels + blocks() - 1) / blocks(), 64 / tile->number_bytes);
  }
  /// Groups of channels of a block.
  [[nodiscard]] std::int64_t groups(std::int64_t block) const noexcept {
    const std::int64_t left = channels - block * block_channels();
    return (std::min(block_channels(), left) * tile->number_bytes + 3) / 4;
  }

  [[nodiscard]] std::int64_t bytes_per_column() const noexcept {
    return tile->products() * round_up(channels * tile->number_bytes, 4);
  }
  /// The products of a block with the columns from `col`, a multiple of the width, on.
  [[nodiscard]] const std::byte* panel(const kernels::KernelTable& table, std::int64_t col,
                                       std::int64_t block) const noexcept {
    return data + col * bytes_per_column() +
           tile->products() * block * block_channels() * width(table) * tile->number_bytes;
  }
  /// From one output's terms to the next: the columns, padded to whole panels.
  [[nodiscard]] std::int64_t terms_stride(const kernels::KernelTable& table) const noexcept {
    return round_up(n, width(table));
  }
  [[nodiscard]] const std::int32_t* terms(const kernels::KernelTable& table) const noexcept {
    return reinterpret_cast<const std::int32_t*>(panel(table, terms_stride(table), 0));
  }

  /// Size of the packed weights; align the memory to 64 bytes. `shape.data` is not read.
  [[nodiscard]] static std::size_t bytes(const kernels::KernelTable& table,
                                         const PackedWinograd& shape) noexcept {
    return static_cast<std::size_t>(shape.terms_stride(table) *
                                    (shape.bytes_per_column() + shape.tile->outputs() * 4));
  }

  /// Packs `levels` [n, 9 * channels], taps before channels, into `memory` of at least
  /// `bytes(table, shape)`.
  [[nodiscard]] static PackedWinograd pack(const kernels::KernelTable& table, PackedWinograd shape,
                                           MatrixView<const std::int8_t> levels,
                                           std::span<std::byte> memory) noexcept {
    BITDIAL_ASSERT(levels.rows == shape.n && levels.cols == 9 * shape.channels);
    BITDIAL_ASSERT(memory.size() >= bytes(table, shape));
    std::fill_n(memory.data(), bytes(table, shape), std::byte{0});
    shape.data = memory.data();
    const std::int64_t width = shape.width(table), stride = shape.terms_stride(table);
    auto* const terms = reinterpret_cast<std::int32_t*>(
        memory.data() + (reinterpret_cast<const std::byte*>(shape.terms(table)) - shape.data));
    // What the offsets of a panel's factors owe, modulo 2^32.
    std::uint32_t owed[36 * most_width];
    BITDIAL_ASSERT(width <= most_width);
    for (std::int64_t col = 0; col < shape.n; col += width) {
      for (std::int64_t block = 0; block < shape.blocks(); ++block) {
        const std::int64_t first = block * shape.block_channels();
        const std::int64_t end = std::min(shape.channels, first + shape.block_channels());
        std::byte* const panel = memory.data() + (shape.panel(table, col, block) - shape.data);
        const std::int64_t step = shape.groups(block) * width * 4;
        std::fill_n(owed, shape.tile->products() * width, 0U);
        for (std::int64_t j = 0; j < std::min(width, shape.n - col); ++j) {
          for (std::int64_t c = first; c < end; ++c) {
            const std::int64_t at = (c - first) * shape.tile->number_bytes;
            shape.pack_filter(levels.row(col + j) + c, panel + at / 4 * width * 4 + j * 4 + at % 4,
                              step, owed + j, width);
          }
        }
        table.winograd_sums({.tile = shape.tile,
                             .tiles = 1,
                             .cols = width,
                             .m = reinterpret_cast<const std::int32_t*>(owed),
                             .m_step = width,
                             .sums = terms + col,
                             .sums_line = Tile::pixels * stride,
                             .sums_stride = stride});
      }
    }
    return shape;
  }

 private:
  /// Columns of any table's product.
  static constexpr std::int64_t most_width = 64;
  static constexpr signed char g[10][3] = {{6, 0, 0},  {-4, -4, -4}, {-4, 4, -4}, {1, 2, 4},
                                           {1, -2, 4}, {0, 0, 8},                              // G4
                                           {2, 0, 0},  {1, 1, 1},    {1, -1, 1},  {0, 0, 2}};  // G2

  /// The factors of a filter.
  [[gnu::always_inline]] void pack_filter(const std::int8_t* levels, std::byte* out,
                                          std::int64_t step, std::uint32_t* owed,
                                          std::int64_t owed_step) const noexcept {
    for (std::int64_t p = 0; p < tile->products(); ++p, out += step, owed += owed_step) {
      const std::int64_t i = p / Tile::input_pixels, j = p % Tile::input_pixels;
      const signed char *const left = g[tile->lines == 2 ? 6 + i : i], *const right = g[j];
      int sum = 0;
      for (std::int64_t tap = 0; tap < 9; ++tap) {
        sum += left[tap / 3] * right[tap % 3] * levels[tap * channels];
      }
      const auto number = static_cast<std::int16_t>(sum);
      std::memcpy(out, &number, static_cast<std::size_t>(tile->number_bytes));
      *owed -= static_cast<std::uint32_t>(tile->offset(p)) * static_cast<std::uint32_t>(sum);
    }
  }
};

}  // namespace bitdial::inline BITDIAL_ABI::ops
