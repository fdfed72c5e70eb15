// SPDX-License-Identifier: Apache-2.0
// The kernels of batch normalisation of every table against the formulas of normalisation.hpp.
#include "every_isa.hpp"

#include <cmath>
#include <cstdint>
#include <limits>

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

/// Random bits for the elements of `size`, in whole blocks.
struct RandomWords : GuardedArray<std::uint32_t> {
  RandomWords(std::int64_t size, Numbers& numbers)
      : GuardedArray<std::uint32_t>((size + kernels::mask_block - 1) / kernels::mask_block *
                                    kernels::mask_words) {
    fill([&] { return static_cast<std::uint32_t>(numbers.bits()); });
  }
  [[nodiscard]] bool bit(std::int64_t i) const {
    constexpr std::int64_t block = kernels::mask_block, words = kernels::mask_words;
    return ((*this)[i / block * words + i % words] >> (i % block / words) & 1U) != 0;
  }
};

}  // namespace

TEST_CASE("channel_sums: even and odd rows of a channel apart, of dy or of the shifted x") {
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
        float sum[2] = {}, product[2] = {};
        for (std::int64_t r = 0; r < rows; ++r) {
          const std::int64_t at = r * channels + c;
          const float v = x[at] + shift[c];
          const float a = with_dy ? dy[at] : v;
          sum[r % 2] += a;
          product[r % 2] = std::fma(a, v, product[r % 2]);
        }
        wrong += first[c] != sum[0] + sum[1] || second[c] != product[0] + product[1];
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

TEST_CASE("channel_sums and combine_channels: what a mask closes counts as +0") {
  for_each_size([](const kernels::RealKernels& table, std::int64_t rows, std::int64_t channels,
                   Numbers& numbers) {
    if (channels % kernels::gated_channels != 0) return;
    const RandomArray dy(rows * channels, numbers);
    const RandomWords words(rows * channels, numbers);
    const RandomArray x(rows * channels, numbers);
    const RandomArray shift(channels, numbers);
    const RandomArray a(channels, numbers);
    const RandomArray b(channels, numbers);
    const RandomArray k(channels, numbers);
    const RandomArray gated(rows * channels, numbers);
    for (std::int64_t i = 0; i < dy.size(); ++i) {
      gated[i] = words.bit(i) ? dy[i] : 0.0F;
      if (!words.bit(i)) dy[i] = std::numeric_limits<float>::infinity();
    }
    const RandomArray first(channels, numbers), second(channels, numbers);
    const RandomArray expected_first(channels, numbers), expected_second(channels, numbers);
    kernels::ChannelSums sums{.rows = rows,
                              .channels = channels,
                              .dy = dy.data(),
                              .words = words.data(),
                              .x = x.data(),
                              .shift = shift.data(),
                              .first = first.data(),
                              .second = second.data()};
    table.channel_sums(sums);
    sums.dy = gated.data();
    sums.words = nullptr;
    sums.first = expected_first.data();
    sums.second = expected_second.data();
    table.channel_sums(sums);
    std::int64_t wrong = 0;
    for (std::int64_t c = 0; c < channels; ++c) {
      wrong += first[c] != expected_first[c] || second[c] != expected_second[c];
    }
    kernels::CombineChannels combination{.rows = rows,
                                         .channels = channels,
                                         .dy = dy.data(),
                                         .words = words.data(),
                                         .x = x.data(),
                                         .shift = shift.data(),
                                         .a = a.data(),
                                         .b = b.data(),
                                         .k = k.data(),
                                         .y = dy.data()};
    table.combine_channels(combination);
    combination.dy = combination.y = gated.data();
    combination.words = nullptr;
    table.combine_channels(combination);
    for (std::int64_t i = 0; i < dy.size(); ++i) wrong += dy[i] != gated[i];
    CHECK(wrong == 0);
  });
}
