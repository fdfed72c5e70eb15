// SPDX-License-Identifier: Apache-2.0
#include <bitdial/ops/pooling.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <bitdial/autodiff/grad_check.hpp>

#include "op_support.hpp"

using namespace bitdial;
using namespace op_test;
using ops::Window;

namespace {

const std::vector<Window> windows = {
    Window::square(2, {.stride = 2}),
    Window::square(3, {.stride = 2, .padding = 1}),
    Window::square(3, {.stride = 1, .padding = 1}),
    Window::square(2, {.stride = 1, .padding = 0, .dilation = 2}),
    {.kernel_h = 1, .kernel_w = 4, .stride_w = 3, .padding_w = 2},
    {.kernel_h = 5, .kernel_w = 2, .stride_h = 2, .padding_h = 2},
};

// Calls f(index of y, index of x) for every tap inside the image.
template <class F>
void for_each_read(const Shape& x, const Window& v, F f) {
  const Shape y = ops::pool2d_output_shape("test", x, v);
  for (std::int64_t n = 0; n < y[0]; ++n)
    for (std::int64_t oh = 0; oh < y[1]; ++oh)
      for (std::int64_t ow = 0; ow < y[2]; ++ow)
        for (std::int64_t kh = 0; kh < v.kernel_h; ++kh)
          for (std::int64_t kw = 0; kw < v.kernel_w; ++kw)
            for (std::int64_t c = 0; c < x[3]; ++c) {
              const std::int64_t ih = oh * v.stride_h + kh * v.dilation_h - v.padding_h;
              const std::int64_t iw = ow * v.stride_w + kw * v.dilation_w - v.padding_w;
              if (ih < 0 || ih >= x[1] || iw < 0 || iw >= x[2]) continue;
              f(((n * y[1] + oh) * y[2] + ow) * y[3] + c, ((n * x[1] + ih) * x[2] + iw) * x[3] + c);
            }
}

const Shape image{2, 5, 7, 19};

}  // namespace

TEST_CASE("max_pool2d matches its definition and saves where the maximum was") {
  for (const Window& window : windows) {
    const auto x = random_tensor<float>(image, 1);
    const Shape shape = ops::pool2d_output_shape("test", image, window);
    Tensor<float> y(shape);
    Tensor<std::int32_t> argmax(shape);
    ops::max_pool2d_forward(y.view(), argmax.view(), x.view(), window);
    Tensor<float> expected(shape, -std::numeric_limits<float>::infinity());
    for_each_read(image, window, [&](std::int64_t to, std::int64_t from) {
      expected[to] = std::max(expected[to], x[from]);
    });
    CHECK(same_bits(y, expected));
    const auto dy = random_tensor<float>(shape, 2, 1.0, 2.0);
    Tensor<float> dx(image, 0.5F);
    ops::max_pool2d_backward(dx.view(), dy.view(), argmax.view());
    Tensor<float> dx_expected(image, 0.5F);
    for_each_read(image, window, [&](std::int64_t to, std::int64_t from) {
      if (x[from] == y[to]) dx_expected[from] += dy[to];
    });
    for (std::int64_t i = 0; i < dx.size(); ++i) {
      REQUIRE(dx[i] == doctest::Approx(static_cast<double>(dx_expected[i])));
    }
  }
}

TEST_CASE("max_pool2d takes the first of equals and ignores empty windows") {
  const Tensor<float> equal({1, 2, 2, 1}, 3.0F);
  Tensor<float> y({1, 1, 1, 1});
  Tensor<std::int32_t> argmax({1, 1, 1, 1});
  ops::max_pool2d_forward(y.view(), argmax.view(), equal.view(), Window::square(2));
  CHECK(y[0] == 3.0F);
  CHECK(argmax[0] == 0);
  const Tensor<float> low({1, 2, 2, 1}, -std::numeric_limits<float>::infinity());
  ops::max_pool2d_forward(y.view(), argmax.view(), low.view(), Window::square(2));
  CHECK(argmax[0] == 0);
  // Taps at -1 and 1 of a single pixel.
  const Tensor<float> pixel({1, 1, 1, 1}, 3.0F);
  const Window around = Window::square(2, {.padding = 1, .dilation = 2});
  ops::max_pool2d_forward(y.view(), argmax.view(), pixel.view(), around);
  CHECK(argmax[0] == -1);
  Tensor<float> dx({1, 1, 1, 1});
  const Tensor<float> dy({1, 1, 1, 1}, 1.0F);
  ops::max_pool2d_backward(dx.view(), dy.view(), argmax.view());
  CHECK(dx[0] == 0.0F);
}

TEST_CASE("average_pool2d is a sequential sum and one division, padding counting as zeros") {
  for (const Window& window : windows) {
    const auto x = random_tensor<float>(image, 1);
    const Shape shape = ops::pool2d_output_shape("test", image, window);
    Tensor<float> y(shape, 5.0F);
    ops::average_pool2d_forward(y.view(), x.view(), window);
    Tensor<float> expected(shape);
    for_each_read(image, window,
                  [&](std::int64_t to, std::int64_t from) { expected[to] += x[from]; });
    for (float& v : expected.span()) v /= static_cast<float>(window.taps());
    CHECK(same_bits(y, expected));
  }
}

