// SPDX-License-Identifier: Apache-2.0
// The levels of 3 x 3 filters as Winograd's minimal filtering multiplies them: 36 numbers of 16
// bits for 9 levels.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include <bitdial/core/assert.hpp>
#include <bitdial/core/rounding.hpp>
#include <bitdial/kernels/kernel_table.hpp>
#include <bitdial/ops/matrix_view.hpp>

namespace bitdial::inline BITDIAL_ABI::ops {

/// G g G' of `kernels::WinogradCodeTile` in the layout of one kernel table's gemm_s16: a view of
/// caller memory.
///
/// Channels are cut into blocks whose sums come out exactly. Panels of `table.gemm_s16.cols`
/// columns hold for each block [36][pairs of channels][cols][2]. Behind the panels stand the terms
/// that every output of a column owes to the centre of the codes, centre * the sum of its levels.
struct PackedWinograd {
  using Tile = kernels::WinogradCodeTile;

  const std::int16_t* data = nullptr;
  std::int64_t n = 0;
  std::int64_t channels = 0;

  [[nodiscard]] std::int64_t blocks() const noexcept {
    return (channels + Tile::most_channels - 1) / Tile::most_channels;
  }
  /// Of every block but the last: whole vectors.
  [[nodiscard]] std::int64_t block_channels() const noexcept {
    return round_up((channels + blocks() - 1) / blocks(), 32);
  }
  /// Pairs of channels of a block.
  [[nodiscard]] std::int64_t pairs(std::int64_t block) const noexcept {
    const std::int64_t first = block * block_channels();
    return (std::min(block_channels(), channels - first) + 1) / 2;
  }

  [[nodiscard]] std::int64_t bytes_per_column() const noexcept {
    return Tile::products * round_up(channels, 2) * 2;
  }
  /// The products of a block with the columns from `col`, a multiple of the table's, on.
  [[nodiscard]] const std::int16_t* panel(const kernels::KernelTable& table, std::int64_t col,
                                          std::int64_t block) const noexcept {
    const std::int64_t width = table.gemm_s16.cols;
    return data + col * bytes_per_column() / 2 + Tile::products * block * block_channels() * width;
  }
  /// One for each column, padded with zeros to whole panels.
  [[nodiscard]] const std::int32_t* terms(const kernels::KernelTable& table) const noexcept {
    return reinterpret_cast<const std::int32_t*>(panel(table, round_up(n, table.gemm_s16.cols), 0));
  }

  /// Size of the packed weights; align the memory to 64 bytes. `shape.data` is not read.
  [[nodiscard]] static std::size_t bytes(const kernels::KernelTable& table,
                                         const PackedWinograd& shape) noexcept {
    return static_cast<std::size_t>(round_up(shape.n, table.gemm_s16.cols) *
                                    (shape.bytes_per_column() + 4));
  }

  /// Packs `levels` [n, 9 * channels], taps before channels, into `memory` of at least
  /// `bytes(table, shape)`.
  [[nodiscard]] static PackedWinograd pack(const kernels::KernelTable& table, PackedWinograd shape,
                                           MatrixView<const std::int8_t> levels,
                                           std::span<std::byte> memory) noexcept {
    BITDIAL_ASSERT(levels.rows == shape.n && levels.cols == 9 * shape.channels);
    BITDIAL_ASSERT(memory.size() >= bytes(table, shape));
    std::fill_n(memory.data(), bytes(table, shape), std::byte{0});
    shape.data = reinterpret_cast<const std::int16_t*>(memory.data());
    const std::int64_t width = table.gemm_s16.cols;
    for (std::int64_t j = 0; j < shape.n; ++j) {
      std::int32_t sum = 0;
      for (std::int64_t c = 0; c < shape.channels; ++c) {
        const std::int64_t block = c / shape.block_channels(), k = c % shape.block_channels();
        const std::int64_t first = shape.panel(table, j / width * width, block) - shape.data +
                                   (k / 2 * width + j % width) * 2 + k % 2;
        sum += pack_filter(levels.row(j) + c, shape.channels,
                           reinterpret_cast<std::int16_t*>(memory.data()) + first,
                           shape.pairs(block) * width * 2);
      }
      const std::int64_t term =
          shape.terms(table) + j - reinterpret_cast<const std::int32_t*>(shape.data);
      reinterpret_cast<std::int32_t*>(memory.data())[term] = Tile::centre * sum;
    }
    return shape;
  }

 private:
  /// The 36 products of a filter; returns the sum of its levels.
  static std::int32_t pack_filter(const std::int8_t* levels, std::int64_t tap, std::int16_t* out,
                                  std::int64_t step) noexcept {
    int lines[Tile::inputs][Tile::taps];  // G g
    std::int32_t sum = 0;
    for (std::int64_t x = 0; x < Tile::taps; ++x) {
      const int g[Tile::taps] = {levels[x * tap], levels[(x + 3) * tap], levels[(x + 6) * tap]};
      sum += g[0] + g[1] + g[2];
      for (int i = 0; i < Tile::inputs; ++i) lines[i][x] = product(Tile::g[i], g);
    }
    for (const auto& line : lines) {
      for (const auto& row : Tile::g) {
        *out = static_cast<std::int16_t>(product(row, line));
        out += step;
      }
    }
    return sum;
  }
  [[nodiscard]] static int product(const int (&a)[Tile::taps],
                                   const int (&b)[Tile::taps]) noexcept {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  }
};

}  // namespace bitdial::inline BITDIAL_ABI::ops
