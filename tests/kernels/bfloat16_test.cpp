// SPDX-License-Identifier: Apache-2.0
// bfloat16: rounding, and the tile of every table against the product step that the header states,
// where nothing underflows and where everything does.
#include "every_isa.hpp"

#include <bit>
#include <cmath>
#include <limits>

using bitdial::kernels::real_kernels_of;
using bitdial_test::for_each_supported_isa;
using bitdial_test::GuardedArray;
using bitdial_test::Numbers;
namespace kernels = bitdial::kernels;

namespace {

bool same_number(float a, float b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

/// Random sign and fraction, exponent field in [low, high].
std::uint16_t random_bf16(Numbers& numbers, int low, int high) {
  const auto exponent = static_cast<std::uint64_t>(numbers.between(low, high));
  return static_cast<std::uint16_t>((numbers.bits() & 0x807f) | exponent << 7);
}

}  // namespace

TEST_CASE("fma_bf16: subnormal numbers are zeros, judged after rounding with unbounded exponent") {
  const auto bf16 = [](float x) {
    return static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(x) >> 16);
  };
  CHECK(kernels::fma_bf16(bf16(3.0F), bf16(-2.0F), 1.0F) == -5.0F);
  CHECK(same_number(kernels::fma_bf16(0x8040, bf16(2.0F), -0.0F), -0.0F));
  CHECK(same_number(kernels::fma_bf16(bf16(0x1p-63F), bf16(0x1p-64F), 0.0F), 0.0F));
  CHECK(kernels::fma_bf16(bf16(0x1p-63F), bf16(0x1p-63F), -0x1p-127F) == 0x1p-126F);
  // 2^-126 - 2^-151 is halfway to the number below and rounds to even; a little less is subnormal.
  CHECK(kernels::fma_bf16(bf16(0x1p-75F), bf16(-0x1p-76F), 0x1p-126F) == 0x1p-126F);
  CHECK(kernels::fma_bf16(bf16(0x1p-75F), bf16(-0x1.02p-76F), 0x1p-126F) == 0.0F);
  CHECK(kernels::fma_bf16(bf16(0x1p127F), bf16(2.0F), -0x1p127F) == 0x1p127F);
}

TEST_CASE(
    "round_bf16: half to even, subnormal numbers to zero, NaN stays, with and without pairs") {
  for_each_supported_isa([](const kernels::KernelTable& t) {
    for (std::int64_t count = 0; count <= 70; ++count) {
      Numbers numbers(static_cast<std::uint64_t>(count));
      GuardedArray<float> x(count);
      GuardedArray<float> second(count);
      const auto any = [&] {
        auto bits = static_cast<std::uint32_t>(numbers.bits());
        if (numbers.between(0, 3) == 0) bits &= 0xffff8000;              // halfway or exact
        if (numbers.between(0, 7) == 0) bits &= 0x807fffff;              // subnormal or zero
        if (numbers.between(0, 7) == 0) bits |= 0x7f800000;              // NaN
        if (numbers.between(0, 7) == 0) bits = 0x7f800000;               // infinity
        if (numbers.between(0, 7) == 0) bits = 0x7f7fffff | bits << 31;  // rounds to infinity
        return std::bit_cast<float>(bits);
      };
      x.fill(any);
      second.fill(any);
      const auto wrong = [](float value, std::uint16_t got) {
        const float rounded = std::bit_cast<float>(std::uint32_t{got} << 16);
        if (std::isnan(value)) return !std::isnan(rounded);
        if (std::fabs(value) < std::numeric_limits<float>::min()) {
          return !same_number(rounded, std::copysign(0.0F, value));
        }
        if (std::isinf(value)) return rounded != value;
        // The nearest multiple of the step, by arithmetic on double.
        int exponent = 0;
        static_cast<void>(std::frexp(value, &exponent));
        const double step = std::ldexp(1.0, exponent - 8);
        const auto expected = static_cast<float>(std::nearbyint(value / step) * step);
        return !same_number(rounded, expected);
      };
      GuardedArray<std::uint16_t> y(count);
      GuardedArray<std::uint16_t> pairs(2 * count);
      real_kernels_of(t).round_bf16({.x = x.data(), .count = count, .y = y.data()});
      real_kernels_of(t).round_bf16(
          {.x = x.data(), .second = second.data(), .count = count, .y = pairs.data()});
      int errors = 0;
      for (std::int64_t i = 0; i < count; ++i) {
        errors += wrong(x[i], y[i]) || pairs[2 * i] != y[i] || wrong(second[i], pairs[2 * i + 1]);
      }
      CAPTURE(count);
      CHECK(errors == 0);
    }
  });
}

