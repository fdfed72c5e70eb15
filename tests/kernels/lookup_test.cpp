// SPDX-License-Identifier: Apache-2.0
// The look-up tile and the tables of subset sums of every table against their formulas.
#include "every_isa.hpp"

using bitdial_test::for_each_supported_isa;
using bitdial_test::GuardedArray;
using bitdial_test::Numbers;
namespace kernels = bitdial::kernels;

TEST_CASE("subset sums: every count, the largest codes, no access outside") {
  for_each_supported_isa([](const kernels::KernelTable& t) {
    CHECK((t.subset_sums != nullptr));
    for (std::int64_t count = 0; count <= 70; ++count) {
      Numbers numbers(static_cast<std::uint64_t>(count));
      GuardedArray<std::uint8_t> codes(count);
      GuardedArray<std::uint8_t> tables((count + 15) / 16 * 64);
      codes.fill(
          [&] { return static_cast<std::uint8_t>(count % 3 == 0 ? 63 : numbers.between(0, 63)); });
      tables.fill([] { return std::uint8_t{0xee}; });
      t.subset_sums({.codes = codes.data(), .count = count, .tables = tables.data()});
      int wrong = 0;
      for (std::int64_t at = 0; at < tables.size(); ++at) {
        int sum = 0;
        for (std::int64_t i = 0; i < 4; ++i) {
          const std::int64_t k = at / 16 * 4 + i;
          if ((at >> i & 1) != 0 && k < count) sum += codes[k];
        }
        wrong += tables[at] != sum;
      }
      CAPTURE(count);
      CHECK(wrong == 0);
    }
  });
}

namespace {

struct Shape {
  std::int64_t rows, cols, planes, blocks, segments;
  int bits;
};

/// Tables of any bytes up to the largest sum; segments overlap.
int wrong_sums(const kernels::KernelTable& t, const Shape& s, bool largest) {
  const std::int64_t width = t.gemm_lookup.cols;
  const std::int64_t pairs = (s.blocks + 1) / 2;
  const std::int64_t segment_stride = 16 + s.blocks * 32;
  const std::int64_t a_stride = 48;
  const std::int64_t c_stride = width + 3;
  Numbers numbers(static_cast<std::uint64_t>(s.rows * 1000 + s.blocks * 10 + s.bits));
  GuardedArray<std::uint8_t> a((s.rows - 1) * a_stride + (s.segments - 1) * segment_stride +
                               s.blocks * 64);
  GuardedArray<std::uint8_t> b(s.planes * s.segments * pairs * width * 4);
  GuardedArray<std::int32_t> c((s.rows - 1) * c_stride + width);
  const int entry = 4 * ((1 << s.bits) - 1);
  a.fill([&] { return static_cast<std::uint8_t>(largest ? entry : numbers.between(0, entry)); });
  b.fill([&] { return static_cast<std::uint8_t>(largest ? 255 : numbers.between(0, 255)); });
  c.fill([] { return 12345; });
  t.gemm_lookup.run({.rows = s.rows,
                     .cols = s.cols,
                     .bits = s.bits,
                     .planes = s.planes,
                     .blocks = s.blocks,
                     .segments = s.segments,
                     .a = a.data(),
                     .a_stride = a_stride,
                     .segment_stride = segment_stride,
                     .b = b.data(),
                     .c = c.data(),
                     .c_stride = c_stride});
  int wrong = 0;
  for (std::int64_t r = 0; r < s.rows; ++r) {
    for (std::int64_t j = 0; j < s.cols; ++j) {
      std::int32_t expected = 0;
      for (std::int64_t p = 0; p < s.planes; ++p) {
        for (std::int64_t run = 0; run < s.segments; ++run) {
          for (std::int64_t group = 0; group < 4 * s.blocks; ++group) {
            const std::int64_t half = group / 4 % 2;
            const std::int64_t at =
                (((p * s.segments + run) * pairs + group / 8) * (width / 16) + j / 16) * 64 +
                kernels::lookup_place(t.lookup_order, group % 4, j % 16);
            const int index = b[at] >> (4 * half) & 15;
            const int sum = a[r * a_stride + run * segment_stride + group * 16 + index];
            expected += sum << (s.planes - 1 - p);
          }
        }
      }
      wrong += c[r * c_stride + j] != expected;
    }
    for (std::int64_t j = width; r + 1 < s.rows && j < c_stride; ++j) {
      wrong += c[r * c_stride + j] != 12345;
    }
  }
  return wrong;
}

}  // namespace

TEST_CASE("look-up tile: all widths, planes, segments, odd blocks") {
  for_each_supported_isa([](const kernels::KernelTable& t) {
    CHECK(t.gemm_lookup.cols % 16 == 0);
    for (int bits = 1; bits <= 5; ++bits) {
      for (std::int64_t planes = 1; planes <= 3; ++planes) {
        for (const std::int64_t blocks : {0, 1, 2, 3, 8, 21, 46}) {
          for (const std::int64_t segments : {1, 2, 3}) {
            const std::int64_t rows = 1 + (blocks + bits + segments) % t.gemm_lookup.rows;
            const std::int64_t cols = 1 + (blocks * 7 + planes * 5) % t.gemm_lookup.cols;
            CAPTURE(bits);
            CAPTURE(planes);
            CAPTURE(blocks);
            CAPTURE(segments);
            CHECK(wrong_sums(t, {rows, cols, planes, blocks, segments, bits}, false) == 0);
          }
        }
      }
    }
  });
}

TEST_CASE("look-up tile: the largest sums leave neither bytes nor 16 bits") {
  for_each_supported_isa([](const kernels::KernelTable& t) {
    for (int bits = 1; bits <= 5; ++bits) {
      for (const std::int64_t segments : {1, 301}) {
        const std::int64_t blocks = segments == 1 ? 2601 : 3;
        CAPTURE(bits);
        CAPTURE(segments);
        const Shape shape{t.gemm_lookup.rows, t.gemm_lookup.cols, 2, blocks, segments, bits};
        CHECK(wrong_sums(t, shape, true) == 0);
      }
    }
  });
}
