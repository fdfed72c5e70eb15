// SPDX-License-Identifier: Apache-2.0
// The kernels of Winograd's minimal filtering on codes: every table against the portable one, and
// those of a tile together against the filter that they compute.
#include <bitdial/ops/winograd_weights.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "every_isa.hpp"

using bitdial::ops::MatrixView;
using bitdial::ops::PackedWinograd;
using bitdial_test::for_each_supported_isa;
using bitdial_test::GuardedArray;
using bitdial_test::Numbers;
namespace kernels = bitdial::kernels;

namespace {

const kernels::KernelTable& portable() {
  return kernels::scalar::table;
}

using Tile = kernels::WinogradTile;
constexpr const Tile* tile_kinds[] = {&kernels::winograd_shorts, &kernels::winograd_bytes};

}  // namespace

TEST_CASE("transforms of codes: the same numbers, lines and pixels behind the last one as it") {
  for_each_supported_isa([](const kernels::KernelTable& table) {
    for (const Tile* const tile : tile_kinds) {
      for (const std::int64_t channels : {1, 31, 32, 33, 64, 65, 100}) {
        for (const std::int64_t tiles : {1, 2, 5}) {
          Numbers numbers(static_cast<std::uint64_t>(channels * 10 + tiles));
          const std::int64_t lines = numbers.between(1, 7),
                             pixels = numbers.between(1, 4 * tiles + 3);
          // The last pixel that is read ends 63 codes before the page ends.
          const GuardedArray<std::uint8_t> x((std::min(lines, tile->input_lines()) * pixels -
                                              std::max<std::int64_t>(pixels - 4 * tiles - 2, 0)) *
                                                 channels +
                                             63);
          for (std::int64_t i = 0; i < x.size(); ++i) {
            x[i] = static_cast<std::uint8_t>(numbers.between(0, 255));
          }
          const std::int64_t width = channels * tile->number_bytes;
          const std::int64_t stride = (width + 63) / 64 * 64, step = tiles * stride + 64;
          const GuardedArray<std::uint8_t> u(tile->products() * step - 64), expected(u.size());
          kernels::WinogradCodes operands{.tile = tile,
                                          .tiles = tiles,
                                          .channels = channels,
                                          .x = x.data(),
                                          .x_line = pixels * channels,
                                          .x_pixel = channels,
                                          .lines = lines,
                                          .pixels = pixels,
                                          .u = u.data(),
                                          .u_step = step,
                                          .u_stride = stride};
          table.winograd_codes(operands);
          operands.u = expected.data();
          portable().winograd_codes(operands);
          bool same = true;
          for (std::int64_t k = 0; k < tile->products(); ++k) {
            for (std::int64_t t = 0; t < tiles; ++t) {
              const std::int64_t at = k * step + t * stride;
              same &= std::equal(&u[at], &u[at] + width, &expected[at]);
            }
          }
          CAPTURE(int{tile->lines});
          CAPTURE(channels);
          CAPTURE(tiles);
          CHECK(same);
        }
      }
    }
  });
}

TEST_CASE("gemm_s16: sums of all numbers of 16 bits, modulo 2^32") {
  for_each_supported_isa([](const kernels::KernelTable& table) {
    const std::int64_t cols = table.gemm_s16.cols, most = table.gemm_s16.rows;
    CHECK(cols % 16 == 0);
    for (std::int64_t rows = 1; rows <= most; ++rows) {
      for (const std::int64_t pairs : {1, 2, 17}) {
        Numbers numbers(static_cast<std::uint64_t>(rows * 100 + pairs));
        constexpr std::int64_t products = 3;
        const std::int64_t stride = 2 * pairs + 4, step = most * stride;
        const auto number = [&] { return static_cast<std::int16_t>(numbers.bits()); };
        GuardedArray<std::int16_t> a(products * step - 4), b(products * pairs * cols * 2);
        a.fill(number);
        b.fill(number);
        const GuardedArray<std::int32_t> c(products * most * cols);
        table.gemm_s16.run({.rows = rows,
                            .pairs = pairs,
                            .a = a.data(),
                            .a_stride = stride,
                            .b = b.data(),
                            .c = c.data(),
                            .c_stride = cols,
                            .products = products,
                            .a_step = step,
                            .c_step = most * cols});
        bool same = true;
        for (std::int64_t p = 0; p < products; ++p) {
          for (std::int64_t r = 0; r < rows; ++r) {
            for (std::int64_t j = 0; j < cols; ++j) {
              std::int64_t sum = 0;
              for (std::int64_t k = 0; k < 2 * pairs; ++k) {
                sum += std::int64_t{a[p * step + r * stride + k]} *
                       b[((p * pairs + k / 2) * cols + j) * 2 + k % 2];
              }
              same &= c[(p * most + r) * cols + j] == static_cast<std::int32_t>(sum);
            }
          }
        }
        CAPTURE(rows);
        CAPTURE(pairs);
        CHECK(same);
      }
    }
  });
}

