// SPDX-License-Identifier: Apache-2.0
// The element-wise kernels of every table: quantize, requantize, packing of codes and planes.
#include "every_isa.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

using bitdial_test::for_each_supported_isa;
using bitdial_test::GuardedArray;
using bitdial_test::Numbers;
namespace kernels = bitdial::kernels;

namespace {

constexpr std::int64_t longest = 2 * 64 + 1;

int quantize_reference(float x, float clip, float inverse_step, int max_code) {
  if (std::isnan(x) || x <= 0) return 0;
  // The product of two floats is exact in double; the conversion to float is its one rounding.
  const auto product = static_cast<float>(static_cast<double>(std::min(x, clip)) * inverse_step);
  const double whole = std::floor(static_cast<double>(product));
  const double rest = static_cast<double>(product) - whole;
  double rounded = whole;
  if (rest > 0.5 || (rest == 0.5 && std::fmod(whole, 2.0) != 0.0)) rounded += 1.0;
  return static_cast<int>(std::min(rounded, static_cast<double>(max_code)));
}

/// `count` thresholds at almost equal distances, 0.1 apart from 0.3 on.
struct NearlyEqualSteps {
  std::array<float, 256> thresholds;
  kernels::CodeSteps steps;

  NearlyEqualSteps(std::int32_t count, bool has_line, Numbers& numbers) {
    for (std::size_t i = 0; i < thresholds.size(); ++i) {
      thresholds[i] = 0.3F + 0.1F * static_cast<float>(i) + numbers.real(-0.02F, 0.02F);
    }
    steps = {.thresholds = thresholds.data(), .count = count};
    if (has_line && count > 1) {
      const float random = numbers.real(-0.02F, 0.02F);
      steps.line_factor = 10.0F;
      steps.line_constant = -2.5F + random;
      steps.line_margin = 0.2F + std::abs(random) + 1e-4F;
    }
  }
  [[nodiscard]] int code(float x) const {
    const auto end = thresholds.begin() + steps.count;
    return static_cast<int>(
        std::count_if(thresholds.begin(), end, [x](float t) { return x >= t; }));
  }
};

}  // namespace

TEST_CASE("quantize: thresholds, compared one by one or near a line") {
  for_each_supported_isa([](const kernels::KernelTable& t) {
    Numbers numbers(6);
    for (const std::int32_t thresholds : {1, 2, 7, 8, 9, 15, 16, 17, 200, 255}) {
      for (const bool has_line : {false, true}) {
        const NearlyEqualSteps reference(thresholds, has_line, numbers);
        const float infinity = std::numeric_limits<float>::infinity();
        const float nan = std::numeric_limits<float>::quiet_NaN();
        std::vector<float> x{0.0F, -0.0F, infinity, -infinity, nan, -nan, 1e30F, -1e30F, 1e-40F};
        for (std::int32_t i = 0; i < thresholds; ++i) {
          const float threshold = reference.thresholds[static_cast<std::size_t>(i)];
          x.push_back(threshold);
          x.push_back(std::nextafter(threshold, -1.0F));
          x.push_back(numbers.real(0.0F, 26.0F));
        }
        std::vector<std::uint8_t> codes(x.size());
        t.quantize({.x = x.data(),
                    .count = std::ssize(x),
                    .steps = reference.steps,
                    .codes = codes.data()});
        CAPTURE(thresholds);
        CAPTURE(has_line);
        int wrong = 0;
        for (std::size_t i = 0; i < x.size(); ++i) wrong += codes[i] != reference.code(x[i]);
        CHECK(wrong == 0);
      }
    }
  });
}

TEST_CASE("quantize: known values") {
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  // Ties go to the even code: 0.5 -> 0, 1.5 -> 2, 2.5 -> 2.
  const float x[] = {0.0F,  -0.0F, 0.5F, 1.5F, 2.5F, 2.51F, 7.0F,   7.4F, 8.0F,
                     1e30F, inf,   -inf, nan,  -nan, -3.0F, 1e-40F, 6.5F, 5.5F};
  const std::uint8_t expected[] = {0, 0, 0, 2, 2, 3, 7, 7, 7, 7, 7, 0, 0, 0, 0, 0, 6, 6};
  for_each_supported_isa([&](const kernels::KernelTable& t) {
    std::uint8_t codes[std::size(x)];
    t.quantize({.x = x,
                .count = std::ssize(x),
                .steps = {.clip = 7.0F, .inverse_step = 1.0F, .max_code = 7},
                .codes = codes});
    for (std::size_t i = 0; i < std::size(x); ++i) {
      CAPTURE(x[i]);
      CHECK(int{codes[i]} == int{expected[i]});
    }
  });
}

