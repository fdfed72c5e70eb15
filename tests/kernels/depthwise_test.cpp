// SPDX-License-Identifier: Apache-2.0
// The depthwise kernels of every table against the formulas of depthwise.hpp.
#include "every_isa.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

using bitdial::kernels::real_kernels_of;
using bitdial_test::for_each_supported_isa;
using bitdial_test::GuardedArray;
using bitdial_test::Numbers;
namespace kernels = bitdial::kernels;

namespace {

/// One guarded array per tap: what a run of `pixels` reads, `step` elements apart.
struct Taps {
  std::vector<std::unique_ptr<GuardedArray<float>>> arrays;
  std::vector<float*> pointers;

  Taps(std::int64_t taps, std::int64_t size, Numbers& numbers) {
    for (std::int64_t t = 0; t < taps; ++t) {
      arrays.push_back(std::make_unique<GuardedArray<float>>(size));
      arrays.back()->fill([&] { return numbers.real(-2, 2); });
      pointers.push_back(arrays.back()->data());
    }
  }
};

const std::vector<std::int64_t> channel_counts = {1, 2, 7, 8, 9, 15, 16, 17, 24, 33, 40};

}  // namespace

TEST_CASE("taps: one chain of fused multiply-adds, from zero or from y") {
  for_each_supported_isa([](const kernels::KernelTable& table) {
    for (const std::int64_t taps : {0, 1, 2, 4, 6, 9, 10, 25}) {
      for (const std::int64_t channels : channel_counts) {
        for (const bool accumulate : {false, true}) {
          const std::int64_t pixels = 1 + (taps + channels) % 4;
          const std::int64_t x_step = channels + taps % 3;
          const std::int64_t y_step = channels + taps % 2;
          Numbers numbers(static_cast<std::uint64_t>(taps * 100 + channels));
          const Taps x(taps, (pixels - 1) * x_step + channels, numbers);
          const Taps w(taps, channels, numbers);
          GuardedArray<float> y((pixels - 1) * y_step + channels);
          y.fill([&] { return numbers.real(-1, 1); });
          std::vector<float> expected(y.data(), y.data() + y.size());
          for (std::int64_t p = 0; p < pixels; ++p) {
            for (std::int64_t c = 0; c < channels; ++c) {
              float& sum = expected[static_cast<std::size_t>(p * y_step + c)];
              if (!accumulate) sum = 0.0F;
              for (std::size_t t = 0; t < x.pointers.size(); ++t) {
                sum = std::fma(x.pointers[t][p * x_step + c], w.pointers[t][c], sum);
              }
            }
          }
          real_kernels_of(table).depthwise_taps({.pixels = pixels,
                                                 .channels = channels,
                                                 .taps = taps,
                                                 .x = x.pointers.data(),
                                                 .x_step = x_step,
                                                 .w = w.pointers.data(),
                                                 .y = y.data(),
                                                 .y_step = y_step,
                                                 .accumulate = accumulate});
          CAPTURE(taps);
          CAPTURE(channels);
          CHECK(std::equal(expected.begin(), expected.end(), y.data()));
        }
      }
    }
  });
}

TEST_CASE("weight sums: one chain of fused multiply-adds over the pixels") {
  for_each_supported_isa([](const kernels::KernelTable& table) {
    for (const std::int64_t taps : {0, 1, 2, 3, 5, 9, 13, 25}) {
      for (const std::int64_t channels : channel_counts) {
        const std::int64_t pixels = (taps + channels) % 6;
        const std::int64_t x_step = channels + taps % 3;
        Numbers numbers(static_cast<std::uint64_t>(taps * 100 + channels));
        const Taps x(taps, pixels == 0 ? 0 : (pixels - 1) * x_step + channels, numbers);
        const Taps dw(taps, channels, numbers);
        GuardedArray<float> dy(pixels * channels);
        dy.fill([&] { return numbers.real(-1, 1); });
        std::vector<float> expected;
        for (std::size_t t = 0; t < dw.pointers.size(); ++t) {
          for (std::int64_t c = 0; c < channels; ++c) {
            float sum = dw.pointers[t][c];
            for (std::int64_t p = 0; p < pixels; ++p) {
              sum = std::fma(dy[p * channels + c], x.pointers[t][p * x_step + c], sum);
            }
            expected.push_back(sum);
          }
        }
        real_kernels_of(table).depthwise_weight_sums({.pixels = pixels,
                                                      .channels = channels,
                                                      .taps = taps,
                                                      .x = x.pointers.data(),
                                                      .x_step = x_step,
                                                      .dy = dy.data(),
                                                      .dw = dw.pointers.data()});
        CAPTURE(taps);
        CAPTURE(channels);
        bool equal = true;
        for (std::size_t t = 0; t < dw.pointers.size(); ++t) {
          const auto at = static_cast<std::ptrdiff_t>(t) * channels;
          equal =
              equal && std::equal(dw.pointers[t], dw.pointers[t] + channels, expected.begin() + at);
        }
        CHECK(equal);
      }
    }
  });
}