TEST_CASE("transforms of sums: the same sums of any products, on terms or on what stands there") {
  for_each_supported_isa([](const kernels::KernelTable& table) {
    for (const Tile* const tile : tile_kinds) {
      for (const std::int64_t tiles : {1, 3}) {
        for (const std::int64_t cols : {16, 32, 48}) {
          Numbers numbers(static_cast<std::uint64_t>(tiles * 100 + cols));
          const auto number = [&] { return static_cast<std::int32_t>(numbers.bits()); };
          GuardedArray<std::int32_t> m(tile->products() * tiles * cols);
          GuardedArray<std::int32_t> terms(tile->outputs() * cols);
          GuardedArray<std::int32_t> sums(tile->outputs() * tiles * cols), expected(sums.size());
          m.fill(number);
          terms.fill(number);
          for (const bool on_terms : {true, false}) {
            sums.fill(number);
            std::copy_n(sums.data(), sums.size(), expected.data());
            kernels::WinogradSums operands{.tile = tile,
                                           .tiles = tiles,
                                           .cols = cols,
                                           .m = m.data(),
                                           .m_step = tiles * cols,
                                           .m_stride = cols,
                                           .terms = on_terms ? terms.data() : nullptr,
                                           .terms_stride = cols,
                                           .sums = sums.data(),
                                           .sums_line = 4 * tiles * cols,
                                           .sums_stride = cols};
            table.winograd_sums(operands);
            operands.sums = expected.data();
            portable().winograd_sums(operands);
            CAPTURE(int{tile->lines});
            CAPTURE(tiles);
            CAPTURE(cols);
            CAPTURE(on_terms);
            CHECK(std::equal(sums.data(), sums.data() + sums.size(), expected.data()));
          }
        }
      }
    }
  });
}

