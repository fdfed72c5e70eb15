// SPDX-License-Identifier: Apache-2.0
// The tile kernels of every table against the formulas of kernel_table.hpp.
#include "every_isa.hpp"

#include <bit>
#include <cmath>

using bitdial::kernels::real_kernels_of;
using bitdial_test::for_each_supported_isa;
using bitdial_test::GuardedArray;
using bitdial_test::Numbers;
using bitdial_test::tile_rows;
namespace kernels = bitdial::kernels;

TEST_CASE("every table is complete") {
  for_each_supported_isa([](const kernels::KernelTable& t) {
    CHECK((t.gemm_u8s8.run != nullptr));
    CHECK((t.gemm_planes.run != nullptr));
    CHECK((t.gemm_codes.run != nullptr));
    CHECK((t.gemm_lookup.run != nullptr));
    CHECK((t.subset_sums != nullptr));
    CHECK((t.depthwise_u8s8.run != nullptr));
    CHECK(t.depthwise_u8s8.cols % t.depthwise_lanes == 0);
    CHECK((t.winograd_codes != nullptr));
    CHECK((t.gemm_s16.run != nullptr));
    CHECK((t.winograd_sums != nullptr));
    CHECK((t.quantize != nullptr));
    CHECK((t.requantize != nullptr));
    CHECK((t.maximum != nullptr));
    CHECK((t.look_up_bytes != nullptr));
    CHECK((t.pack_codes != nullptr));
    CHECK((t.unpack_codes != nullptr));
    CHECK((t.pack_planes != nullptr));
    CHECK((t.sum_codes != nullptr));
    CHECK((t.sum_rows != nullptr));
    const kernels::RealKernels& real = real_kernels_of(t);
    CHECK((real.gemm_f32.run != nullptr));
    CHECK((real.gemm_bf16.run != nullptr));
    CHECK((real.round_bf16 != nullptr));
    CHECK((real.depthwise_taps != nullptr));
    CHECK((real.depthwise_weight_sums != nullptr));
    CHECK((real.channel_sums != nullptr));
    CHECK((real.scale_channels != nullptr));
    CHECK((real.combine_channels != nullptr));
    CHECK((real.decode != nullptr));
    CHECK((real.tanh != nullptr));
    CHECK((real.mark_between != nullptr));
    CHECK((real.rectify != nullptr));
    CHECK((real.gate != nullptr));
    CHECK((real.add_gated != nullptr));
    CHECK((real.winograd_inputs != nullptr));
    CHECK((real.winograd_inputs_bf16 != nullptr));
    CHECK((real.winograd_slopes != nullptr));
    CHECK((real.winograd_slopes_bf16 != nullptr));
    CHECK((real.winograd_outputs != nullptr));
    CHECK((real.winograd_taps != nullptr));
  });
}