namespace {

/// How taps are taken together, and how many groups neighbouring pixels share.
struct Grouping {
  std::int64_t taps, group_taps = 4, shared_groups = 0;
};

/// Operands of the integer kernel, packed for one table.
struct IntegerCase {
  std::int64_t pixels, channels, taps, group_taps;
  std::vector<std::int64_t> offsets{};
  std::vector<std::int8_t> levels{};   ///< [taps][channels]
  std::vector<float> scale{}, bias{};  ///< [channels]

  [[nodiscard]] std::vector<std::int8_t> packed_levels(std::int64_t cols) const {
    const std::int64_t g = group_taps, groups = kernels::depthwise_groups(taps, g);
    const std::int64_t blocks = (channels + cols - 1) / cols;
    std::vector<std::int8_t> packed(static_cast<std::size_t>(blocks * groups * cols * 4), 0);
    for (std::int64_t t = 0; t < taps; ++t) {
      for (std::int64_t c = 0; c < channels; ++c) {
        const std::int64_t place = kernels::depthwise_place(c, cols);
        packed[static_cast<std::size_t>(((c / cols * groups + t / g) * cols + place) * 4 + t % g)] =
            levels[static_cast<std::size_t>(t * channels + c)];
      }
    }
    return packed;
  }
  [[nodiscard]] std::vector<float> packed_values(const std::vector<float>& values,
                                                 std::int64_t cols) const {
    std::vector<float> packed(static_cast<std::size_t>((channels + cols - 1) / cols * cols), 0.0F);
    for (std::int64_t c = 0; c < channels; ++c) {
      packed[static_cast<std::size_t>(c / cols * cols + kernels::depthwise_place(c, cols))] =
          values[static_cast<std::size_t>(c)];
    }
    return packed;
  }
};

}  // namespace

TEST_CASE("places of channels in a block are a permutation") {
  for (const std::int64_t cols : {16, 32, 48, 64}) {
    std::vector<int> seen(static_cast<std::size_t>(cols), 0);
    for (std::int64_t c = 0; c < cols; ++c) {
      ++seen[static_cast<std::size_t>(kernels::depthwise_place(c, cols))];
    }
    CHECK(seen == std::vector<int>(static_cast<std::size_t>(cols), 1));
  }
}

