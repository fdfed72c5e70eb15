// SPDX-License-Identifier: Apache-2.0
// The kernels of Winograd's minimal filtering on codes: every table against the portable one, and
// all three together against the filter that they compute.
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

constexpr std::int64_t round_up_32(std::int64_t n) {
  return (n + 31) / 32 * 32;
}

}  // namespace

TEST_CASE(
    "winograd_codes: the same numbers, lines and pixels behind the last one as the last one") {
  for_each_supported_isa([](const kernels::KernelTable& table) {
    for (const std::int64_t channels : {1, 31, 32, 33, 100}) {
      for (const std::int64_t tiles : {1, 2, 5}) {
        Numbers numbers(static_cast<std::uint64_t>(channels * 10 + tiles));
        const std::int64_t lines = numbers.between(1, 7),
                           pixels = numbers.between(1, 4 * tiles + 3);
        // The last pixel that is read ends 31 codes before the page ends.
        const GuardedArray<std::uint8_t> x((std::min<std::int64_t>(lines, 6) * pixels -
                                            std::max<std::int64_t>(pixels - 4 * tiles - 2, 0)) *
                                               channels +
                                           31);
        for (std::int64_t i = 0; i < x.size(); ++i) {
          x[i] = static_cast<std::uint8_t>(numbers.between(0, 255));
        }
        const std::int64_t stride = round_up_32(channels), step = tiles * stride + 32;
        const GuardedArray<std::int16_t> u(36 * step - 32), expected(u.size());
        kernels::WinogradCodes operands{.tiles = tiles,
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
        for (std::int64_t k = 0; k < 36; ++k) {
          for (std::int64_t t = 0; t < tiles; ++t) {
            const std::int64_t at = k * step + t * stride;
            same &= std::equal(&u[at], &u[at] + channels, &expected[at]);
          }
        }
        CAPTURE(channels);
        CAPTURE(tiles);
        CHECK(same);
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

TEST_CASE("winograd_sums: the same sums of any products, on terms or on what stands there") {
  for_each_supported_isa([](const kernels::KernelTable& table) {
    for (const std::int64_t tiles : {1, 3}) {
      for (const std::int64_t cols : {16, 32, 48}) {
        Numbers numbers(static_cast<std::uint64_t>(tiles * 100 + cols));
        const auto number = [&] { return static_cast<std::int32_t>(numbers.bits()); };
        GuardedArray<std::int32_t> m(36 * tiles * cols), terms(cols);
        GuardedArray<std::int32_t> sums(4 * 4 * tiles * cols), expected(sums.size());
        m.fill(number);
        terms.fill(number);
        for (const bool on_terms : {true, false}) {
          sums.fill(number);
          std::copy_n(sums.data(), sums.size(), expected.data());
          kernels::WinogradSums operands{.tiles = tiles,
                                         .cols = cols,
                                         .m = m.data(),
                                         .m_step = tiles * cols,
                                         .m_stride = cols,
                                         .terms = on_terms ? terms.data() : nullptr,
                                         .sums = sums.data(),
                                         .sums_line = 4 * tiles * cols,
                                         .sums_stride = cols};
          table.winograd_sums(operands);
          operands.sums = expected.data();
          portable().winograd_sums(operands);
          CAPTURE(tiles);
          CAPTURE(cols);
          CAPTURE(on_terms);
          CHECK(std::equal(sums.data(), sums.data() + sums.size(), expected.data()));
        }
      }
    }
  });
}

namespace {

/// One tile of a filter by the three kernels: [4][4][n] sums.
std::vector<std::int32_t> filter_tile(const kernels::KernelTable& table,
                                      const std::vector<std::uint8_t>& codes,
                                      const std::vector<std::int8_t>& levels, std::int64_t n,
                                      std::int64_t channels) {
  PackedWinograd weights{.n = n, .channels = channels};
  std::vector<std::byte> memory(PackedWinograd::bytes(table, weights));
  weights = PackedWinograd::pack(
      table, weights, MatrixView<const std::int8_t>(levels.data(), n, 9 * channels), memory);
  const std::int64_t width = table.gemm_s16.cols, stride = weights.block_channels();
  const std::int64_t u_step = table.gemm_s16.rows * stride, m_step = table.gemm_s16.rows * width;
  std::vector<std::int16_t> u(static_cast<std::size_t>(36 * u_step));
  std::vector<std::int32_t> m(static_cast<std::size_t>(36 * m_step));
  std::vector<std::int32_t> panel(static_cast<std::size_t>(16 * width));
  std::vector<std::int32_t> sums(static_cast<std::size_t>(16 * n));
  for (std::int64_t col = 0; col < n; col += width) {
    for (std::int64_t block = 0; block < weights.blocks(); ++block) {
      const std::int64_t first = block * stride;
      table.winograd_codes({.tiles = 1,
                            .channels = std::min(stride, channels - first),
                            .x = codes.data() + first,
                            .x_line = 6 * channels,
                            .x_pixel = channels,
                            .u = u.data(),
                            .u_step = u_step,
                            .u_stride = stride});
      table.gemm_s16.run({.rows = 1,
                          .pairs = weights.pairs(block),
                          .a = u.data(),
                          .a_stride = stride,
                          .b = weights.panel(table, col, block),
                          .c = m.data(),
                          .c_stride = width,
                          .products = 36,
                          .a_step = u_step,
                          .c_step = m_step});
      table.winograd_sums({.tiles = 1,
                           .cols = width,
                           .m = m.data(),
                           .m_step = m_step,
                           .m_stride = width,
                           .terms = block == 0 ? weights.terms(table) + col : nullptr,
                           .sums = panel.data(),
                           .sums_line = 4 * width,
                           .sums_stride = width});
    }
    for (std::int64_t p = 0; p < 16; ++p) {
      std::copy_n(panel.data() + p * width, std::min(width, n - col), sums.data() + p * n + col);
    }
  }
  return sums;
}

std::vector<std::int32_t> filter_directly(const std::vector<std::uint8_t>& codes,
                                          const std::vector<std::int8_t>& levels, std::int64_t n,
                                          std::int64_t channels) {
  std::vector<std::int32_t> sums(static_cast<std::size_t>(16 * n));
  for (std::int64_t p = 0; p < 16; ++p) {
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

}  // namespace

TEST_CASE(
    "a tile is exact: any number of channels, also in blocks, and the largest sums there are") {
  enum class Content { random, largest, smallest };
  for_each_supported_isa([](const kernels::KernelTable& table) {
    for (const std::int64_t channels : {1, 17, 64, 224, 225, 500}) {
      for (const Content content : {Content::random, Content::largest, Content::smallest}) {
        const std::int64_t n = channels == 17 ? 35 : 3;
        Numbers numbers(static_cast<std::uint64_t>(channels));
        // Up to 31 codes behind the last pixel are read.
        std::vector<std::uint8_t> codes(static_cast<std::size_t>(36 * channels + 31));
        std::vector<std::int8_t> levels(static_cast<std::size_t>(n * 9 * channels));
        const bool random = content == Content::random;
        for (auto& code : codes) {
          code = random ? static_cast<std::uint8_t>(numbers.between(0, 255)) : std::uint8_t{255};
        }
        for (auto& level : levels) {
          level = random ? static_cast<std::int8_t>(numbers.between(-128, 127))
                         : static_cast<std::int8_t>(content == Content::largest ? 127 : -128);
        }
        CAPTURE(channels);
        CHECK(filter_tile(table, codes, levels, n, channels) ==
              filter_directly(codes, levels, n, channels));
        // Codes of 0 lie as far from the centre as codes can.
        std::fill(codes.begin(), codes.end(), std::uint8_t{0});
        CHECK(filter_tile(table, codes, levels, n, channels) ==
              filter_directly(codes, levels, n, channels));
      }
    }
  });
}

TEST_CASE("a tile is exact where each of its 36 numbers is as large as it can be") {
  constexpr int b[6][6] = {{4, 0, -5, 0, 1, 0},  {0, -4, -4, 1, 1, 0}, {0, 4, -4, -1, 1, 0},
                           {0, -2, -1, 2, 1, 0}, {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1}};
  using Tile = kernels::WinogradCodeTile;
  for_each_supported_isa([&](const kernels::KernelTable& table) {
    constexpr int channels = 2;
    std::vector<std::uint8_t> codes(static_cast<std::size_t>(36 * channels + 31));
    std::vector<std::int8_t> levels(static_cast<std::size_t>(9 * channels));
    for (int point = 0; point < 36; ++point) {
      const int i = point / 6, j = point % 6;
      for (const bool negative : {false, true}) {
        for (int k = 0; k < 36 * channels; ++k) {
          const int pixel = k / channels;
          const bool above = (b[i][pixel / 6] * b[j][pixel % 6] > 0) != negative;
          codes[static_cast<std::size_t>(k)] = above ? 255 : 0;
        }
        for (int k = 0; k < 9 * channels; ++k) {
          const int tap = k / channels;
          const bool above = (Tile::g[i][tap / 3] * Tile::g[j][tap % 3] > 0) != negative;
          levels[static_cast<std::size_t>(k)] = above ? 127 : -128;
        }
        CAPTURE(point);
        CHECK(filter_tile(table, codes, levels, 1, channels) ==
              filter_directly(codes, levels, 1, channels));
      }
    }
  });
}