namespace {

// How the operands of a tile lie in memory: rows, steps and runs of A, steps and runs of B.
struct TileLayout {
  const char* name;
  std::int64_t a_stride, a_step, a_run, b_step, b_run;
};

void check_f32_tile(const kernels::KernelTable& t, std::int64_t rows, std::int64_t cols,
                    std::int64_t depth, std::int64_t runs, bool accumulate) {
  const std::int64_t width = real_kernels_of(t).gemm_f32.cols;
  // Vectors of B are read whole; nothing says how wide they are, so a whole panel is there.
  const TileLayout layouts[] = {
      {"packed", runs * depth + 3, 1, depth, width, depth * width},
      {"transposed", 1, rows + 2, depth * (rows + 2), width + 1, depth * (width + 1)},
      {"window", 2, 1, 3 * rows + depth, width, depth * width + 5},
  };
  for (const TileLayout& l : layouts) {
    CAPTURE(l.name);
    CAPTURE(rows);
    CAPTURE(cols);
    CAPTURE(depth);
    CAPTURE(runs);
    CAPTURE(accumulate);
    Numbers numbers(static_cast<std::uint64_t>(rows * 100 + depth));
    const std::int64_t last_step = std::max<std::int64_t>(depth - 1, 0);
    const std::int64_t c_stride = cols + 5;
    GuardedArray<float> a((rows - 1) * l.a_stride + (runs - 1) * l.a_run + last_step * l.a_step +
                          1);
    GuardedArray<float> b((runs - 1) * l.b_run + last_step * l.b_step + width);
    GuardedArray<float> c((rows - 1) * c_stride + cols);
    a.fill([&] { return numbers.real(-2, 2); });
    b.fill([&] { return numbers.real(-2, 2); });
    c.fill([&] { return numbers.real(-1, 1); });
    const std::vector<float> before(c.data(), c.data() + c.size());
    real_kernels_of(t).gemm_f32.run({.rows = rows,
                                     .cols = cols,
                                     .depth = depth,
                                     .a = a.data(),
                                     .a_stride = l.a_stride,
                                     .a_step = l.a_step,
                                     .b = b.data(),
                                     .b_step = l.b_step,
                                     .c = c.data(),
                                     .c_stride = c_stride,
                                     .accumulate = accumulate,
                                     .runs = runs,
                                     .a_run = l.a_run,
                                     .b_run = l.b_run});
    int wrong = 0;
    for (std::int64_t i = 0; i < c.size(); ++i) {
      const std::int64_t r = i / c_stride;
      const std::int64_t j = i % c_stride;
      float expected = before[static_cast<std::size_t>(i)];
      if (j < cols) {
        if (!accumulate) expected = 0.0F;
        for (std::int64_t s = 0; s < runs; ++s) {
          for (std::int64_t k = 0; k < depth; ++k) {
            expected = std::fma(a[r * l.a_stride + s * l.a_run + k * l.a_step],
                                b[s * l.b_run + k * l.b_step + j], expected);
          }
        }
      }
      wrong += c[i] != expected;
    }
    CHECK(wrong == 0);
  }
}

/// How many sums that a tile has written differ from their definition.
int wrong_sums(const kernels::GemmU8S8Tile& t, std::int64_t width) {
  const std::int64_t run = t.groups * 4;
  int wrong = 0;
  for (std::int64_t r = 0; r < t.rows; ++r) {
    for (std::int64_t j = 0; j < t.cols; ++j) {
      std::int32_t expected = 0;
      for (std::int64_t k = 0; k < t.segments * run; ++k) {
        expected += t.a[r * t.a_stride + t.offsets[k / run] + k % run] *
                    t.b[(k / 4 * width + j) * 4 + k % 4];
      }
      wrong += t.c[r * t.c_stride + j] != expected;
    }
  }
  return wrong;
}

}  // namespace

TEST_CASE("f32 tile: one chain of fused multiply-adds, from zero or from C, nothing else touched") {
  for_each_supported_isa([](const kernels::KernelTable& t) {
    const std::int64_t width = real_kernels_of(t).gemm_f32.cols;
    for (std::int64_t rows = 1; rows <= real_kernels_of(t).gemm_f32.rows; ++rows) {
      for (const std::int64_t depth : {0, 1, 3, 17}) {
        for (const std::int64_t cols :
             {std::int64_t{1}, width / 2, width / 2 + 1, width - 1, width}) {
          for (const std::int64_t runs : {1, 3}) {
            check_f32_tile(t, rows, cols, depth, runs, false);
            check_f32_tile(t, rows, cols, depth, runs, true);
          }
        }
      }
    }
  });
}