TEST_CASE("bfloat16 tile: one chain of steps, runs, strides, from zero or from C") {
  struct Range {
    int low, high;  // of exponent fields
  };
  for_each_supported_isa([](const kernels::KernelTable& t) {
    const auto& kernel = real_kernels_of(t).gemm_bf16;
    const std::int64_t narrow_rows = real_kernels_of(t).bf16_narrow_rows;
    CHECK(narrow_rows >= kernel.rows);
    for (std::int64_t rows = 1; rows <= narrow_rows; ++rows) {
      for (const std::int64_t pairs : {0, 1, 2, 9}) {
        // Ordinary numbers; products around the smallest normal number; all numbers.
        for (const Range range : {Range{120, 134}, Range{48, 79}, Range{0, 255}}) {
          const std::int64_t most_cols = rows > kernel.rows ? kernel.cols / 2 : kernel.cols;
          const std::int64_t cols = 1 + (rows * 7 + pairs) % most_cols;
          const std::int64_t runs = 1 + rows % 3;
          const std::int64_t a_stride = rows % 2 == 0 ? 2 : 2 * pairs + 1;
          const std::int64_t a_step = rows % 2 == 0 ? 2 * rows + 1 : 2;
          const std::int64_t a_run = 5, b_run = 3;
          const std::int64_t b_step = 2 * kernel.cols + 3;
          const std::int64_t c_stride = kernel.cols + 1;
          Numbers numbers(static_cast<std::uint64_t>(rows * 100 + pairs * 10 + range.low));
          GuardedArray<std::uint16_t> a((rows - 1) * a_stride + (runs - 1) * a_run +
                                        (pairs - 1) * a_step * (pairs > 0) + 2);
          GuardedArray<std::uint16_t> b((runs - 1) * b_run + (pairs - 1) * b_step * (pairs > 0) +
                                        2 * kernel.cols);
          GuardedArray<float> c((rows - 1) * c_stride + cols);
          a.fill([&] { return random_bf16(numbers, range.low, range.high); });
          b.fill([&] { return random_bf16(numbers, range.low, range.high); });
          for (const bool accumulate : {false, true}) {
            c.fill([&] {
              const std::uint32_t sum =
                  std::uint32_t{random_bf16(numbers, range.low == 48 ? 0 : range.low,
                                            range.low == 48 ? 3 : range.high)}
                  << 16;
              return std::bit_cast<float>(sum |
                                          static_cast<std::uint32_t>(numbers.bits() & 0xffff));
            });
            const std::vector<float> before(c.data(), c.data() + c.size());
            kernel.run({.rows = rows,
                        .cols = cols,
                        .pairs = pairs,
                        .a = a.data(),
                        .a_stride = a_stride,
                        .a_step = a_step,
                        .b = b.data(),
                        .b_step = b_step,
                        .c = c.data(),
                        .c_stride = c_stride,
                        .accumulate = accumulate,
                        .runs = runs,
                        .a_run = a_run,
                        .b_run = b_run});
            int wrong = 0;
            for (std::int64_t r = 0; r < rows; ++r) {
              for (std::int64_t j = 0; j < c_stride && r * c_stride + j < c.size(); ++j) {
                const auto at = static_cast<std::size_t>(r * c_stride + j);
                float expected = accumulate || j >= cols ? before[at] : 0.0F;
                for (std::int64_t s = 0; j < cols && s < runs; ++s) {
                  for (std::int64_t p = 0; p < pairs; ++p) {
                    const auto* const x = a.data() + r * a_stride + s * a_run + p * a_step;
                    const auto* const y = b.data() + s * b_run + p * b_step + 2 * j;
                    expected = kernels::fma_bf16(x[1], y[1], expected);
                    expected = kernels::fma_bf16(x[0], y[0], expected);
                  }
                }
                wrong += !same_number(c[static_cast<std::int64_t>(at)], expected);
              }
            }
            CAPTURE(rows);
            CAPTURE(pairs);
            CAPTURE(range.low);
            CAPTURE(accumulate);
            CHECK(wrong == 0);
          }
        }
      }
    }
  });
}