namespace {

/// The products of one tile and a panel of columns.
void multiply(const kernels::KernelTable& table, const PackedWinograd& weights, std::int64_t col,
              std::int64_t block, const std::vector<std::uint8_t>& u, std::int64_t u_step,
              std::vector<std::int32_t>& m) {
  const std::int64_t width = weights.width(table), products = weights.tile->products();
  const std::int64_t m_step = weights.rows(table) * width, groups = weights.groups(block);
  const std::byte* const b = weights.panel(table, col, block);
  if (!weights.of_bytes()) {
    return table.gemm_s16.run({.rows = 1,
                               .pairs = groups,
                               .a = reinterpret_cast<const std::int16_t*>(u.data()),
                               .a_stride = weights.block_channels(),
                               .b = reinterpret_cast<const std::int16_t*>(b),
                               .c = m.data(),
                               .c_stride = width,
                               .products = products,
                               .a_step = u_step / 2,
                               .c_step = m_step});
  }
  for (std::int64_t p = 0; p < products; ++p) {
    table.gemm_u8s8.run({.rows = 1,
                         .cols = width,
                         .groups = groups,
                         .a = u.data() + p * u_step,
                         .a_stride = weights.block_channels(),
                         .b = reinterpret_cast<const std::int8_t*>(b) + p * groups * width * 4,
                         .c = m.data() + p * m_step,
                         .c_stride = width});
  }
}

/// One tile of a filter by its kernels: [lines][4][n] sums.
std::vector<std::int32_t> filter_tile(const kernels::KernelTable& table, const Tile& tile,
                                      const std::vector<std::uint8_t>& codes,
                                      const std::vector<std::int8_t>& levels, std::int64_t n,
                                      std::int64_t channels) {
  PackedWinograd weights{.tile = &tile, .n = n, .channels = channels};
  std::vector<std::byte> memory(PackedWinograd::bytes(table, weights));
  weights = PackedWinograd::pack(
      table, weights, MatrixView<const std::int8_t>(levels.data(), n, 9 * channels), memory);
  const std::int64_t width = weights.width(table), block_channels = weights.block_channels();
  const std::int64_t u_stride = block_channels * tile.number_bytes;
  const std::int64_t u_step = weights.rows(table) * u_stride;
  const std::int64_t m_step = weights.rows(table) * width;
  std::vector<std::uint8_t> u(static_cast<std::size_t>(tile.products() * u_step));
  std::vector<std::int32_t> m(static_cast<std::size_t>(tile.products() * m_step));
  std::vector<std::int32_t> panel(static_cast<std::size_t>(tile.outputs() * width));
  std::vector<std::int32_t> sums(static_cast<std::size_t>(tile.outputs() * n));
  for (std::int64_t col = 0; col < n; col += width) {
    for (std::int64_t block = 0; block < weights.blocks(); ++block) {
      const std::int64_t first = block * block_channels;
      table.winograd_codes({.tile = &tile,
                            .tiles = 1,
                            .channels = std::min(block_channels, channels - first),
                            .x = codes.data() + first,
                            .x_line = 6 * channels,
                            .x_pixel = channels,
                            .u = u.data(),
                            .u_step = u_step,
                            .u_stride = u_stride});
      multiply(table, weights, col, block, u, u_step, m);
      table.winograd_sums({.tile = &tile,
                           .tiles = 1,
                           .cols = width,
                           .m = m.data(),
                           .m_step = m_step,
                           .m_stride = width,
                           .terms = block == 0 ? weights.terms(table) + col : nullptr,
                           .terms_stride = weights.terms_stride(table),
                           .sums = panel.data(),
                           .sums_line = 4 * width,
                           .sums_stride = width});
    }
    for (std::int64_t p = 0; p < tile.outputs(); ++p) {
      std::copy_n(panel.data() + p * width, std::min(width, n - col), sums.data() + p * n + col);
    }
  }
  return sums;
}

std::vector<std::int32_t> filter_directly(const Tile& tile, const std::vector<std::uint8_t>& codes,
                                          const std::vector<std::int8_t>& levels, std::int64_t n,
                                          std::int64_t channels) {
  std::vector<std::int32_t> sums(static_cast<std::size_t>(tile.outputs() * n));
  for (std::int64_t p = 0; p < tile.outputs(); ++p) {
    for (std::int64_t j = 0; j < n; ++j) {
      std::int32_t sum = 0;
      for (std::int64_t t = 0; t < 9; ++t) {
        const std::int64_t pixel = (p / 4 + t / 3) * 6 + p % 4 + t % 3;
        for (std::int64_t c = 0; c < channels; ++c) {
          sum += codes[static_cast<std::size_t>(pixel * channels + c)] *
                 levels[static_cast<std::size_t>((j * 9 + t) * channels + c)];
        }
      }
      sums[static_cast<std::size_t>(p * n + j)] = sum;
    }
  }
  return sums;
}

/// The largest code, and the levels of each sign with the largest magnitude.
struct Range {
  std::uint8_t code;
  std::int8_t least, most;
};
constexpr Range range_of(const Tile& tile) {
  if (tile.number_bytes == 2) return {255, -128, 127};
  constexpr auto level = static_cast<std::int8_t>(kernels::winograd_byte_level);
  return {(1 << kernels::winograd_byte_code_bits) - 1, -level, level};
}

}  // namespace