TEST_CASE("u8 x s8 tile: exact sums, extreme codes, no access outside") {
  for_each_supported_isa([](const kernels::KernelTable& t) {
    const std::int64_t width = t.gemm_u8s8.cols;
    enum class Fill { random, lowest, highest };
    for (const std::int64_t rows : tile_rows(t.gemm_u8s8.rows)) {
      for (const std::int64_t groups : {0, 1, 2, 3, 16, 33}) {
        for (const Fill fill : {Fill::random, Fill::lowest, Fill::highest}) {
          const std::int64_t cols = 1 + (rows * 7 + groups) % width;
          Numbers numbers(static_cast<std::uint64_t>(rows * 100 + groups));
          const std::int64_t segments = groups < 4 ? 3 : 1, run = groups * 4;
          const std::int64_t offsets[] = {2 * run + 2, 0, run + 1};
          const std::int64_t a_stride = 3 * run + 3;
          const std::int64_t c_stride = width + 3;
          GuardedArray<std::uint8_t> a((rows - 1) * a_stride + offsets[0] + run);
          GuardedArray<std::int8_t> b(segments * run * width);
          GuardedArray<std::int32_t> c((rows - 1) * c_stride + width);
          a.fill([&] {
            return static_cast<std::uint8_t>(fill == Fill::random ? numbers.between(0, 255) : 255);
          });
          b.fill([&] {
            return static_cast<std::int8_t>(fill == Fill::random   ? numbers.between(-128, 127)
                                            : fill == Fill::lowest ? -128
                                                                   : 127);
          });
          c.fill([] { return 12345; });
          const kernels::GemmU8S8Tile tile{
              .rows = rows,
              .cols = cols,
              .groups = groups,
              .a = a.data(),
              .a_stride = a_stride,
              .b = b.data(),
              .c = c.data(),
              .c_stride = c_stride,
              .segments = segments,
              .offsets = offsets,
              // Memory that may be asked for, but not read.
              .next = fill == Fill::lowest ? b.data() + b.size() : nullptr};
          t.gemm_u8s8.run(tile);
          int wrong = wrong_sums(tile, width);
          for (std::int64_t r = 0; r < rows; ++r) {
            for (std::int64_t j = width; r + 1 < rows && j < c_stride; ++j) {
              wrong += c[r * c_stride + j] != 12345;
            }
          }
          CAPTURE(rows);
          CAPTURE(groups);
          CAPTURE(static_cast<int>(fill));
          CHECK(wrong == 0);
        }
      }
    }
  });
}

TEST_CASE("u8 x s8 tile: rows of neighbouring pixels") {
  for_each_supported_isa([](const kernels::KernelTable& t) {
    const std::int64_t width = t.gemm_u8s8.cols;
    for (const std::int64_t rows : tile_rows(t.gemm_u8s8.rows)) {
      for (const std::int64_t pixel : {4, 8, 16, 20}) {
        for (const std::int64_t cols : {std::int64_t{1}, width / 2, width}) {
          Numbers numbers(static_cast<std::uint64_t>(rows * 100 + pixel + cols));
          const std::int64_t line = (rows + 2) * pixel, c_stride = width + 1;
          const std::int64_t offsets[] = {line, 0, 2 * line};
          GuardedArray<std::uint8_t> a(3 * line);
          GuardedArray<std::int8_t> b(9 * pixel * width);
          GuardedArray<std::int32_t> c((rows - 1) * c_stride + width);
          a.fill([&] { return static_cast<std::uint8_t>(numbers.between(0, 255)); });
          b.fill([&] { return static_cast<std::int8_t>(numbers.between(-128, 127)); });
          const kernels::GemmU8S8Tile tile{.rows = rows,
                                           .cols = cols,
                                           .groups = 3 * pixel / 4,
                                           .a = a.data(),
                                           .a_stride = pixel,
                                           .b = b.data(),
                                           .c = c.data(),
                                           .c_stride = c_stride,
                                           .segments = 3,
                                           .offsets = offsets};
          t.gemm_u8s8.run(tile);
          const int wrong = wrong_sums(tile, width);
          CAPTURE(rows);
          CAPTURE(pixel);
          CAPTURE(cols);
          CHECK(wrong == 0);
        }
      }
    }
  });
}