TEST_CASE("integer taps: exact sums modulo 2^32, and the codes that the epilogue makes of them") {
  for_each_supported_isa([](const kernels::KernelTable& table) {
    const std::int64_t cols = table.depthwise_u8s8.cols;
    enum class Fill { random, lowest, highest };
    for (const auto& [taps, group_taps, shared] : std::vector<Grouping>{{1},
                                                                        {2},
                                                                        {3},
                                                                        {4},
                                                                        {7},
                                                                        {9},
                                                                        {12},
                                                                        {25},
                                                                        {256},
                                                                        {257},
                                                                        {5, 3},
                                                                        {9, 3, 0},
                                                                        {9, 3, 1},
                                                                        {9, 3, 2},
                                                                        {4, 2, 1},
                                                                        {16, 4, 3}}) {
      for (const std::int64_t channels : {1, 15, 16, 17, 32, 47, 63, 64, 65, 100, 144}) {
        const Fill fill = static_cast<Fill>((taps + channels) % 3);
        Numbers numbers(static_cast<std::uint64_t>(taps * 1000 + channels));
        IntegerCase c{.pixels = 1 + (taps + channels) % 5,
                      .channels = channels,
                      .taps = taps,
                      .group_taps = group_taps};
        // Columns of taps, `line` bytes from tap to tap; a pixel moves on by those not shared.
        const std::int64_t column = channels + 2 * (taps % 2), line = 3;
        const std::int64_t groups = kernels::depthwise_groups(taps, group_taps);
        const std::int64_t x_step = column * (groups - shared);
        for (std::int64_t t = 0; t < taps; ++t) {
          c.offsets.push_back(t / group_taps * column + t % group_taps * line);
        }
        for (std::int64_t i = 0; i < taps * channels; ++i) {
          c.levels.push_back(static_cast<std::int8_t>(fill == Fill::random
                                                          ? numbers.between(-128, 127)
                                                      : fill == Fill::lowest ? -128
                                                                             : 127));
        }
        for (std::int64_t i = 0; i < channels; ++i) {
          c.scale.push_back(numbers.real(-1e-4F, 1e-4F));
          c.bias.push_back(numbers.real(-0.2F, 1.2F));
        }
        // Codes in equal steps, and by thresholds near a line.
        std::vector<float> thresholds;
        for (int i = 0; i < 32; ++i) {
          thresholds.push_back(0.05F * (static_cast<float>(i) + numbers.real(-0.2F, 0.2F)));
        }
        const kernels::CodeSteps steps =
            channels % 4 == 0 ? kernels::CodeSteps{.inverse_step = 255.0F, .saturates = true}
            : channels % 2 == 0
                ? kernels::CodeSteps{.clip = 0.9F, .inverse_step = 15.5F, .max_code = 13}
                : kernels::CodeSteps{.thresholds = thresholds.data(),
                                     .count = 30,
                                     .line_factor = 20.0F,
                                     .line_constant = 0.5F,
                                     .line_margin = 0.22F};
        const std::vector<std::int8_t> w = c.packed_levels(cols);
        const std::vector<float> scale = c.packed_values(c.scale, cols);
        const std::vector<float> bias = c.packed_values(c.bias, cols);
        // Readable up to the end of the last block of the last tap, and no further.
        const std::int64_t blocks = (channels + cols - 1) / cols * cols;
        const std::int64_t farthest = *std::max_element(c.offsets.begin(), c.offsets.end());
        GuardedArray<std::uint8_t> x((c.pixels - 1) * x_step + farthest + blocks);
        x.fill([&] {
          return static_cast<std::uint8_t>(fill == Fill::random ? numbers.between(0, 255) : 255);
        });
        for (const auto& factors :
             {std::pair{1, 0}, std::pair{2, 1}, std::pair{5, 0}, std::pair{-6, -3},
              std::pair{-3, 7}, std::pair{1 << 20, -(1 << 24)}}) {
          const std::int32_t product_factor = factors.first, code_factor = factors.second;
          std::vector<std::int32_t> expected;
          std::vector<std::uint8_t> expected_codes;
          for (std::int64_t p = 0; p < c.pixels; ++p) {
            for (std::int64_t k = 0; k < channels; ++k) {
              std::int64_t sum = 0;
              for (std::int64_t t = 0; t < taps; ++t) {
                const std::int64_t code =
                    x[p * x_step + c.offsets[static_cast<std::size_t>(t)] + k];
                sum += code * (std::int64_t{product_factor} *
                                   c.levels[static_cast<std::size_t>(t * channels + k)] +
                               code_factor);
              }
              expected.push_back(static_cast<std::int32_t>(static_cast<std::uint64_t>(sum)));
              const auto at = static_cast<std::size_t>(k);
              const float y =
                  std::fma(static_cast<float>(expected.back()), c.scale[at], c.bias[at]);
              expected_codes.push_back(kernels::scalar::code_of(y, steps));
            }
          }
          kernels::DepthwiseU8S8 operands{.pixels = c.pixels,
                                          .channels = channels,
                                          .taps = taps,
                                          .group_taps = group_taps,
                                          .shared_groups = shared,
                                          .x = x.data(),
                                          .x_step = x_step,
                                          .offsets = c.offsets.data(),
                                          .w = w.data(),
                                          .product_factor = product_factor,
                                          .code_factor = code_factor,
                                          .scale = scale.data(),
                                          .bias = bias.data(),
                                          .steps = steps};
          CAPTURE(c.taps);
          CAPTURE(c.group_taps);
          CAPTURE(operands.shared_groups);
          CAPTURE(channels);
          CAPTURE(product_factor);
          GuardedArray<std::int32_t> sums(c.pixels * channels);
          operands.sums = sums.data();
          table.depthwise_u8s8.run(operands);
          CHECK(std::equal(expected.begin(), expected.end(), sums.data()));

          const std::int64_t codes_step = channels + 1;
          GuardedArray<std::uint8_t> codes((c.pixels - 1) * codes_step + channels);
          codes.fill([] { return std::uint8_t{99}; });
          operands.sums = nullptr;
          operands.codes = codes.data();
          operands.codes_step = codes_step;
          table.depthwise_u8s8.run(operands);
          int wrong = 0;
          for (std::int64_t p = 0; p < c.pixels; ++p) {
            for (std::int64_t k = 0; k < channels; ++k) {
              wrong += codes[p * codes_step + k] !=
                       expected_codes[static_cast<std::size_t>(p * channels + k)];
            }
            if (p + 1 < c.pixels) wrong += codes[p * codes_step + channels] != 99;
          }
          CHECK(wrong == 0);
        }
      }
    }
  });
}

