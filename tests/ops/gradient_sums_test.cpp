// SPDX-License-Identifier: Apache-2.0
#include <bitdial/ops/gradient_sums.hpp>

#include <cstdint>
#include <memory>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/ops/batch_norm.hpp>
#include <bitdial/ops/bit_mask.hpp>

#include "op_support.hpp"

using namespace bitdial;
using namespace op_test;

TEST_CASE("gradient sums: blocks in any order, with and without a mask") {
  constexpr std::int64_t rows = 136, channels = 48;
  const auto x = random_tensor<float>({rows, channels}, 1, 2.0, 4.0);
  const auto dy = random_tensor<float>({rows, channels}, 2, -1.0, 1.0);
  const std::vector<float> shift(channels, -3.0F);
  const auto mask = std::make_shared<ops::BitMask>(x.size());
  mask->write(0, x.size(), x.data(), [](float v) { return v > 2.5F; });
  for (const bool is_masked : {false, true}) {
    CAPTURE(is_masked);
    ops::GradientSums sums(x.data(), shift);
    CHECK_FALSE(sums.are_known());
    sums.start(3, is_masked ? mask : nullptr);
    const std::int64_t begins[] = {0, 64, 72, 136};  // whole blocks of the mask
    for (const std::int64_t block : {2, 0, 1}) {
      const std::int64_t begin = begins[block] * channels;
      sums.add(block, begin, begins[block + 1] * channels, dy.data() + begin);
    }
    CHECK_FALSE(sums.are_known());
    sums.finish();
    REQUIRE(sums.are_known());
    std::vector<double> first, second;
    sums.total(first, second);
    for (std::int64_t c = 0; c < channels; ++c) {
      double expected = 0.0, expected_product = 0.0;
      for (std::int64_t i = c; i < x.size(); i += channels) {
        if (is_masked && !(*mask)[i]) continue;
        expected += static_cast<double>(dy[i]);
        expected_product += static_cast<double>(dy[i]) * (static_cast<double>(x[i]) - 3.0);
      }
      const auto i = static_cast<std::size_t>(c);
      CHECK(first[i] == doctest::Approx(expected).epsilon(1e-5));
      CHECK(second[i] == doctest::Approx(expected_product).epsilon(1e-5));
    }
    sums.discard();
    CHECK_FALSE(sums.are_known());
  }
}

TEST_CASE("batch_norm: sums that are known already stand for a pass over the gradient") {
  constexpr std::int64_t rows = 64, channels = 32;
  const auto x = random_tensor<float>({rows, channels}, 3, -1.0, 1.0);
  const auto dy = random_tensor<float>({rows, channels}, 4, -1.0, 1.0);
  const auto gamma = random_tensor<float>({channels}, 5, 0.5, 1.5);
  Tensor<float> mean({channels}), inv_std({channels}, 2.0F);
  for (std::int64_t c = 0; c < channels; ++c) mean[c] = 0.01F * static_cast<float>(c);
  std::vector<float> shift(channels);
  for (std::int64_t c = 0; c < channels; ++c) shift[static_cast<std::size_t>(c)] = -mean[c];
  ops::GradientSums known(x.data(), shift);
  known.start(1, nullptr);
  known.add(0, 0, dy.size(), dy.data());
  known.finish();
  const auto slope = [&](const ops::GradientSums* sums, Tensor<float>& dgamma) {
    return ops::BatchNormSlope<float>(
        dgamma.view(), TensorView<float>{},
        [&](std::int64_t begin, std::int64_t) {
          CHECK(sums == nullptr);
          return dy.data() + begin;
        },
        x.view(), gamma.view(), mean.view(), inv_std.view(), nullptr, nullptr, sums);
  };
  Tensor<float> dgamma({channels}), dgamma_known({channels});
  const auto expected = slope(nullptr, dgamma), by_sums = slope(&known, dgamma_known);
  for (std::int64_t c = 0; c < channels; ++c) {
    const auto i = static_cast<std::size_t>(c);
    CHECK(dgamma_known[c] == doctest::Approx(static_cast<double>(dgamma[c])).epsilon(1e-5));
    CHECK(by_sums.b[i] == doctest::Approx(static_cast<double>(expected.b[i])).epsilon(1e-5));
    CHECK(by_sums.k[i] == doctest::Approx(static_cast<double>(expected.k[i])).epsilon(1e-5));
  }
}