TEST_CASE("u8 x s8 tile: the same sums when some groups are known to fit 16 bits") {
  struct Range {
    int max_code, low, high;
  };
  for_each_supported_isa([](const kernels::KernelTable& t) {
    const std::int64_t width = t.gemm_u8s8.cols;
    for (const Range range : {Range{255, -15, 16}, {15, -128, 127}, {3, -3, 3}, {127, -128, 127}}) {
      const std::int64_t pair = 2 * std::max(-range.low, range.high);
      const std::int64_t most = 32767 / (range.max_code * pair);
      for (const std::int64_t rows : tile_rows(t.gemm_u8s8.rows)) {
        for (const std::int64_t groups : {0, 1, 7, 45}) {
          for (const std::int64_t short_groups : {std::int64_t{1}, most}) {
            const std::int64_t cols = rows % 2 == 0 ? width : 1 + rows % width;
            Numbers numbers(static_cast<std::uint64_t>(rows * 100 + groups));
            const std::int64_t run = groups * 4;
            const std::int64_t offsets[] = {run + 1, 0};
            const std::int64_t a_stride = run + 5;
            GuardedArray<std::uint8_t> a((rows - 1) * a_stride + offsets[0] + run);
            GuardedArray<std::int8_t> b(2 * run * width);
            GuardedArray<std::int32_t> c(rows * width);
            // Long runs of extreme values of one sign, and others between.
            a.fill([&] {
              return static_cast<std::uint8_t>(
                  numbers.between(0, 9) == 0 ? numbers.between(0, range.max_code) : range.max_code);
            });
            for (std::int64_t i = 0; i < b.size(); ++i) {
              b[i] = static_cast<std::int8_t>(i / 4 % width % 3 == 0 ? range.low
                                              : i / 4 % width % 3 == 1
                                                  ? range.high
                                                  : numbers.between(range.low, range.high));
            }
            const kernels::GemmU8S8Tile tile{.rows = rows,
                                             .cols = cols,
                                             .groups = groups,
                                             .a = a.data(),
                                             .a_stride = a_stride,
                                             .b = b.data(),
                                             .c = c.data(),
                                             .c_stride = width,
                                             .segments = 2,
                                             .offsets = offsets,
                                             .short_groups = short_groups};
            t.gemm_u8s8.run(tile);
            const int wrong = wrong_sums(tile, width);
            CAPTURE(range.max_code);
            CAPTURE(rows);
            CAPTURE(groups);
            CAPTURE(short_groups);
            CHECK(wrong == 0);
          }
        }
      }
    }
  });
}

TEST_CASE("u8 x s8 tile: the same sums when groups are known to fit 16 bits one by one") {
  constexpr std::int64_t groups = 300, run = groups * 4;  // longer than a run that a byte can name
  for_each_supported_isa([](const kernels::KernelTable& t) {
    const std::int64_t width = t.gemm_u8s8.cols;
    for (const std::int64_t rows : tile_rows(t.gemm_u8s8.rows)) {
      for (const int every : {1, 2, 7, 260, 1000}) {  // one group of so many does not fit
        const std::int64_t cols = rows % 2 == 0 ? width : 1 + rows % width;
        Numbers numbers(static_cast<std::uint64_t>(rows * 100 + every));
        const std::int64_t offsets[] = {run + 1, 0};
        const std::int64_t a_stride = run + 5;
        GuardedArray<std::uint8_t> a((rows - 1) * a_stride + offsets[0] + run);
        GuardedArray<std::int8_t> b(2 * run * width);
        GuardedArray<std::uint8_t> runs(2 * groups);
        GuardedArray<std::int32_t> c(rows * width);
        a.fill([&] { return static_cast<std::uint8_t>(numbers.between(0, 3) > 0 ? 255 : 254); });
        for (std::int64_t i = 0; i < b.size(); ++i) {
          const int most = i / (4 * width) % every == 0 ? 127 : 63;
          const std::int64_t sign = i / 4 % width % 3;
          b[i] = static_cast<std::int8_t>(sign == 0   ? most
                                          : sign == 1 ? -most - 1
                                                      : numbers.between(-most - 1, most));
        }
        for (std::int64_t g = runs.size() - 1, length = 0; g >= 0; --g) {
          length = g % every == 0 ? 0 : std::min<std::int64_t>(255, length + 1);
          runs[g] = static_cast<std::uint8_t>(length);
        }
        const kernels::GemmU8S8Tile tile{.rows = rows,
                                         .cols = cols,
                                         .groups = groups,
                                         .a = a.data(),
                                         .a_stride = a_stride,
                                         .b = b.data(),
                                         .c = c.data(),
                                         .c_stride = width,
                                         .segments = 2,
                                         .offsets = offsets,
                                         .short_runs = runs.data()};
        t.gemm_u8s8.run(tile);
        const int wrong = wrong_sums(tile, width);
        CAPTURE(rows);
        CAPTURE(every);
        CHECK(wrong == 0);
      }
    }
  });
}

