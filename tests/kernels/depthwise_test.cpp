// SPDX-License-Identifier: Apache-2.0
// The depthwise kernels of every table against the formulas of depthwise.hpp.
#include "every_isa.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

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
    for (const std::int64_t taps : {0, 1, 4, 6, 9, 10, 25}) {
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
          table.depthwise_taps({.pixels = pixels,
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
        table.depthwise_weight_sums({.pixels = pixels,
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