TEST_CASE("quantize: every count, the product rounds before the code does") {
  for_each_supported_isa([](const kernels::KernelTable& t) {
    Numbers numbers(5);
    for (std::int64_t count = 0; count <= longest; ++count) {
      const int bits = 1 + static_cast<int>(count % 8);
      const int max_code = (1 << bits) - 1;
      const float clip = numbers.real(0.5F, 6.0F);
      const float inverse_step = static_cast<float>(max_code) / clip;
      GuardedArray<float> x(count);
      GuardedArray<std::uint8_t> codes(count);
      // Half of the values lie next to a boundary between two codes.
      x.fill([&] {
        const float any = numbers.real(-0.25F * clip, 1.25F * clip);
        if (numbers.bits() % 2 == 0) return any;
        const float boundary =
            (static_cast<float>(numbers.between(0, max_code)) + 0.5F) / inverse_step;
        return std::nextafter(boundary, numbers.bits() % 2 == 0 ? 0.0F : 10.0F);
      });
      t.quantize({.x = x.data(),
                  .count = count,
                  .steps = {.clip = clip,
                            .inverse_step = inverse_step,
                            .max_code = max_code,
                            .saturates = max_code == 255},
                  .codes = codes.data()});
      int wrong = 0;
      for (std::int64_t i = 0; i < count; ++i) {
        wrong += codes[i] != quantize_reference(x[i], clip, inverse_step, max_code);
      }
      CAPTURE(count);
      CHECK(wrong == 0);
    }
  });
}

TEST_CASE("quantize: a product above the last code stays at the last code") {
  for_each_supported_isa([](const kernels::KernelTable& t) {
    std::vector<float> x(70, 3e38F);
    std::vector<std::uint8_t> codes(70);
    t.quantize({.x = x.data(),
                .count = 70,
                .steps = {.clip = 3e38F, .inverse_step = 3e38F, .max_code = 200},
                .codes = codes.data()});
    CHECK(std::all_of(codes.begin(), codes.end(), [](std::uint8_t c) { return c == 200; }));
  });
}

TEST_CASE("quantize: codes that saturate, up to the largest product") {
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float x[] = {0.0F,          -0.0F,    254.0F,    254.4F,   254.5F,   255.0F,
                     256.0F,        32767.0F, 32768.0F,  65535.0F, 65536.0F, 1e9F,
                     2147483520.0F, -1.0F,    -65536.0F, -1e30F,   -inf,     nan};
  const std::uint8_t expected[] = {0,   0,   254, 254, 254, 255, 255, 255, 255,
                                   255, 255, 255, 255, 0,   0,   0,   0,   0};
  for_each_supported_isa([&](const kernels::KernelTable& t) {
    for (const std::int64_t count : {std::int64_t{1}, std::int64_t{8}, std::int64_t{18}}) {
      std::vector<std::uint8_t> codes(std::size(x));
      for (std::size_t i = 0; i + static_cast<std::size_t>(count) <= std::size(x); ++i) {
        t.quantize({.x = x + i,
                    .count = count,
                    .steps = {.clip = 255.0F, .saturates = true},
                    .codes = codes.data()});
        CAPTURE(i);
        CHECK(std::equal(expected + i, expected + i + count, codes.begin()));
      }
    }
  });
}