TEST_CASE(
    "a tile is exact: any number of channels, also in blocks, and the largest sums there are") {
  enum class Content { random, largest, smallest };
  for_each_supported_isa([](const kernels::KernelTable& table) {
    for (const Tile* const tile : tile_kinds) {
      const Range range = range_of(*tile);
      for (const std::int64_t channels : {1, 17, 48, 64, 100, 224, 225, 500, 2049}) {
        if (channels > 2 * tile->most_channels + 52) continue;
        for (const Content content : {Content::random, Content::largest, Content::smallest}) {
          const std::int64_t n = channels == 17 ? 35 : 3;
          Numbers numbers(static_cast<std::uint64_t>(channels));
          // Up to 63 codes behind the last pixel are read.
          std::vector<std::uint8_t> codes(static_cast<std::size_t>(36 * channels + 63));
          std::vector<std::int8_t> levels(static_cast<std::size_t>(n * 9 * channels));
          const bool random = content == Content::random;
          for (auto& code : codes) {
            code = random ? static_cast<std::uint8_t>(numbers.between(0, range.code)) : range.code;
          }
          for (auto& level : levels) {
            level = random ? static_cast<std::int8_t>(numbers.between(range.least, range.most))
                           : (content == Content::largest ? range.most : range.least);
          }
          CAPTURE(int{tile->lines});
          CAPTURE(channels);
          CHECK(filter_tile(table, *tile, codes, levels, n, channels) ==
                filter_directly(*tile, codes, levels, n, channels));
          // Codes of 0 lie as far from the centre as codes can.
          std::fill(codes.begin(), codes.end(), std::uint8_t{0});
          CHECK(filter_tile(table, *tile, codes, levels, n, channels) ==
                filter_directly(*tile, codes, levels, n, channels));
        }
      }
    }
  });
}

TEST_CASE("a tile is exact where each of its products is as large as it can be") {
  constexpr int b4[6][6] = {{4, 0, -5, 0, 1, 0},  {0, -4, -4, 1, 1, 0}, {0, 4, -4, -1, 1, 0},
                            {0, -2, -1, 2, 1, 0}, {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1}};
  constexpr int b2[6][6] = {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}};
  constexpr int g4[6][3] = {{6, 0, 0}, {-4, -4, -4}, {-4, 4, -4}, {1, 2, 4}, {1, -2, 4}, {0, 0, 8}};
  constexpr int g2[6][3] = {{2, 0, 0}, {1, 1, 1}, {1, -1, 1}, {0, 0, 2}};
  for_each_supported_isa([&](const kernels::KernelTable& table) {
    for (const Tile* const tile : tile_kinds) {
      const Range range = range_of(*tile);
      const auto& b = tile->lines == 2 ? b2 : b4;
      const auto& g = tile->lines == 2 ? g2 : g4;
      constexpr int channels = 2;
      std::vector<std::uint8_t> codes(static_cast<std::size_t>(36 * channels + 63));
      std::vector<std::int8_t> levels(static_cast<std::size_t>(9 * channels));
      for (int point = 0; point < tile->products(); ++point) {
        const int i = point / 6, j = point % 6;
        for (const bool codes_negative : {false, true}) {
          for (const bool levels_negative : {false, true}) {
            for (int k = 0; k < 36 * channels; ++k) {
              const int pixel = k / channels;
              const bool above = (b[i][pixel / 6] * b4[j][pixel % 6] > 0) != codes_negative;
              codes[static_cast<std::size_t>(k)] = above ? range.code : std::uint8_t{0};
            }
            for (int k = 0; k < 9 * channels; ++k) {
              const int tap = k / channels;
              const bool above = (g[i][tap / 3] * g4[j][tap % 3] > 0) != levels_negative;
              levels[static_cast<std::size_t>(k)] = above ? range.most : range.least;
            }
            CAPTURE(int{tile->lines});
            CAPTURE(point);
            CHECK(filter_tile(table, *tile, codes, levels, 1, channels) ==
                  filter_directly(*tile, codes, levels, 1, channels));
          }
        }
      }
    }
  });
}
