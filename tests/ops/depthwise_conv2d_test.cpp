// SPDX-License-Identifier: Apache-2.0
#include <bitdial/ops/depthwise_conv2d.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "grouped_definition.hpp"
#include "op_support.hpp"

using namespace bitdial;
using namespace op_test;
using ops::Window;

namespace {

GroupedCase depthwise(const Shape& x, const Window& window) {
  return {x, x[3], x[3], window};
}

// Channels below, at and beyond vectors of 8 and 16; every branch of stride, padding, dilation;
// windows larger than the image, and windows of which some places see nothing but padding.
const std::vector<GroupedCase> cases = {
    depthwise({2, 5, 7, 3}, Window::square(3, {.padding = 1})),
    depthwise({1, 7, 5, 16}, Window::square(3, {.stride = 2, .padding = 1})),
    depthwise({2, 8, 9, 17}, Window::square(3, {.stride = 2, .padding = 1})),
    depthwise({1, 9, 8, 33}, Window::square(3)),
    depthwise({1, 7, 9, 8}, Window::square(3, {.padding = 2, .dilation = 2})),
    depthwise({1, 9, 8, 25}, Window::square(3, {.stride = 2, .padding = 3, .dilation = 3})),
    depthwise({1, 11, 10, 40}, Window::square(5, {.stride = 2, .padding = 2})),
    depthwise({1, 3, 3, 24}, Window::square(7, {.padding = 3})),
    depthwise({1, 4, 4, 2}, Window::square(2, {.stride = 3})),
    depthwise({1, 2, 3, 9}, Window::square(1, {.stride = 2, .padding = 2})),
    depthwise({1, 6, 6, 48}, {.kernel_h = 2, .kernel_w = 3, .stride_h = 2, .padding_w = 1}),
    depthwise({1, 6, 9, 5}, {.kernel_h = 1, .kernel_w = 7, .stride_w = 4, .padding_w = 3}),
};

}  // namespace

TEST_CASE("forward is one chain of fused multiply-adds in the order of the taps") {
  for (const GroupedCase& c : cases) {
    CAPTURE(c.x.text());
    CAPTURE(c.w().text());
    const auto x = random_tensor<float>(c.x, 1);
    const auto w = random_tensor<float>(c.w(), 2);
    Tensor<float> expected(c.y());
    for_each_product(c, [&](std::int64_t iy, std::int64_t ix, std::int64_t iw) {
      expected[iy] = std::fma(x[ix], w[iw], expected[iy]);
    });
    Tensor<float> y(c.y(), 7.0F);  // overwritten
    ops::depthwise_conv2d_forward(y.view(), x.view(), w.view(), c.window);
    CHECK(same_bits(y, expected));
  }
}

TEST_CASE("the derivative of the weights of one image is one chain in the order of the pixels") {
  for (const GroupedCase& c : cases) {
    if (c.x[0] != 1) continue;
    CAPTURE(c.x.text());
    CAPTURE(c.w().text());
    const auto x = random_tensor<float>(c.x, 1);
    const auto dy = random_tensor<float>(c.y(), 3);
    Tensor<float> expected(c.w());
    for_each_product(c, [&](std::int64_t iy, std::int64_t ix, std::int64_t iw) {
      expected[iw] = std::fma(dy[iy], x[ix], expected[iw]);
    });
    Tensor<float> dw(c.w());
    ops::depthwise_conv2d_backward_weight(dw.view(), dy.view(), x.view(), c.window);
    CHECK(same_bits(dw, expected));
  }
}

