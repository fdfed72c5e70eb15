// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <span>

#include <doctest/doctest.h>
#include <bitdial/autodiff/grad_check.hpp>
#include <bitdial/nn/conv2d.hpp>
#include <bitdial/nn/traverse.hpp>
#include <support/tensors.hpp>

using namespace bitdial;

TEST_CASE("options out of range name every option") {
  for (const nn::Conv2dOptions& options :
       {nn::Conv2dOptions{.in = 0}, nn::Conv2dOptions{.out = -1}, nn::Conv2dOptions{.kernel = 0},
        nn::Conv2dOptions{.stride = 0}, nn::Conv2dOptions{.padding = -1},
        nn::Conv2dOptions{.dilation = {1, 0}}}) {
    CHECK_THROWS_AS(nn::Conv2d{options}, ConfigError);
  }
  CHECK(test::error_text<ConfigError>(
            [] { nn::Conv2d({.in = 3, .out = 5, .kernel = 7, .stride = 0, .padding = 2}); }) ==
        "conv2d: channels, kernel, stride and dilation must be at least 1 and padding at least 0, "
        "got in 3, out 5, kernel 7, stride 0, padding 2, dilation 1");
}

TEST_CASE("geometry and weight shape follow the options") {
  nn::Conv2d conv({.in = 3, .out = 5, .kernel = 7, .stride = 2, .padding = 4});
  CHECK(conv.weight().value.shape() == Shape{5, 7, 7, 3});
  CHECK(conv.weight().role == nn::ParameterRole::weight);
  const nn::LayerGeometry geometry = conv.geometry();
  CHECK(geometry.kind == ops::NodeKind::conv2d);
  CHECK(geometry.out_channels == 5);
  CHECK(geometry.in_channels == 3);
  CHECK(geometry.window == ops::Window{7, 7, 2, 2, 4, 4, 1, 1});
  CHECK(nn::parameter_count(conv) == 5 * 49 * 3);
}

TEST_CASE("kernels, strides and paddings may differ in height and width") {
  nn::Conv2d conv({.in = 2, .out = 3, .kernel = {1, 7}, .stride = {1, 2}, .padding = {0, 3}});
  CHECK(conv.weight().value.shape() == Shape{3, 1, 7, 2});
  CHECK(conv.geometry().window == ops::Window{1, 7, 1, 2, 0, 3, 1, 1});
  CHECK(conv.geometry().depth() == 14);
  CHECK(test::error_text<ConfigError>([] {
          nn::Conv2d({.kernel = {3, 0}, .padding = {0, 1}});
        }) ==
        "conv2d: channels, kernel, stride and dilation must be at least 1 and padding at least 0, "
        "got in 1, out 1, kernel 3 x 0, stride 1, padding 0 x 1, dilation 1");
}