TEST_CASE("average_pool2d and global_average_pool derivatives match finite differences") {
  auto x = random_tensor<double>({2, 5, 7, 3}, 1);
  for (const Window& window : windows) {
    const Shape shape = ops::pool2d_output_shape("test", x.shape(), window);
    const auto dy = random_tensor<double>(shape, 2);
    Tensor<double> dx(x.shape());
    ops::average_pool2d_backward(dx.view(), dy.view(), window);
    const GradCheck check = check_gradient(x.view(), dx.view(), [&] {
      Tensor<double> y(shape);
      ops::average_pool2d_forward(y.view(), x.view(), window);
      return dot(y, dy);
    });
    CHECK_MESSAGE(check.error < 1e-8, check.text());
  }
  const auto dy = random_tensor<double>({2, 3}, 2);
  Tensor<double> dx(x.shape(), 0.5);
  ops::global_average_pool_backward(dx.view(), dy.view());
  for (double& g : dx.span()) g -= 0.5;
  const GradCheck check = check_gradient(x.view(), dx.view(), [&] {
    Tensor<double> y({2, 3});
    ops::global_average_pool_forward(y.view(), x.view());
    return dot(y, dy);
  });
  CHECK_MESSAGE(check.error < 1e-8, check.text());
}

TEST_CASE("max_pool2d derivative matches finite differences") {
  auto x = random_tensor<double>({2, 5, 7, 3}, 1);
  for (const Window& window : windows) {
    const Shape shape = ops::pool2d_output_shape("test", x.shape(), window);
    const auto dy = random_tensor<double>(shape, 2);
    Tensor<std::int32_t> argmax(shape);
    const auto loss = [&] {
      Tensor<double> y(shape);
      ops::max_pool2d_forward(y.view(), argmax.view(), x.view(), window);
      return dot(y, dy);
    };
    static_cast<void>(loss());
    Tensor<double> dx(x.shape());
    ops::max_pool2d_backward(dx.view(), dy.view(), argmax.view());
    const GradCheck check = check_gradient(x.view(), dx.view(), loss, 1e-7);
    CHECK_MESSAGE(check.error < 1e-6, check.text());
  }
}

TEST_CASE("global_average_pool sums pixels in order") {
  const auto x = random_tensor<float>(image, 1);
  Tensor<float> y({2, 19}, 4.0F);
  ops::global_average_pool_forward(y.view(), x.view());
  for (std::int64_t n = 0; n < 2; ++n) {
    for (std::int64_t c = 0; c < 19; ++c) {
      float sum = 0.0F;
      for (std::int64_t p = 0; p < 35; ++p) sum += x[(n * 35 + p) * 19 + c];
      CHECK(y.view()(n, c) == sum / 35.0F);
    }
  }
}

TEST_CASE("pooling does not depend on the number of threads") {
  const Shape shape{33, 13, 12, 9};
  const Window window = Window::square(3, {.stride = 1, .padding = 1});
  const auto x = random_tensor<float>(shape, 1);
  Tensor<std::int32_t> argmax(shape);
  CHECK(same_for_every_thread_count([&] {
    Tensor<float> y(shape);
    ops::max_pool2d_forward(y.view(), argmax.view(), x.view(), window);
    return y;
  }));
  CHECK(same_for_every_thread_count([&] {
    Tensor<float> dx(shape);
    ops::max_pool2d_backward(dx.view(), x.view(), argmax.view());
    return dx;
  }));
  CHECK(same_for_every_thread_count([&] {
    Tensor<float> y(shape);
    ops::average_pool2d_forward(y.view(), x.view(), window);
    return y;
  }));
  CHECK(same_for_every_thread_count([&] {
    Tensor<float> dx(shape);
    ops::average_pool2d_backward(dx.view(), x.view(), window);
    return dx;
  }));
}

TEST_CASE("pooling says which shapes do not fit") {
  CHECK_THROWS_WITH_AS(
      static_cast<void>(ops::pool2d_output_shape("max_pool2d", {1, 2, 2, 3}, Window::square(3))),
      "max_pool2d: a 3 x 3 window with stride 1 x 1 and padding 0 x 0 does not fit into x "
      "[1, 2, 2, 3]",
      ShapeError);
  CHECK_THROWS_WITH_AS(
      static_cast<void>(ops::pool2d_output_shape("max_pool2d", {2, 2, 3}, Window::square(1))),
      "max_pool2d: x must be [N, H, W, C], it is [2, 2, 3]", ShapeError);
  Tensor<float> y({2, 3});
  const Tensor<float> x({2, 0, 4, 3});
  CHECK_THROWS_WITH_AS(ops::global_average_pool_forward(y.view(), x.view()),
                       "global_average_pool: x [2, 0, 4, 3] has no pixels", ShapeError);
}

TEST_CASE("max_pool2d takes NaN only where there is nothing else") {
  const float nan = std::nanf("");
  const float low = -std::numeric_limits<float>::infinity();
  struct Example {
    std::vector<float> x;
    float y;
    std::int32_t argmax;
  };
  for (const Example& e :
       {Example{{nan, 1, 2, nan}, 2, 2}, Example{{3, nan, 2, nan}, 3, 0},
        Example{{nan, nan, nan, low}, low, 3}, Example{{nan, low, nan, low}, low, 1},
        Example{{nan, nan, nan, nan}, nan, 0}, Example{{low, nan, low, nan}, low, 0}}) {
    Tensor<float> x({1, 2, 2, 1});
    std::copy(e.x.begin(), e.x.end(), x.data());
    Tensor<float> y({1, 1, 1, 1});
    Tensor<std::int32_t> argmax({1, 1, 1, 1});
    ops::max_pool2d_forward(y.view(), argmax.view(), x.view(), Window::square(2));
    CHECK(argmax[0] == e.argmax);
    CHECK((std::isnan(e.y) ? std::isnan(y[0]) : y[0] == e.y));
  }
}