TEST_CASE("plane tile: common and differing bits for all pairs of widths, several tiles at once") {
  for_each_supported_isa([](const kernels::KernelTable& t) {
    const std::int64_t width = t.gemm_planes.cols;
    for (std::int64_t words : {0, 1, 2, 5, 31, 32, 63}) {
      for (std::int64_t a_planes = 1; a_planes <= 8; a_planes += 1 + (words > 5)) {
        for (std::int64_t b_planes = 1; b_planes <= 8; b_planes += 1 + 2 * (words > 5)) {
          const bool differ = (a_planes + b_planes + words) % 2 == 0;
          const std::int64_t most = t.gemm_planes.rows, some = 1 + (a_planes * 3 + b_planes) % most;
          const std::int64_t rows = b_planes == 2 ? most * (1 + a_planes % 3) : some;
          const std::int64_t cols = 1 + (a_planes * 5 + b_planes + words) % width;
          Numbers numbers(static_cast<std::uint64_t>(words * 100 + a_planes * 10 + b_planes));
          // Three segments that overlap, planes behind each other, all at odd byte addresses.
          const std::int64_t segments = words < 4 ? 3 : 1, run = words * 4;
          const std::int64_t offsets[] = {2 * run + 2, 0, run + 1};
          const std::int64_t plane_stride = segments == 1 ? offsets[0] + run + 1 : 3 * run + 3;
          const std::int64_t a_stride = a_planes * plane_stride + 1;
          GuardedArray<std::uint8_t> a((rows - 1) * a_stride + (a_planes - 1) * plane_stride +
                                       offsets[0] + run);
          GuardedArray<std::uint32_t> b(b_planes * segments * words * width);
          GuardedArray<std::int32_t> c((rows - 1) * width + width), starts(b_planes * width);
          const bool ones = a_planes == b_planes;
          starts.fill([&] { return static_cast<std::int32_t>(numbers.between(-1000, 1000)); });
          a.fill([&] { return static_cast<std::uint8_t>(ones ? 255 : numbers.between(0, 255)); });
          b.fill([&] {
            return ones ? ~std::uint32_t{0} : static_cast<std::uint32_t>(numbers.bits());
          });
          t.gemm_planes.run({.rows = rows,
                             .cols = cols,
                             .words = words,
                             .a_planes = a_planes,
                             .b_planes = b_planes,
                             .a = a.data(),
                             .a_stride = a_stride,
                             .plane_stride = plane_stride,
                             .b = b.data(),
                             .c = c.data(),
                             .c_stride = width,
                             .segments = segments,
                             .offsets = offsets,
                             .starts = differ ? starts.data() : nullptr});
          int wrong = 0;
          for (std::int64_t r = 0; r < rows; ++r) {
            for (std::int64_t j = 0; j < cols; ++j) {
              std::int64_t expected = 0;
              for (std::int64_t s = 0; s < a_planes; ++s) {
                for (std::int64_t p = 0; p < b_planes; ++p) {
                  std::int64_t count = differ ? starts[p * width + j] : 0;
                  for (std::int64_t i = 0; i < segments * words * 4; ++i) {
                    const std::int64_t at = offsets[i / run] + i % run;
                    const std::uint32_t word = b[(p * segments * words + i / 4) * width + j];
                    const auto byte = static_cast<unsigned>(word >> (i % 4 * 8) & 255U);
                    const unsigned of_a = a[r * a_stride + s * plane_stride + at];
                    count += std::popcount(differ ? of_a ^ byte : of_a & byte);
                  }
                  expected += count * (std::int64_t{1} << (a_planes - 1 - s)) *
                              (std::int64_t{1} << (b_planes - 1 - p));
                }
              }
              wrong += c[r * width + j] != expected;
            }
          }
          CAPTURE(words);
          CAPTURE(a_planes);
          CAPTURE(b_planes);
          CHECK(wrong == 0);
        }
      }
    }
  });
}
