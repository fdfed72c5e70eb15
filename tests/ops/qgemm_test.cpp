// SPDX-License-Identifier: Apache-2.0
// Integer products of codes against the defining sum, with every kernel table.
#include <doctest/doctest.h>

#include <algorithm>
#include <bitdial/core/aligned_buffer.hpp>
#include <bitdial/kernels/dispatch.hpp>
#include <bitdial/ops/qgemm.hpp>
#include <cstdint>
#include <string>
#include <vector>

using bitdial::AlignedBuffer;
using bitdial::ops::MatrixView;
using bitdial::ops::PackedPlanes;
using bitdial::ops::PackedWeightsU8S8;
using bitdial::ops::QgemmTile;
namespace kernels = bitdial::kernels;
namespace ops = bitdial::ops;

namespace {

template <class T>
std::vector<T> integers(std::int64_t size, std::int64_t low, std::int64_t high) {
  std::vector<T> values(static_cast<std::size_t>(size));
  std::uint32_t state = 12345;
  for (T& v : values) {
    state = state * 1664525U + 1013904223U;
    v = static_cast<T>(low + static_cast<std::int64_t>(state >> 8) % (high - low + 1));
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

/// Writes tiles into C [m, n] and checks that every element arrives once, rows ascending.
struct Collector {
  std::int64_t m, n;
  std::vector<std::int32_t> c = std::vector<std::int32_t>(static_cast<std::size_t>(m * n));
  std::vector<int> visits = std::vector<int>(static_cast<std::size_t>(m * n));
  std::vector<std::int32_t> row_sums = std::vector<std::int32_t>(static_cast<std::size_t>(m), -1);
  std::int64_t last_row = 0;
  bool with_row_sums = false;

  void operator()(const QgemmTile& tile) {
    CHECK(tile.row0 >= last_row);
    last_row = tile.row0;
    CHECK((tile.row_sums != nullptr) == with_row_sums);
    for (std::int64_t i = 0; i < tile.rows; ++i) {
      if (with_row_sums) {
        row_sums[static_cast<std::size_t>(tile.row0 + i)] = tile.row_sums[i];
      }
      for (std::int64_t j = 0; j < tile.cols; ++j) {
        const auto at = static_cast<std::size_t>((tile.row0 + i) * n + tile.col0 + j);
        c[at] = tile.row(i)[j];
        ++visits[at];
      }
    }
  }
  [[nodiscard]] bool complete() const {
    return std::all_of(visits.begin(), visits.end(), [](int v) { return v == 1; });
  }
};

struct Extents {
  std::int64_t m, n, k;
};
struct Widths {
  int a, w;
};

/// Scratch with garbage in it: a product may not rely on zeros.
AlignedBuffer<std::byte> dirty_scratch(std::size_t bytes) {
  AlignedBuffer<std::byte> scratch(bytes);
  std::fill(scratch.span().begin(), scratch.span().end(), std::byte{0xee});
  return scratch;
}

}  // namespace

TEST_CASE("u8 x s8: odd shapes, extreme codes, row sums, narrow codes") {
  for_each_table([](const kernels::KernelTable& t) {
    for (const Extents e : {Extents{1, 1, 1}, Extents{13, 33, 7}, Extents{12, 32, 64},
                            Extents{5, 300, 30}, Extents{29, 10, 575}, Extents{3, 1, 4}}) {
      for (const int mode : {0, 1, 2, 3}) {
        const bool extreme = mode % 2 != 0;
        const int max_code = mode < 2 ? 255 : 15;
        CAPTURE(max_code);
        CAPTURE(e.m);
        CAPTURE(e.n);
        CAPTURE(e.k);
        const auto codes = integers<std::uint8_t>(e.m * e.k, extreme ? max_code : 0, max_code);
        const auto levels = integers<std::int8_t>(e.n * e.k, -128, extreme ? -128 : 127);
        AlignedBuffer<std::byte> memory(PackedWeightsU8S8::bytes(t, e.n, e.k));
        const auto packed = PackedWeightsU8S8::pack(
            t, MatrixView<const std::int8_t>(levels.data(), e.n, e.k), memory.span());
        auto scratch = dirty_scratch(ops::qgemm_u8s8_scratch_bytes(t, e.n, e.k));
        Collector out{.m = e.m, .n = e.n, .with_row_sums = extreme};
        ops::qgemm_u8s8(t, e.m,
                        [&](std::int64_t row0, MatrixView<std::uint8_t> panel) {
                          CHECK(panel.cols == e.k);
                          for (std::int64_t i = 0; i < panel.rows; ++i) {
                            std::copy_n(codes.data() + (row0 + i) * e.k, e.k, panel.row(i));
                          }
                        },
                        packed, out, scratch.span(), {.row_sums = extreme, .max_code = max_code});
        CHECK(out.complete());
        int wrong = 0;
        for (std::int64_t i = 0; i < e.m; ++i) {
          std::int32_t row_sum = 0;
          for (std::int64_t k = 0; k < e.k; ++k) {
            row_sum += codes[static_cast<std::size_t>(i * e.k + k)];
          }
          if (extreme) wrong += out.row_sums[static_cast<std::size_t>(i)] != row_sum;
          for (std::int64_t j = 0; j < e.n; ++j) {
            std::int32_t sum = 0;
            for (std::int64_t k = 0; k < e.k; ++k) {
              sum += codes[static_cast<std::size_t>(i * e.k + k)] *
                     levels[static_cast<std::size_t>(j * e.k + k)];
            }
            wrong += out.c[static_cast<std::size_t>(i * e.n + j)] != sum;
          }
        }
        CHECK(wrong == 0);
      }
    }
  });
}

TEST_CASE("u8 x s8: what is packed says which groups fit 16 bits whatever the codes are") {
  for_each_table([](const kernels::KernelTable& t) {
    constexpr std::int64_t n = 40, k = 1200, segments = 3;
    auto levels = integers<std::int8_t>(n * k, -64, 64);
    // In one column each: the least pair that does not fit, and the largest that do.
    levels[20 * k + 410] = levels[20 * k + 411] = 127;
    levels[20 * k + 412] = levels[20 * k + 413] = 64;
    levels[21 * k + 413] = levels[21 * k + 414] = -127;
    levels[21 * k + 412] = levels[21 * k + 415] = 1;
    levels[22 * k + 806] = -128;
    levels[22 * k + 807] = -1;
    AlignedBuffer<std::byte> memory(PackedWeightsU8S8::bytes(t, n, k, segments));
    const auto packed = PackedWeightsU8S8::pack(
        t, MatrixView<const std::int8_t>(levels.data(), n, k), memory.span(), segments);
    CHECK(packed.largest_pair == 254);
    const std::int64_t width = t.gemm_u8s8.cols;
    const auto* const end = reinterpret_cast<const std::uint8_t*>(memory.span().data()) +
                            static_cast<std::ptrdiff_t>(memory.span().size());
    for (std::int64_t col = 0; col < n; col += width) {
      for (std::int64_t s = 0; s < segments; ++s) {
        const std::int8_t* const b = packed.panel(t, col, s);
        for (std::int64_t i = 0; i < width * k / segments; ++i) {
          const std::int64_t j = col + i / 4 % width, at = s * 400 + i / (4 * width) * 4 + i % 4;
          REQUIRE(b[i] == (j < n ? levels[static_cast<std::size_t>(j * k + at)] : 0));
        }
      }
      const std::uint8_t* const runs = packed.short_runs(t, col);
      CHECK((runs != nullptr) == t.reads_short_runs);
      if (runs == nullptr) continue;
      CHECK(runs + packed.segments * packed.groups() <= end);
      const auto holds = [&](std::int64_t j) { return j >= col && j < col + width; };
      // Groups 102 (codes 408 .. 411) and 201 hold pairs that do not fit.
      CHECK((runs[102] == 0) == holds(20));
      CHECK((runs[201] == 0) == holds(22));
      CHECK(runs[101] == (holds(20) ? 1 : holds(22) ? 100 : col + width < n ? 255 : 199));
      CHECK(runs[103] > 0);
      CHECK(packed.short_runs(t, col, 2) == runs + 2 * packed.groups());
    }
  });
}

TEST_CASE("u8 x s8: levels may be a strided view") {
  const kernels::KernelTable& t = *kernels::supported_kernels().front();
  const auto levels = integers<std::int8_t>(9 * 6, -128, 127);
  const MatrixView<const std::int8_t> view(levels.data(), 9, 6);
  AlignedBuffer<std::byte> memory(PackedWeightsU8S8::bytes(t, 6, 9));
  const auto packed = PackedWeightsU8S8::pack(t, view.transposed(), memory.span());
  CHECK(packed.n == 6);
  CHECK(packed.k == 9);
  auto scratch = dirty_scratch(ops::qgemm_u8s8_scratch_bytes(t, 6, 9));
  Collector out{.m = 1, .n = 6};
  ops::qgemm_u8s8(
      t, 1, [](std::int64_t, MatrixView<std::uint8_t> panel) { std::fill_n(panel.data, 9, 1); },
      packed, out, scratch.span());
  for (std::int64_t j = 0; j < 6; ++j) {
    std::int32_t sum = 0;
    for (std::int64_t k = 0; k < 9; ++k) sum += view(k, j);
    CHECK(out.c[static_cast<std::size_t>(j)] == sum);
  }
}

TEST_CASE("planes: code products for pairs of widths, row sums, truncation of the weights") {
  for_each_table([](const kernels::KernelTable& t) {
    for (const Extents e :
         {Extents{1, 1, 1}, Extents{13, 17, 70}, Extents{7, 300, 64}, Extents{6, 16, 2100}}) {
      for (const Widths bits :
           {Widths{1, 1}, Widths{2, 1}, Widths{1, 2}, Widths{3, 5}, Widths{8, 8}}) {
        const int a_bits = bits.a;
        const int w_bits = bits.w;
        CAPTURE(e.m);
        CAPTURE(e.n);
        CAPTURE(e.k);
        CAPTURE(a_bits);
        CAPTURE(w_bits);
        const auto u = integers<std::uint8_t>(e.m * e.k, 0, (1 << a_bits) - 1);
        const auto q = integers<std::uint8_t>(e.n * e.k, 0, (1 << w_bits) - 1);
        const std::int64_t words = (e.k + 63) / 64;
        std::vector<std::uint64_t> rows(static_cast<std::size_t>(e.n * words * w_bits));
        for (std::int64_t j = 0; j < e.n; ++j) {
          t.pack_planes({.codes = q.data() + j * e.k,
                         .count = e.k,
                         .bits = w_bits,
                         .planes = rows.data() + j * words * w_bits,
                         .plane_stride = words});
        }
        const PackedPlanes shape{.n = e.n, .words = (e.k + 31) / 32, .planes = w_bits};
        CHECK(shape.row_words() == words);
        AlignedBuffer<std::byte> memory(PackedPlanes::bytes(t, shape));
        const auto packed = PackedPlanes::pack(
            t, shape, MatrixView<const std::uint64_t>(rows.data(), e.n, words * w_bits),
            memory.span());
        for (std::int64_t used = w_bits; used >= 1; used -= 2) {
          auto scratch = dirty_scratch(ops::qgemm_planes_scratch_bytes(t, packed, a_bits));
          Collector out{.m = e.m, .n = e.n, .with_row_sums = true};
          ops::qgemm_planes(t, e.m, {.a = a_bits, .b = used},
                            [&](std::int64_t row0, MatrixView<std::uint64_t> panel) {
                              CHECK(panel.cols == words * a_bits);
                              for (std::int64_t i = 0; i < panel.rows; ++i) {
                                t.pack_planes({.codes = u.data() + (row0 + i) * e.k,
                                               .count = e.k,
                                               .bits = a_bits,
                                               .planes = panel.row(i),
                                               .plane_stride = words});
                              }
                            },
                            packed, out, scratch.span(), {.row_sums = true});
          CHECK(out.complete());
          int wrong = 0;
          for (std::int64_t i = 0; i < e.m; ++i) {
            std::int32_t row_sum = 0;
            for (std::int64_t k = 0; k < e.k; ++k) {
              row_sum += u[static_cast<std::size_t>(i * e.k + k)];
            }
            wrong += out.row_sums[static_cast<std::size_t>(i)] != row_sum;
            for (std::int64_t j = 0; j < e.n; ++j) {
              std::int32_t sum = 0;
              for (std::int64_t k = 0; k < e.k; ++k) {
                sum += u[static_cast<std::size_t>(i * e.k + k)] *
                       (q[static_cast<std::size_t>(j * e.k + k)] >> (w_bits - used));
              }
              wrong += out.c[static_cast<std::size_t>(i * e.n + j)] != sum;
            }
          }
          CHECK(wrong == 0);
        }
      }
    }
  });
}

TEST_CASE("no rows: nothing is called") {
  const kernels::KernelTable& t = *kernels::supported_kernels().front();
  const std::int8_t level = 1;
  AlignedBuffer<std::byte> memory(PackedWeightsU8S8::bytes(t, 1, 1));
  const auto packed = PackedWeightsU8S8::pack(t, {&level, 1, 1}, memory.span());
  auto scratch = dirty_scratch(ops::qgemm_u8s8_scratch_bytes(t, 1, 1));
  ops::qgemm_u8s8(
      t, 0, [](std::int64_t, MatrixView<std::uint8_t>) { FAIL("pack_a called"); }, packed,
      [](const QgemmTile&) { FAIL("epilogue called"); }, scratch.span());
}