TEST_CASE("nothing depends on the number of threads") {
  for (const std::int64_t stride : {1, 2}) {
    const GroupedCase c =
        depthwise({19, 19, 18, 24}, Window::square(3, {.stride = stride, .padding = 1}));
    const auto x = random_tensor<float>(c.x, 1);
    const auto w = random_tensor<float>(c.w(), 2);
    const auto dy = random_tensor<float>(c.y(), 3);
    CHECK(same_for_every_thread_count([&] {
      Tensor<float> y(c.y());
      ops::depthwise_conv2d_forward(y.view(), x.view(), w.view(), c.window);
      return y;
    }));
    CHECK(same_for_every_thread_count([&] {
      Tensor<float> dx(c.x);
      ops::depthwise_conv2d_backward_input(dx.view(), dy.view(), w.view(), c.window);
      return dx;
    }));
    CHECK(same_for_every_thread_count([&] {
      Tensor<float> dw(c.w());
      ops::depthwise_conv2d_backward_weight(dw.view(), dy.view(), x.view(), c.window);
      return dw;
    }));
  }
}

TEST_CASE("whole numbers are exact") {
  const GroupedCase c = depthwise({2, 9, 7, 21}, Window::square(3, {.padding = 1}));
  const auto x = integer_tensor<float>(c.x, 1, -255, 255);
  const auto w = integer_tensor<float>(c.w(), 2, -255, 255);
  Tensor<double> expected(c.y());
  for_each_product(c, [&](std::int64_t iy, std::int64_t ix, std::int64_t iw) {
    expected[iy] += static_cast<double>(x[ix]) * static_cast<double>(w[iw]);
  });
  Tensor<float> y(c.y());
  ops::depthwise_conv2d_forward(y.view(), x.view(), w.view(), c.window);
  std::int64_t wrong = 0;
  for (std::int64_t i = 0; i < y.size(); ++i) wrong += static_cast<double>(y[i]) != expected[i];
  CHECK(wrong == 0);
}

TEST_CASE("an empty batch is empty") {
  const GroupedCase c = depthwise({0, 5, 5, 3}, Window::square(3));
  const Tensor<float> x(c.x);
  const auto w = random_tensor<float>(c.w(), 2);
  Tensor<float> y(c.y());
  Tensor<float> dx(c.x);
  Tensor<float> dw(c.w(), 3.0F);
  ops::depthwise_conv2d_forward(y.view(), x.view(), w.view(), c.window);
  ops::depthwise_conv2d_backward_input(dx.view(), y.view(), w.view(), c.window);
  ops::depthwise_conv2d_backward_weight(dw.view(), y.view(), x.view(), c.window);
  CHECK(dw[0] == 3.0F);
}

TEST_CASE("shapes that do not fit are named") {
  const auto message = [](const Shape& x, const Shape& w, const Window& window) -> std::string {
    try {
      static_cast<void>(ops::depthwise_conv2d_output_shape(x, w, window));
    } catch (const ShapeError& error) {
      return error.what();
    }
    return "";
  };
  CHECK(message({8, 32, 4}, {4, 3, 3, 1}, Window::square(3)) ==
        "depthwise_conv2d: x must be [N, H, W, C], it is [8, 32, 4]");
  CHECK(message({8, 32, 32, 4}, {4, 3, 3, 4}, Window::square(3)) ==
        "depthwise_conv2d: weight must be [C, kh, kw, 1], it is [4, 3, 3, 4]");
  CHECK(message({8, 32, 32, 4}, {3, 3, 3, 1}, Window::square(3)) ==
        "depthwise_conv2d: weight [3, 3, 3, 1] expects 3 channels, x is [8, 32, 32, 4]");
  CHECK(message({8, 32, 32, 4}, {4, 3, 3, 1}, Window::square(5)) ==
        "conv2d: weight [4, 3, 3, 1] has a 3 x 3 kernel, the window is 5 x 5 with stride 1 x 1");
  Tensor<float> y({1, 3, 3, 5});
  const Tensor<float> x({1, 5, 5, 4});
  const Tensor<float> w({4, 3, 3, 1});
  CHECK_THROWS_WITH_AS(
      ops::depthwise_conv2d_forward(y.view(), x.view(), w.view(), Window::square(3)),
      "depthwise_conv2d: y must be [1, 3, 3, 4], it is [1, 3, 3, 5]", ShapeError);
}
