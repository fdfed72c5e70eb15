// SPDX-License-Identifier: Apache-2.0
// The kernels of batch normalisation of every table against the formulas of normalisation.hpp.
#include "every_isa.hpp"

#include <cmath>
#include <cstdint>

using bitdial::kernels::real_kernels_of;
using bitdial_test::for_each_supported_isa;
using bitdial_test::GuardedArray;
using bitdial_test::Numbers;
namespace kernels = bitdial::kernels;

namespace {

// Around every number of vectors that some table takes at once.
const std::int64_t channel_counts[] = {1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 48, 64, 100};
const std::int64_t row_counts[] = {0, 1, 2, 5, 32};

struct RandomArray : GuardedArray<float> {
  RandomArray(std::int64_t size, Numbers& numbers) : GuardedArray<float>(size) {
    fill([&] { return numbers.real(-2, 2); });
  }
};

template <class Body>
void for_each_size(Body body) {
  for_each_supported_isa([&](const kernels::KernelTable& table) {
    for (const std::int64_t channels : channel_counts) {
      for (const std::int64_t rows : row_counts) {
        CAPTURE(channels);
        CAPTURE(rows);
        Numbers numbers(static_cast<std::uint64_t>(channels * 100 + rows));
        body(real_kernels_of(table), rows, channels, numbers);
      }
    }
  });
}

}  // namespace

TEST_CASE("channel_sums: one chain per channel, of dy or of the shifted x") {
  for_each_size([](const kernels::RealKernels& table, std::int64_t rows, std::int64_t channels,
                   Numbers& numbers) {
    const RandomArray x(rows * channels, numbers);
    const RandomArray dy(rows * channels, numbers);
    const RandomArray shift(channels, numbers);
    for (const bool with_dy : {false, true}) {
      const RandomArray first(channels, numbers);
      const RandomArray second(channels, numbers);
      table.channel_sums({.rows = rows,
                          .channels = channels,
                          .dy = with_dy ? dy.data() : nullptr,
                          .x = x.data(),
                          .shift = shift.data(),
                          .first = first.data(),
                          .second = second.data()});
      std::int64_t wrong = 0;
      for (std::int64_t c = 0; c < channels; ++c) {
        float sum = 0.0F, product = 0.0F;
        for (std::int64_t r = 0; r < rows; ++r) {
          const std::int64_t at = r * channels + c;
          const float v = x[at] + shift[c];
          const float a = with_dy ? dy[at] : v;
          sum += a;
          product = std::fma(a, v, product);
        }
        wrong += first[c] != sum || second[c] != product;
      }
      CHECK(wrong == 0);
    }
  });
}

TEST_CASE("scale_channels: one fused multiply-add, also in place") {
  for_each_size([](const kernels::RealKernels& table, std::int64_t rows, std::int64_t channels,
                   Numbers& numbers) {
    const RandomArray x(rows * channels, numbers);
    const RandomArray factor(channels, numbers);
    const RandomArray shift(channels, numbers);
    const RandomArray y(rows * channels, numbers);
    kernels::ScaleChannels operands{.rows = rows,
                                    .channels = channels,
                                    .x = x.data(),
                                    .factor = factor.data(),
                                    .shift = shift.data(),
                                    .y = y.data()};
    table.scale_channels(operands);
    std::int64_t wrong = 0;
    for (std::int64_t i = 0; i < x.size(); ++i) {
      const std::int64_t c = i % channels;
      wrong += y[i] != std::fma(x[i], factor[c], shift[c]);
    }
    operands.y = x.data();
    table.scale_channels(operands);
    for (std::int64_t i = 0; i < x.size(); ++i) wrong += x[i] != y[i];
    CHECK(wrong == 0);
  });
}

TEST_CASE("combine_channels: two fused multiply-adds, also in place") {
  for_each_size([](const kernels::RealKernels& table, std::int64_t rows, std::int64_t channels,
                   Numbers& numbers) {
    const RandomArray dy(rows * channels, numbers);
    const RandomArray x(rows * channels, numbers);
    const RandomArray shift(channels, numbers);
    const RandomArray a(channels, numbers);
    const RandomArray b(channels, numbers);
    const RandomArray k(channels, numbers);
    const RandomArray y(rows * channels, numbers);
    kernels::CombineChannels operands{.rows = rows,
                                      .channels = channels,
                                      .dy = dy.data(),
                                      .x = x.data(),
                                      .shift = shift.data(),
                                      .a = a.data(),
                                      .b = b.data(),
                                      .k = k.data(),
                                      .y = y.data()};
    table.combine_channels(operands);
    std::int64_t wrong = 0;
    for (std::int64_t i = 0; i < x.size(); ++i) {
      const std::int64_t c = i % channels;
      wrong += y[i] != std::fma(dy[i], a[c], std::fma(x[i] + shift[c], b[c], k[c]));
    }
    operands.y = dy.data();
    table.combine_channels(operands);
    for (std::int64_t i = 0; i < x.size(); ++i) wrong += dy[i] != y[i];
    CHECK(wrong == 0);
  });
}