TEST_CASE("requantize: fma, residual, relu, bit for bit") {
  for_each_supported_isa([](const kernels::KernelTable& t) {
    Numbers numbers(6);
    for (std::int64_t count = 0; count <= longest; ++count) {
      GuardedArray<std::int32_t> sums(count);
      GuardedArray<float> scale(count), bias(count), residual(count), y(count);
      // Beyond 2^24 the conversion to float rounds.
      sums.fill([&] {
        return static_cast<std::int32_t>(count % 2 == 0 ? numbers.between(-30000, 30000)
                                                        : numbers.between(-2147483647, 2147483647));
      });
      scale.fill([&] { return numbers.real(-0.01F, 0.01F); });
      bias.fill([&] { return numbers.real(-1.0F, 1.0F); });
      residual.fill([&] { return numbers.real(-1.0F, 1.0F); });
      for (const bool with_residual : {false, true}) {
        for (const bool relu : {false, true}) {
          t.requantize({.rows = 1,
                        .cols = count,
                        .sums = sums.data(),
                        .scale = scale.data(),
                        .bias = bias.data(),
                        .residual = with_residual ? residual.data() : nullptr,
                        .relu = relu,
                        .y = y.data()});
          int wrong = 0;
          for (std::int64_t i = 0; i < count; ++i) {
            float expected = std::fma(static_cast<float>(sums[i]), scale[i], bias[i]);
            if (with_residual) expected += residual[i];
            if (relu && !(expected > 0)) expected = 0.0F;
            wrong += std::bit_cast<std::uint32_t>(y[i]) != std::bit_cast<std::uint32_t>(expected);
          }
          CAPTURE(count);
          CAPTURE(with_residual);
          CAPTURE(relu);
          CHECK(wrong == 0);
        }
      }
    }
  });
}

TEST_CASE("requantize: sums are corrected modulo 2^32 before they become floats") {
  for_each_supported_isa([](const kernels::KernelTable& t) {
    Numbers numbers(91);
    for (std::int64_t count = 0; count <= 40; ++count) {
      GuardedArray<std::int32_t> sums(count);
      GuardedArray<std::uint32_t> offsets(count);
      GuardedArray<float> scale(count);
      GuardedArray<float> y(count);
      sums.fill([&] { return static_cast<std::int32_t>(numbers.bits()); });
      offsets.fill([&] { return static_cast<std::uint32_t>(numbers.bits()); });
      scale.fill([&] { return numbers.real(-2, 2); });
      for (const bool with_offsets : {false, true}) {
        const auto factor = static_cast<std::uint32_t>(with_offsets ? -3 : 2);
        const auto constant = static_cast<std::int32_t>(numbers.bits());
        const std::uint32_t* const row_offsets = offsets.data();
        t.requantize({.rows = 1,
                      .cols = count,
                      .sums = sums.data(),
                      .scale = scale.data(),
                      .bias = scale.data(),
                      .factor = factor,
                      .row_terms = &constant,
                      .offsets = with_offsets ? &row_offsets : nullptr,
                      .y = y.data()});
        int wrong = 0;
        for (std::int64_t i = 0; i < count; ++i) {
          const std::uint32_t sum = factor * static_cast<std::uint32_t>(sums[i]) +
                                    static_cast<std::uint32_t>(constant) +
                                    (with_offsets ? offsets[i] : 0);
          const auto value = static_cast<float>(static_cast<std::int32_t>(sum));
          wrong += y[i] != std::fma(value, scale[i], scale[i]);
        }
        CAPTURE(count);
        CHECK(wrong == 0);
      }
    }
  });
}

TEST_CASE("maximum: over lines and columns, every count") {
  for_each_supported_isa([](const kernels::KernelTable& t) {
    Numbers numbers(92);
    constexpr std::int64_t line = 170, column = 50, reach = 2 * line + 3 * column;
    for (std::int64_t count = 1; count <= 40; ++count) {
      GuardedArray<float> x(reach + count);
      GuardedArray<float> y(count);
      x.fill([&] { return numbers.real(-2, 2); });
      t.maximum({.x = x.data(),
                 .lines = 3,
                 .columns = 4,
                 .line_stride = line,
                 .column_stride = column,
                 .count = count,
                 .y = y.data()});
      int wrong = 0;
      for (std::int64_t i = 0; i < count; ++i) {
        float most = x[i];
        for (const std::int64_t l : {0, 1, 2}) {
          for (const std::int64_t c : {0, 1, 2, 3}) {
            most = std::max(most, x[l * line + c * column + i]);
          }
        }
        wrong += y[i] != most;
      }
      CHECK(wrong == 0);
    }
  });
}

