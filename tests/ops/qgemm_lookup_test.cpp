// SPDX-License-Identifier: Apache-2.0
// Look-up products of codes against the defining sum, with every kernel table.
#include <doctest/doctest.h>

#include <algorithm>
#include <bitdial/core/aligned_buffer.hpp>
#include <bitdial/kernels/dispatch.hpp>
#include <bitdial/ops/qgemm_lookup.hpp>
#include <cstdint>
#include <string>
#include <vector>

using bitdial::AlignedBuffer;
using bitdial::ops::LookupBits;
using bitdial::ops::MatrixView;
using bitdial::ops::PackedLookup;
using bitdial::ops::QgemmTile;
namespace kernels = bitdial::kernels;
namespace ops = bitdial::ops;

namespace {

std::vector<std::uint8_t> random_codes(std::int64_t size, int last) {
  std::vector<std::uint8_t> values(static_cast<std::size_t>(size));
  std::uint32_t state = 12345;
  for (std::uint8_t& v : values) {
    state = state * 1664525U + 1013904223U;
    v = static_cast<std::uint8_t>((state >> 8) % static_cast<std::uint32_t>(last + 1));
  }
  return values;
}

template <class Body>
void for_each_table(Body&& body) {
  for (const kernels::KernelTable* table : kernels::supported_kernels()) {
    const std::string name = table->name;
    CAPTURE(name);
    body(*table);
  }
}

/// C [m, n] and row sums, with -1 where nothing arrived.
struct Product {
  std::vector<std::int32_t> c, row_sums;
};

Product lookup_product(const kernels::KernelTable& t, std::int64_t m, LookupBits bits,
                       PackedLookup shape, const std::vector<std::uint8_t>& u,
                       const std::vector<std::uint8_t>& q) {
  AlignedBuffer<std::byte> memory(PackedLookup::bytes(t, shape));
  const auto packed = PackedLookup::pack(
      t, shape, MatrixView<const std::uint8_t>(q.data(), shape.n, shape.k), memory.span());
  AlignedBuffer<std::byte> scratch(ops::qgemm_lookup_scratch_bytes(t, packed));
  std::fill(scratch.span().begin(), scratch.span().end(), std::byte{0xee});
  Product product{std::vector<std::int32_t>(static_cast<std::size_t>(m * shape.n), -1),
                  std::vector<std::int32_t>(static_cast<std::size_t>(m), -1)};
  ops::qgemm_lookup(
      t, m, bits,
      [&](std::int64_t row0, MatrixView<std::uint8_t> panel) {
        CHECK(panel.cols == shape.k);
        for (std::int64_t i = 0; i < panel.rows; ++i) {
          std::copy_n(u.data() + (row0 + i) * shape.k, shape.k, panel.row(i));
        }
      },
      packed,
      [&](const QgemmTile& tile) {
        for (std::int64_t i = 0; i < tile.rows; ++i) {
          product.row_sums[static_cast<std::size_t>(tile.row0 + i)] = tile.row_sums[i];
          std::copy_n(tile.row(i), tile.cols,
                      product.c.data() + (tile.row0 + i) * shape.n + tile.col0);
        }
      },
      scratch.span(), {.row_sums = true});
  return product;
}

struct Extents {
  std::int64_t m, n, k, segments;
};

}  // namespace

TEST_CASE("look-up products: odd shapes, segments, row sums, truncation of the weights") {
  for_each_table([](const kernels::KernelTable& t) {
    for (const Extents e : {Extents{1, 1, 1, 1}, Extents{13, 33, 7, 1}, Extents{5, 300, 30, 3},
                            Extents{9, 48, 144, 3}, Extents{3, 17, 1153, 1}}) {
      for (int a_bits = 1; a_bits <= ops::max_lookup_bits; ++a_bits) {
        for (int w_bits = 1; w_bits <= 2; ++w_bits) {
          CAPTURE(e.m);
          CAPTURE(e.n);
          CAPTURE(e.k);
          CAPTURE(a_bits);
          CAPTURE(w_bits);
          const auto u = random_codes(e.m * e.k, (1 << a_bits) - 1);
          const auto q = random_codes(e.n * e.k, (1 << w_bits) - 1);
          const PackedLookup shape{.n = e.n, .k = e.k, .planes = w_bits, .segments = e.segments};
          for (int used = w_bits; used >= 1; --used) {
            const Product got = lookup_product(t, e.m, {.a = a_bits, .b = used}, shape, u, q);
            int wrong = 0;
            for (std::int64_t i = 0; i < e.m; ++i) {
              std::int32_t row_sum = 0;
              for (std::int64_t k = 0; k < e.k; ++k) {
                row_sum += u[static_cast<std::size_t>(i * e.k + k)];
              }
              wrong += got.row_sums[static_cast<std::size_t>(i)] != row_sum;
              for (std::int64_t j = 0; j < e.n; ++j) {
                std::int32_t sum = 0;
                for (std::int64_t k = 0; k < e.k; ++k) {
                  sum += u[static_cast<std::size_t>(i * e.k + k)] *
                         (q[static_cast<std::size_t>(j * e.k + k)] >> (w_bits - used));
                }
                wrong += got.c[static_cast<std::size_t>(i * e.n + j)] != sum;
              }
            }
            CHECK(wrong == 0);
          }
        }
      }
    }
  });
}

TEST_CASE("ternary weights: two planes of the codes 0, 1, 2 and the row sum") {
  const kernels::KernelTable& t = *kernels::supported_kernels().front();
  const std::int64_t m = 5, n = 19, k = 90;
  const auto u = random_codes(m * k, 15);
  const auto q = random_codes(n * k, 2);
  const PackedLookup shape{.n = n, .k = k, .planes = 2};
  const Product got = lookup_product(t, m, {.a = 4, .b = 2}, shape, u, q);
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      std::int32_t sum = 0;
      for (std::int64_t at = 0; at < k; ++at) {
        sum +=
            (q[static_cast<std::size_t>(j * k + at)] - 1) * u[static_cast<std::size_t>(i * k + at)];
      }
      CHECK(got.c[static_cast<std::size_t>(i * n + j)] -
                got.row_sums[static_cast<std::size_t>(i)] ==
            sum);
    }
  }
}
