// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/core/random.hpp>
#include <bitdial/nn/conv2d.hpp>
#include <bitdial/nn/linear.hpp>
#include <bitdial/switchable/exact_sums.hpp>

using namespace bitdial;

namespace {

Tensor<float> random_integers(const Shape& shape, std::uint64_t seed, int low, int high) {
  Random random(seed, 3);
  Tensor<float> tensor(shape);
  for (float& x : tensor.span()) {
    x = static_cast<float>(
        low + static_cast<int>(random.below(static_cast<std::uint32_t>(high - low + 1))));
  }
  return tensor;
}

/// The sums of a linear layer in 64-bit integers, rounded once.
std::vector<float> integer_sums(const Tensor<float>& x, const Tensor<float>& w) {
  std::vector<float> sums;
  for (std::int64_t n = 0; n < x.extent(0); ++n) {
    for (std::int64_t o = 0; o < w.extent(0); ++o) {
      std::int64_t sum = 0;
      for (std::int64_t k = 0; k < w.extent(1); ++k) {
        sum += static_cast<std::int64_t>(x[n * w.extent(1) + k]) *
               static_cast<std::int64_t>(w[o * w.extent(1) + k]);
      }
      sums.push_back(static_cast<float>(sum));
    }
  }
  return sums;
}

std::vector<float> exact(const Tensor<float>& x, const Tensor<float>& w) {
  const nn::Linear layer({.in = w.extent(1), .out = w.extent(0)});
  const Tensor<float> y = detail::exact_sums(layer, x, w, 255.0);
  CHECK(y.shape() == Shape{x.extent(0), w.extent(0)});
  return {y.span().begin(), y.span().end()};
}

}  // namespace

TEST_CASE("the bound is the largest row sum of magnitudes times the largest activation") {
  Tensor<float> w({2, 3});
  const float values[] = {1, -2, 3, -4, 0, 4};
  std::copy_n(values, 6, w.data());
  CHECK(detail::sum_bound(w, 10.0) == 80.0);
  CHECK(detail::sum_bound(Tensor<float>({0, 3}), 10.0) == 0.0);
}

TEST_CASE("sums equal 64-bit integers, below and above 2^24") {
  for (const std::int64_t depth : {1, 7, 64, 258, 259, 1000, 5000}) {
    CAPTURE(depth);
    const Tensor<float> x = random_integers({5, depth}, 1, 0, 255);
    CHECK(exact(x, random_integers({9, depth}, 2, -255, 255)) ==
          integer_sums(x, random_integers({9, depth}, 2, -255, 255)));
    // One sign only: the sums really leave 2^24.
    CHECK(exact(x, random_integers({9, depth}, 3, 200, 255)) ==
          integer_sums(x, random_integers({9, depth}, 3, 200, 255)));
  }
}

TEST_CASE("the largest sums on both sides of the switch") {
  const Tensor<float> below_x({1, 258}, 255.0F);
  const Tensor<float> below_w({1, 258}, 255.0F);
  CHECK(detail::sum_bound(below_w, 255.0) <= 0x1p24);
  CHECK(exact(below_x, below_w) == std::vector<float>{16776450.0F});
  const Tensor<float> above_x({1, 261}, 255.0F);
  const Tensor<float> above_w({1, 261}, 255.0F);
  CHECK(detail::sum_bound(above_w, 255.0) > 0x1p24);
  // 16971525 lies between two floats and goes to the even one.
  CHECK(exact(above_x, above_w) == std::vector<float>{16971524.0F});
}

TEST_CASE("a bound of exactly 2^24 is still exact in f32, and both ways agree") {
  // 2^24 = 128 * 131072: the sum itself is reached.
  Tensor<float> w({1, 1024}, 128.0F);
  const Tensor<float> x({1, 1024}, 128.0F);
  const nn::Linear layer({.in = 1024, .out = 1});
  CHECK(detail::exact_sums(layer, x, w, 128.0)[0] == 0x1p24F);
  // A larger declared bound takes digits.
  CHECK(detail::exact_sums(layer, x, w, 129.0)[0] == 0x1p24F);
}

TEST_CASE("padded convolutions: both ways give the same bits") {
  const nn::Conv2d layer({.in = 5, .out = 3, .kernel = 3, .stride = 2, .padding = 1});
  const Tensor<float> x = random_integers({2, 7, 9, 5}, 4, -255, 255);
  const Tensor<float> w = random_integers({3, 3, 3, 5}, 5, -255, 255);
  const Tensor<float> narrow = detail::exact_sums(layer, x, w, 255.0);
  const Tensor<float> wide = detail::exact_sums(layer, x, w, 1e9);
  CHECK(narrow.shape() == Shape{2, 4, 5, 3});
  CHECK(std::ranges::equal(narrow.span(), wide.span()));
}

TEST_CASE("digits are as long as 2^24 permits") {
  CHECK(detail::digit_base(0x1p24) == 2.0F);
  CHECK(detail::digit_base(0x1p23) == 2.0F);
  CHECK(detail::digit_base(0x1p24 / 3.0) == 4.0F);
  CHECK(detail::digit_base(255.0 * 5000.0) == 8.0F);
  CHECK(detail::digit_base(0.0) == 0x1p24F);
  CHECK_THROWS_AS(static_cast<void>(detail::digit_base(0x1p24 + 1.0)), ShapeError);
}