TEST_CASE("maximum: NaN is passed over unless it is the first, the first zero stays") {
  for_each_supported_isa([](const kernels::KernelTable& t) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    std::vector<float> x(3 * 17), y(17);
    const auto largest = [&](float a, float b, float c) {
      std::ranges::fill(std::span(x).first(17), a);
      std::ranges::fill(std::span(x).subspan(17, 17), b);
      std::ranges::fill(std::span(x).last(17), c);
      t.maximum({.x = x.data(), .columns = 3, .column_stride = 17, .count = 17, .y = y.data()});
      for (const float value : y) {
        CHECK(std::memcmp(&value, &y[0], sizeof value) == 0);
      }
      return y[0];
    };
    CHECK(largest(1.0F, nan, 2.0F) == 2.0F);
    CHECK(largest(3.0F, 2.0F, nan) == 3.0F);
    CHECK(std::isnan(largest(nan, 2.0F, 1.0F)));
    CHECK(std::signbit(largest(-0.0F, 0.0F, -1.0F)));
  });
}

TEST_CASE("requantize: the residual is added once; relu turns NaN and -0 into +0") {
  for_each_supported_isa([](const kernels::KernelTable& t) {
    constexpr std::int64_t count = 37;
    const std::vector<std::int32_t> sums(count, 2);
    const std::vector<float> scale(count, 3.0F);
    const std::vector<float> bias(count, 0.5F);
    const std::vector<float> residual(count, 10.0F);
    std::vector<float> y(count);
    kernels::Requantize operands{.rows = 1,
                                 .cols = count,
                                 .sums = sums.data(),
                                 .scale = scale.data(),
                                 .bias = bias.data(),
                                 .residual = residual.data(),
                                 .y = y.data()};
    t.requantize(operands);
    CHECK(std::all_of(y.begin(), y.end(), [](float v) { return v == 16.5F; }));

    const std::vector<float> nan(count, std::numeric_limits<float>::quiet_NaN());
    operands.bias = nan.data();
    operands.residual = nullptr;
    operands.relu = true;
    t.requantize(operands);
    CHECK(std::all_of(y.begin(), y.end(), [](float v) { return v == 0 && !std::signbit(v); }));

    const std::vector<std::int32_t> zeros(count, 0);
    const std::vector<float> negative_zero(count, -0.0F);
    operands.sums = zeros.data();
    operands.scale = negative_zero.data();
    operands.bias = negative_zero.data();
    t.requantize(operands);
    CHECK(std::all_of(y.begin(), y.end(), [](float v) { return v == 0 && !std::signbit(v); }));
  });
}