TEST_CASE("integer taps: without pixels nothing is read") {
  for_each_supported_isa([](const kernels::KernelTable& table) {
    const auto cols = static_cast<std::size_t>(table.depthwise_u8s8.cols);
    const std::vector<std::int8_t> w(3 * 4 * cols, 1);
    const std::vector<std::int64_t> offsets(9, 0);
    const std::vector<float> ones(cols, 1.0F);
    std::uint8_t code = 99;
    for (const std::int64_t shared : {0, 1, 2}) {
      table.depthwise_u8s8.run({.pixels = 0,
                                .channels = 1,
                                .taps = 9,
                                .group_taps = 3,
                                .shared_groups = shared,
                                .x = nullptr,
                                .offsets = offsets.data(),
                                .w = w.data(),
                                .scale = ones.data(),
                                .bias = ones.data(),
                                .codes = &code});
    }
    CHECK(code == 99);
  });
}

TEST_CASE("integer taps: the codes of NaN, infinities and what no integer holds") {
  for_each_supported_isa([](const kernels::KernelTable& table) {
    const std::int64_t cols = table.depthwise_u8s8.cols;
    const float infinity = std::numeric_limits<float>::infinity();
    const std::vector<float> extremes{std::nanf(""), infinity, -infinity, 1e30F, -1e30F,
                                      3e9F,          -3e9F,    -0.0F,     0.4F,  100.0F};
    for (const float inverse_step : {0.0F, 1.0F, 255.0F}) {
      const kernels::CodeSteps steps{.clip = 200.0F, .inverse_step = inverse_step, .max_code = 201};
      IntegerCase c{.pixels = 3, .channels = 2 * cols, .taps = 9, .group_taps = 3};
      c.levels.assign(static_cast<std::size_t>(c.taps * c.channels), 0);
      c.scale.assign(static_cast<std::size_t>(c.channels), 1.0F);
      c.offsets.assign(static_cast<std::size_t>(c.taps), 0);
      for (std::int64_t i = 0; i < c.channels; ++i) {
        c.bias.push_back(extremes[static_cast<std::size_t>(i) % extremes.size()]);
      }
      const std::vector<std::int8_t> w = c.packed_levels(cols);
      const std::vector<float> scale = c.packed_values(c.scale, cols);
      const std::vector<float> bias = c.packed_values(c.bias, cols);
      GuardedArray<std::uint8_t> x(c.channels), codes(c.pixels * c.channels);
      x.fill([] { return std::uint8_t{7}; });
      for (const std::int64_t shared : {0, 1, 2}) {
        table.depthwise_u8s8.run({.pixels = c.pixels,
                                  .channels = c.channels,
                                  .taps = c.taps,
                                  .group_taps = c.group_taps,
                                  .shared_groups = shared,
                                  .x = x.data(),
                                  .offsets = c.offsets.data(),
                                  .w = w.data(),
                                  .scale = scale.data(),
                                  .bias = bias.data(),
                                  .steps = steps,
                                  .codes = codes.data(),
                                  .codes_step = c.channels});
        int wrong = 0;
        for (std::int64_t i = 0; i < c.pixels * c.channels; ++i) {
          const float y = c.bias[static_cast<std::size_t>(i % c.channels)];
          wrong += codes[i] != kernels::scalar::code_of(y, steps);
        }
        CHECK(wrong == 0);
      }
    }
  });
}