TEST_CASE("a dilated window leaves pixels out between its taps") {
  nn::Conv2d conv({.in = 1, .out = 1, .kernel = {2, 3}, .dilation = {3, 2}});
  CHECK(conv.weight().value.shape() == Shape{1, 2, 3, 1});
  CHECK(conv.geometry().window == ops::Window{2, 3, 1, 1, 0, 0, 3, 2});
  CHECK(conv.geometry().depth() == 6);
  conv.weight().value.fill(1.0F);
  Tensor<float> x({1, 4, 6, 1});
  for (std::int64_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
  Tape tape;
  const PrecisionPlan plan;
  const Var y = conv.forward(tape.borrow(x), {.plan = plan});
  REQUIRE(y.shape() == Shape{1, 1, 2, 1});
  CHECK(y.value()[0] == 0.0F + 2.0F + 4.0F + 18.0F + 20.0F + 22.0F);
  CHECK(y.value()[1] == y.value()[0] + 6.0F);
}

TEST_CASE("derivatives through a dilated window") {
  for (const nn::Conv2dOptions& options :
       {nn::Conv2dOptions{.in = 2, .out = 3, .kernel = 3, .padding = 2, .dilation = 2},
        nn::Conv2dOptions{.in = 2, .out = 3, .kernel = 3, .stride = 2, .padding = 2, .dilation = 2},
        nn::Conv2dOptions{.in = 2, .out = 2, .kernel = 3, .padding = 2, .dilation = 2, .groups = 2},
        nn::Conv2dOptions{.in = 2, .out = 1, .kernel = 3, .padding = {1, 3}, .dilation = {1, 3}}}) {
    const nn::Conv2d conv(options);
    CAPTURE(conv.geometry().window.stride_h);
    CAPTURE(conv.geometry().groups);
    const auto widened = [](const Tensor<float>& from) {
      Tensor<double> to(from.shape());
      std::copy_n(from.data(), from.size(), to.data());
      return to;
    };
    const GradCheck result = check_gradients(
        {widened(test::random_images({1, 6, 7, 2}, 1)),
         widened(test::random_images(conv.weight().value.shape(), 2))},
        [&](BasicTape<double>& tape, std::span<const BasicVar<double>> leaves) {
          const BasicVar<double> y = conv.apply(leaves[0], leaves[1]);
          // One window over all of y: a weighted sum.
          const ops::Window all{.kernel_h = y.shape()[1], .kernel_w = y.shape()[2]};
          return ad::conv2d(y, tape.constant(widened(test::random_images(y.shape(), 3))), all);
        });
    CHECK_MESSAGE(result.error < 1e-7, result.text());
  }
}

TEST_CASE("groups divide the channels, and a layer says so") {
  nn::Conv2d depthwise({.in = 6, .out = 6, .kernel = 3, .padding = 1, .groups = 6});
  CHECK(depthwise.weight().value.shape() == Shape{6, 3, 3, 1});
  CHECK(depthwise.geometry().kind == ops::NodeKind::grouped_conv2d);
  CHECK(depthwise.geometry().groups == 6);
  CHECK(depthwise.geometry().in_channels == 6);
  CHECK(depthwise.geometry().depth() == 9);
  depthwise.weight().value.fill(2.0F);
  Tape tape;
  const PrecisionPlan plan;
  const Var x = tape.constant(Tensor<float>({1, 3, 3, 6}, 0.5F));
  const Tensor<float> y = depthwise.forward(x, {.plan = plan}).value();
  CHECK(y[0] == 4.0F);      // a corner sees four pixels
  CHECK(y[4 * 6] == 9.0F);  // the centre all nine
  const nn::Conv2d grouped({.in = 6, .out = 4, .kernel = 1, .groups = 2});
  CHECK(grouped.weight().value.shape() == Shape{4, 1, 1, 3});
  CHECK(test::error_text<ConfigError>([] { nn::Conv2d({.in = 6, .out = 5, .groups = 2}); }) ==
        "conv2d: channels must be in equal groups, got in 6, out 5, groups 2");
  CHECK_THROWS_AS(nn::Conv2d({.groups = 0}), ConfigError);
}

TEST_CASE("a value computed by hand, with stride and padding") {
  nn::Conv2d conv({.in = 1, .out = 1, .kernel = 2, .stride = 2, .padding = 1});
  for (std::int64_t i = 0; i < 4; ++i) conv.weight().value[i] = static_cast<float>(i + 1);
  Tensor<float> x({1, 2, 2, 1});
  for (std::int64_t i = 0; i < 4; ++i) x[i] = static_cast<float>(10 * (i + 1));
  Tape tape;
  const PrecisionPlan plan;
  const Var y = conv.forward(tape.borrow(x), {.plan = plan});
  REQUIRE(y.shape() == Shape{1, 2, 2, 1});
  // Each corner of the image lies under the opposite corner of the window.
  CHECK(y.value()[0] == 4.0F * 10.0F);
  CHECK(y.value()[1] == 3.0F * 20.0F);
  CHECK(y.value()[2] == 2.0F * 30.0F);
  CHECK(y.value()[3] == 1.0F * 40.0F);
}

TEST_CASE("an input with other channels is refused with both sides") {
  nn::Conv2d conv({.in = 3, .out = 16, .kernel = 3});
  Tape tape;
  const PrecisionPlan plan;
  const Var x = tape.constant(Tensor<float>({8, 32, 32, 4}));
  CHECK(test::error_text<ShapeError>([&] { static_cast<void>(conv.forward(x, {.plan = plan})); }) ==
        "conv2d: weight [16, 3, 3, 3] expects 3 input channels, x is [8, 32, 32, 4]");
}

TEST_CASE("a real-valued layer does not pack and says what does") {
  const nn::Conv2d conv({.in = 1, .out = 1});
  CHECK(
      test::contains(test::error_text<ConfigError>([&] { static_cast<void>(nn::describe(conv)); }),
                     "SwitchableLayer<Conv2d"));
}
