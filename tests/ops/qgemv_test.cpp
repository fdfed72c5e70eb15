// SPDX-License-Identifier: Apache-2.0
// Products of few rows with packed weights against the defining sum, and their tile on memory that
// ends at pages without access, with every kernel table.
#include <doctest/doctest.h>

#include <algorithm>
#include <bitdial/core/aligned_buffer.hpp>
#include <bitdial/ops/qgemv.hpp>
#include <cstdint>
#include <vector>

#include "kernels/every_isa.hpp"

using bitdial::AlignedBuffer;
using bitdial::ops::MatrixView;
using bitdial::ops::PackedCodes;
using bitdial_test::for_each_supported_isa;
using bitdial_test::GuardedArray;
using bitdial_test::Numbers;
namespace kernels = bitdial::kernels;
namespace ops = bitdial::ops;

TEST_CASE("packed-code tile: every number of rows, largest codes, no access outside") {
  for_each_supported_isa([](const kernels::KernelTable& t) {
    const auto& kernel = t.gemm_codes;
    for (const int bits : {1, 2, 4}) {
      for (std::int64_t rows = 1; rows <= kernel.rows; ++rows) {
        for (const std::int64_t blocks : {0, 1, 2, 7, 41}) {
          for (const bool largest : {false, true}) {
            const int places = 8 / bits;
            const std::int64_t cols = 1 + (rows * 5 + blocks) % kernel.cols;
            const std::int64_t a_stride = blocks * places * 4 + 3;
            const std::int64_t c_stride = kernel.cols + 2;
            Numbers numbers(static_cast<std::uint64_t>(rows * 100 + blocks));
            GuardedArray<std::uint8_t> a((rows - 1) * a_stride + blocks * places * 4);
            GuardedArray<std::uint8_t> b(blocks * kernel.cols * 4);
            GuardedArray<std::int32_t> c((rows - 1) * c_stride + kernel.cols);
            const auto code = [&] {
              return static_cast<std::uint8_t>(largest ? 255 : numbers.between(0, 255));
            };
            a.fill(code);
            b.fill(code);
            c.fill([] { return 12345; });
            kernel.run({.rows = rows,
                        .cols = cols,
                        .bits = bits,
                        .blocks = blocks,
                        .a = a.data(),
                        .a_stride = a_stride,
                        .b = b.data(),
                        .c = c.data(),
                        .c_stride = c_stride});
            int wrong = 0;
            for (std::int64_t r = 0; r < rows; ++r) {
              for (std::int64_t j = 0; j < cols; ++j) {
                std::int32_t expected = 0;
                for (std::int64_t k = 0; k < blocks * places * 4; ++k) {
                  const std::int64_t block = k / (places * 4), place = k / 4 % places;
                  const int byte = b[(block * kernel.cols + j) * 4 + k % 4];
                  expected += a[r * a_stride + k] * (byte >> (place * bits) & ((1 << bits) - 1));
                }
                wrong += c[r * c_stride + j] != expected;
              }
              for (std::int64_t j = kernel.cols; r + 1 < rows && j < c_stride; ++j) {
                wrong += c[r * c_stride + j] != 12345;
              }
            }
            CAPTURE(bits);
            CAPTURE(rows);
            CAPTURE(blocks);
            CHECK(wrong == 0);
          }
        }
      }
    }
  });
}

TEST_CASE("qgemv: odd shapes, row sums, any number of rows") {
  struct Extents {
    std::int64_t m, n, k;
  };
  for_each_supported_isa([](const kernels::KernelTable& t) {
    for (const Extents e : {Extents{1, 1, 1}, Extents{1, 300, 130}, Extents{7, 33, 65}}) {
      for (const int bits : {1, 2, 4}) {
        Numbers numbers(static_cast<std::uint64_t>(e.n * 10 + bits));
        std::vector<std::uint8_t> u(static_cast<std::size_t>(e.m * e.k));
        std::vector<std::uint8_t> q(static_cast<std::size_t>(e.n * e.k));
        for (auto& x : u) x = static_cast<std::uint8_t>(numbers.between(0, 255));
        for (auto& x : q) x = static_cast<std::uint8_t>(numbers.between(0, (1 << bits) - 1));
        const PackedCodes shape{.n = e.n, .k = e.k, .bits = bits};
        AlignedBuffer<std::byte> memory(PackedCodes::bytes(t, shape));
        const auto packed = PackedCodes::pack(
            t, shape, MatrixView<const std::uint8_t>(q.data(), e.n, e.k), memory.span());
        AlignedBuffer<std::byte> scratch(ops::qgemv_scratch_bytes(t, packed));
        std::fill(scratch.span().begin(), scratch.span().end(), std::byte{0xee});
        std::int64_t delivered = 0;
        int wrong = 0;
        ops::qgemv(
            t, e.m,
            [&](std::int64_t row0, MatrixView<std::uint8_t> panel) {
              for (std::int64_t i = 0; i < panel.rows; ++i) {
                std::copy_n(u.data() + (row0 + i) * e.k, e.k, panel.row(i));
              }
            },
            packed,
            [&](const ops::QgemmTile& tile) {
              for (std::int64_t i = 0; i < tile.rows; ++i) {
                const std::uint8_t* const row = u.data() + (tile.row0 + i) * e.k;
                std::int32_t row_sum = 0;
                for (std::int64_t k = 0; k < e.k; ++k) row_sum += row[k];
                wrong += tile.row_sums[i] != row_sum;
                for (std::int64_t j = 0; j < tile.cols; ++j, ++delivered) {
                  std::int32_t sum = 0;
                  for (std::int64_t k = 0; k < e.k; ++k) {
                    sum += row[k] * q[static_cast<std::size_t>((tile.col0 + j) * e.k + k)];
                  }
                  wrong += tile.row(i)[j] != sum;
                }
              }
            },
            scratch.span(), {.row_sums = true});
        CAPTURE(e.n);
        CAPTURE(bits);
        CHECK(delivered == e.m * e.n);
        CHECK(wrong == 0);
      }
    }
  });
}