TEST_CASE("requantize: lines of rows, every operand with and without") {
  for_each_supported_isa([](const kernels::KernelTable& t) {
    Numbers numbers(17);
    for (const std::int64_t cols : {1, 7, 8, 16, 17, 32, 64, 83, 130}) {
      for (int parts = 0; parts < 128; ++parts) {
        const bool adds = (parts & 1) != 0, relu = (parts & 2) != 0, corrects = (parts & 4) != 0;
        const bool owes = (parts & 8) != 0, writes_y = (parts & 16) != 0;
        const bool writes_codes = (parts & 32) != 0, owes_alike = (parts & 64) != 0;
        const std::int64_t lines = 1 + (parts / 2 + cols) % 3, line_rows = 1 + (parts + cols) % 9;
        const std::int64_t rows = lines * line_rows, gap = lines * 5;
        const std::int64_t stride = cols == 16 && parts % 3 == 0 ? cols : cols + 3;
        const NearlyEqualSteps thresholds(parts % 3 == 0 ? 5 : 40, true, numbers);
        const kernels::CodeSteps steps =
            parts % 2 != 0 ? thresholds.steps
            : owes_alike   ? kernels::CodeSteps{.inverse_step = 255.0F, .saturates = true}
                         : kernels::CodeSteps{.clip = 0.9F, .inverse_step = 15.0F, .max_code = 12};
        const std::int64_t size = (rows - 1) * stride + cols;
        GuardedArray<std::int32_t> sums(size);
        GuardedArray<float> scale(cols), bias(cols), residual(size), y(size), expected_y(cols);
        GuardedArray<std::uint8_t> codes(size + (lines - 1) * gap), expected_codes(cols);
        GuardedArray<std::uint32_t> offsets(cols + rows);
        GuardedArray<std::int32_t> row_terms(rows);
        sums.fill([&] { return static_cast<std::int32_t>(numbers.between(-5000, 5000)); });
        scale.fill([&] { return numbers.real(-0.01F, 0.01F); });
        bias.fill([&] { return numbers.real(-1, 1); });
        residual.fill([&] { return numbers.real(-1, 1); });
        offsets.fill([&] { return static_cast<std::uint32_t>(numbers.between(-900, 900)); });
        row_terms.fill([&] { return static_cast<std::int32_t>(numbers.between(-5000, 5000)); });
        y.fill([] { return 7.0F; });
        codes.fill([] { return std::uint8_t{77}; });
        std::vector<const std::uint32_t*> owed;
        for (std::int64_t r = 0; r < rows; ++r) owed.push_back(offsets.data() + r);
        t.requantize({.lines = lines,
                      .rows = line_rows,
                      .cols = cols,
                      .sums = sums.data(),
                      .sums_stride = stride,
                      .scale = scale.data(),
                      .bias = bias.data(),
                      .residual = adds ? residual.data() : nullptr,
                      .residual_stride = stride,
                      .relu = relu,
                      .factor = corrects ? 3U : 1U,
                      .row_terms = corrects ? row_terms.data() : nullptr,
                      .column_terms = owes_alike ? offsets.data() + rows : nullptr,
                      .offsets = owes ? owed.data() : nullptr,
                      .y = writes_y ? y.data() : nullptr,
                      .y_stride = stride,
                      .codes = writes_codes ? codes.data() : nullptr,
                      .codes_stride = stride,
                      .codes_line = line_rows * stride + gap,
                      .steps = steps});
        int wrong = 0;
        for (std::int64_t r = 0; r < rows; ++r) {
          for (std::int64_t j = 0; j < cols; ++j) {
            std::int32_t sum = sums[r * stride + j];
            if (corrects) sum = 3 * sum + row_terms[r];
            if (owes_alike) sum += static_cast<std::int32_t>(offsets[rows + j]);
            if (owes) sum += static_cast<std::int32_t>(owed[static_cast<std::size_t>(r)][j]);
            float value = std::fma(static_cast<float>(sum), scale[j], bias[j]);
            if (adds) value += residual[r * stride + j];
            expected_y[j] = relu && !(value > 0) ? 0.0F : value;
          }
          t.quantize({.x = expected_y.data(),
                      .count = cols,
                      .steps = steps,
                      .codes = expected_codes.data()});
          const std::int64_t length = r + 1 < rows ? stride : cols;
          const std::uint8_t* const code_row = codes.data() + r * stride + r / line_rows * gap;
          for (std::int64_t j = 0; j < length; ++j) {
            const bool inside = j < cols;
            wrong += y[r * stride + j] != (inside && writes_y ? expected_y[j] : 7.0F);
            wrong += code_row[j] != (inside && writes_codes ? expected_codes[j] : 77);
          }
        }
        CAPTURE(cols);
        CAPTURE(parts);
        CHECK(wrong == 0);
      }
    }
  });
}

TEST_CASE("look_up_bytes: a table for each channel, every count, nothing beyond the end") {
  for_each_supported_isa([](const kernels::KernelTable& t) {
    Numbers numbers(23);
    for (const std::int64_t channels : {1, 2, 3, 4, 5}) {
      GuardedArray<std::uint8_t> tables(256 * channels);
      tables.fill([&] { return static_cast<std::uint8_t>(numbers.between(0, 255)); });
      for (const std::int64_t count : {0, 1, 3, 63, 64, 65, 128, 190, 192, 700}) {
        GuardedArray<std::uint8_t> x(count), y(count);
        x.fill([&] { return static_cast<std::uint8_t>(numbers.between(0, 255)); });
        t.look_up_bytes({.x = x.data(),
                         .count = count,
                         .tables = tables.data(),
                         .channels = channels,
                         .y = y.data()});
        int wrong = 0;
        for (std::int64_t i = 0; i < count; ++i) {
          wrong += y[i] != tables[i % channels * 256 + x[i]];
        }
        CAPTURE(channels);
        CAPTURE(count);
        CHECK(wrong == 0);
      }
    }
  });
}

