// SPDX-License-Identifier: Apache-2.0
#include <bitdial/ops/channel_moments.hpp>

#include <cmath>
#include <cstdint>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/ops/batch_norm.hpp>
#include <bitdial/ops/conv2d.hpp>
#include <bitdial/ops/qconv2d.hpp>

#include "op_support.hpp"

using namespace bitdial;
using namespace op_test;

namespace {

/// Mean and variance from the moments are those of one pass over y.
void check_statistics(const Tensor<float>& y, const ops::ChannelMoments& moments) {
  const std::int64_t channels = y.shape().back();
  Tensor<float> mean({channels}), var({channels}), mean_of_pass({channels}),
      var_of_pass({channels});
  const double rows = ops::batch_statistics(mean.view(), var.view(), y.view(), nullptr, &moments);
  CHECK(rows == static_cast<double>(y.size() / channels));
  ops::batch_statistics(mean_of_pass.view(), var_of_pass.view(), y.view());
  for (std::int64_t c = 0; c < channels; ++c) {
    const float deviation = std::sqrt(var_of_pass[c]);
    REQUIRE(std::fabs(mean[c] - mean_of_pass[c]) <= 1e-5F * (deviation + std::fabs(mean[c])));
    REQUIRE(std::fabs(var[c] - var_of_pass[c]) <= 1e-4F * var_of_pass[c]);
  }
}

}  // namespace

TEST_CASE("moments: blocks of any size, around any origin, also with a large common offset") {
  auto x = random_tensor<float>({150, 5}, 1, 999.0, 1001.0);
  ops::ChannelMoments moments;
  moments.start(4, 5);
  std::int64_t first = 0, block = 0;
  for (const std::int64_t rows : {1, 100, 33, 16}) {
    moments.add(block++, rows, x.data() + first * 5);
    first += rows;
  }
  check_statistics(x, moments);
  std::vector<double> sum, squares;
  const std::vector<float> zeros(5, 0.0F);
  moments.around(zeros.data(), sum, squares);
  for (std::int64_t c = 0; c < 5; ++c) {
    double expected = 0.0, expected_squares = 0.0;
    for (std::int64_t r = 0; r < 150; ++r) {
      const auto v = static_cast<double>(x[r * 5 + c]);
      expected += v;
      expected_squares += v * v;
    }
    CHECK(sum[static_cast<std::size_t>(c)] == doctest::Approx(expected).epsilon(1e-7));
    CHECK(squares[static_cast<std::size_t>(c)] == doctest::Approx(expected_squares).epsilon(1e-7));
  }
}

TEST_CASE("moments of convolutions: every way to compute them, the same for 1, 2 and 7 threads") {
  struct Case {
    Shape x, w;
    ops::Window window;
    ops::Sums sums;
  };
  const auto three = ops::Window::square(3, {.padding = 1});
  const Case cases[] = {
      {{5, 16, 17, 8}, {16, 3, 3, 8}, three, ops::Sums::fewest_products},
      {{5, 16, 17, 8}, {16, 3, 3, 8}, three, ops::Sums::chains},
      {{3, 9, 70, 6}, {7, 1, 1, 6}, ops::Window::square(1), ops::Sums::chains},
      {{3, 9, 70, 6}, {7, 3, 3, 6}, ops::Window::square(3, {.stride = 2}), ops::Sums::chains},
  };
  for (const Case& c : cases) {
    const auto x = random_tensor<float>(c.x, 1, -1.0, 2.0);
    const auto w = random_tensor<float>(c.w, 2);
    Tensor<float> y(ops::conv2d_output_shape(c.x, c.w, c.window)), expected(y.shape());
    ops::conv2d_forward(expected.view(), x.view(), w.view(), c.window, c.sums);
    std::vector<double> sum, squares, sum_of_one, squares_of_one;
    for (const int threads : {1, 2, 7}) {
      set_thread_count(threads);
      ops::ChannelMoments moments;
      ops::conv2d_forward(y.view(), x.view(), w.view(), c.window, c.sums, &moments);
      CHECK(same_bits(y, expected));
      check_statistics(y, moments);
      moments.around(y.data(), sum, squares);
      if (threads == 1) sum_of_one = sum, squares_of_one = squares;
      CHECK(sum == sum_of_one);
      CHECK(squares == squares_of_one);
      set_thread_count(0);
    }
  }
}

TEST_CASE("moments of integer convolutions") {
  const Shape x_shape{4, 12, 40, 8}, w_shape{20, 3, 3, 8};
  Tensor<std::uint8_t> x(x_shape), w(w_shape);
  Random random{3, 0};
  for (std::uint8_t& code : x.span()) code = static_cast<std::uint8_t>(random.below(16));
  for (std::uint8_t& code : w.span()) code = static_cast<std::uint8_t>(random.below(16));
  const ops::CodesView x_codes{x.cview(), {0.25F, 1, 0}, 4},
      w_codes{w.cview(), {0.125F, 2, -15}, 4};
  const auto window = ops::Window::square(3, {.padding = 1});
  Tensor<float> y(ops::conv2d_output_shape(x_shape, w_shape, window));
  ops::ChannelMoments moments;
  ops::qconv2d_forward(y.view(), x_codes, w_codes, window, &moments);
  check_statistics(y, moments);
}