TEST_CASE("pack_codes: the documented bit order, and unpack_codes inverts it") {
  for_each_supported_isa([](const kernels::KernelTable& t) {
    Numbers numbers(7);
    for (int bits = 1; bits <= 8; ++bits) {
      for (std::int64_t count = 0; count <= longest; ++count) {
        GuardedArray<std::uint8_t> codes(count), back(count);
        // Bits above the width must not leak into the neighbours.
        codes.fill([&] { return static_cast<std::uint8_t>(numbers.between(0, 255)); });
        const std::int64_t size = (count * bits + 7) / 8;
        GuardedArray<std::uint8_t> bytes(size);
        bytes.fill([] { return std::uint8_t{0xa5}; });
        t.pack_codes(codes.data(), count, bits, bytes.data());
        t.unpack_codes(bytes.data(), count, bits, back.data());
        int wrong = 0;
        for (std::int64_t bit = 0; bit < size * 8; ++bit) {
          const int expected = bit < count * bits ? codes[bit / bits] >> (bit % bits) & 1 : 0;
          wrong += (bytes[bit / 8] >> (bit % 8) & 1) != expected;
        }
        for (std::int64_t i = 0; i < count; ++i) {
          wrong += back[i] != (codes[i] & ((1 << bits) - 1));
        }
        CAPTURE(bits);
        CAPTURE(count);
        CHECK(wrong == 0);
      }
    }
  });
}

TEST_CASE("pack_planes: most significant plane first, strides, zero tail") {
  for_each_supported_isa([](const kernels::KernelTable& t) {
    Numbers numbers(8);
    for (int bits = 1; bits <= 8; ++bits) {
      for (std::int64_t count = 0; count <= longest; ++count) {
        GuardedArray<std::uint8_t> codes(count);
        codes.fill([&] { return static_cast<std::uint8_t>(numbers.between(0, 255)); });
        const std::int64_t words = (count + 63) / 64;
        const std::int64_t plane_stride = words + bits % 3;
        // Words on odd bytes.
        constexpr std::uint64_t untouched = 0xababababababababU;
        GuardedArray<std::uint8_t> planes(bits * plane_stride * 8 + 1);
        planes.fill([] { return std::uint8_t{0xab}; });
        t.pack_planes({.codes = codes.data(),
                       .count = count,
                       .bits = bits,
                       .planes = planes.data() + 1,
                       .plane_stride = plane_stride});
        int wrong = 0;
        for (int p = 0; p < bits; ++p) {
          for (std::int64_t at = 0; at < plane_stride; ++at) {
            std::uint64_t expected = untouched;
            if (at < words) {
              expected = 0;
              for (std::int64_t i = 0; i < 64; ++i) {
                const std::int64_t code = at * 64 + i;
                if (code >= count) break;
                expected |= std::uint64_t{(codes[code] >> (bits - 1 - p)) & 1U} << i;
              }
            }
            std::uint64_t word = 0;
            std::memcpy(&word, planes.data() + 1 + (p * plane_stride + at) * 8, sizeof word);
            wrong += word != expected;
          }
        }
        CAPTURE(bits);
        CAPTURE(count);
        CHECK(wrong == 0);
      }
    }
  });
}

TEST_CASE("sum_codes: every count") {
  for_each_supported_isa([](const kernels::KernelTable& t) {
    Numbers numbers(9);
    for (std::int64_t count = 0; count <= longest; ++count) {
      GuardedArray<std::uint8_t> codes(count);
      codes.fill([&] { return static_cast<std::uint8_t>(numbers.between(200, 255)); });
      std::uint64_t expected = 0;
      for (std::int64_t i = 0; i < count; ++i) expected += codes[i];
      CHECK(t.sum_codes(codes.data(), count) == expected);
      std::int32_t sum = -1;
      t.sum_rows({.codes = codes.data(), .rows = 1, .count = count, .sums = &sum});
      CHECK(sum == static_cast<std::int32_t>(expected));
    }
  });
}

TEST_CASE("sum_rows: windows that overlap, touch and stand apart, in lines that do") {
  for_each_supported_isa([](const kernels::KernelTable& t) {
    Numbers numbers(17);
    int cases = 0;
    for (const std::int64_t channels : {1, 3, 4, 8, 16, 24, 32, 64, 100, 128, 512}) {
      for (const std::int64_t stride : {1, 2}) {
        for (const std::int64_t taps : {1, 3, 5, 7}) {
          for (const std::int64_t rows : {1, 2, 7, 12, 16, 33, 60}) {
            ++cases;
            // Lines of a convolution, lines apart, and lines that parts of rows do not divide.
            const std::int64_t lines = cases % 5 == 0 ? 1 : cases % 4 + 2;
            const std::int64_t width = (rows * stride + taps) * channels + (cases % 3 == 0 ? 3 : 0);
            const std::int64_t line = cases % 7 == 0 ? 4 * width : stride * width;
            const std::int64_t offsets[] = {0, width, (cases % 4 == 0 ? 3 : 2) * width};
            const std::int64_t count = taps * channels, step = stride * channels;
            const auto factor = static_cast<std::uint32_t>(cases % 2 == 0 ? 1 : -3);
            GuardedArray<std::uint8_t> codes((lines - 1) * line + offsets[2] + (rows - 1) * step +
                                             count);
            codes.fill([&] { return static_cast<std::uint8_t>(numbers.between(0, 255)); });
            GuardedArray<std::int32_t> sums(lines * rows);
            t.sum_rows({.codes = codes.data(),
                        .lines = lines,
                        .line = line,
                        .rows = rows,
                        .stride = step,
                        .count = count,
                        .factor = factor,
                        .sums = sums.data(),
                        .segments = 3,
                        .offsets = offsets});
            int wrong = 0;
            for (std::int64_t r = 0; r < lines * rows; ++r) {
              const std::uint8_t* const row = codes.data() + r / rows * line + r % rows * step;
              std::int32_t sum = 0;
              for (const std::int64_t offset : offsets) {
                for (std::int64_t i = 0; i < count; ++i) sum += row[offset + i];
              }
              wrong += sums[r] != static_cast<std::int32_t>(factor) * sum;
            }
            CAPTURE(channels);
            CAPTURE(stride);
            CAPTURE(taps);
            CAPTURE(rows);
            CAPTURE(lines);
            CHECK(wrong == 0);
          }
        }
      }
    }
  });
}

TEST_CASE("sum_rows: rows at a distance, without codes, without rows") {
  for_each_supported_isa([](const kernels::KernelTable& t) {
    const std::uint8_t codes[] = {1, 2, 3, 100, 4, 5, 6, 100, 7, 8, 9};
    std::int32_t sums[4] = {-1, -1, -1, -1};
    t.sum_rows({.codes = codes, .rows = 3, .stride = 4, .count = 3, .sums = sums});
    CHECK(std::vector<std::int32_t>(sums, sums + 4) == std::vector<std::int32_t>{6, 15, 24, -1});
    t.sum_rows({.codes = codes, .rows = 0, .stride = 4, .count = 3, .sums = sums});
    CHECK(sums[0] == 6);
    t.sum_rows({.codes = codes, .rows = 2, .stride = 4, .count = 0, .sums = sums});
    CHECK(std::vector<std::int32_t>(sums, sums + 3) == std::vector<std::int32_t>{0, 0, 24});
    const std::vector<std::uint8_t> same(72, 1);
    t.sum_rows({.codes = same.data(), .rows = 4, .stride = 0, .count = 72, .sums = sums});
    CHECK(std::vector<std::int32_t>(sums, sums + 4) == std::vector<std::int32_t>(4, 72));
    t.sum_rows({.codes = same.data(), .rows = 4, .stride = 0, .count = 20, .sums = sums});
    CHECK(std::vector<std::int32_t>(sums, sums + 4) == std::vector<std::int32_t>(4, 20));
  });
}
