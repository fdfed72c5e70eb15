// SPDX-License-Identifier: Apache-2.0
#include <bitdial/ops/grouped_conv2d.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include <bitdial/autodiff/grad_check.hpp>

#include "grouped_definition.hpp"
#include "op_support.hpp"

using namespace bitdial;
using namespace op_test;
using ops::Window;

namespace {

const std::vector<GroupedCase> cases = {
    {{2, 5, 7, 6}, 4, 2, Window::square(3, {.padding = 1})},
    {{1, 7, 5, 9}, 15, 3, Window::square(3, {.stride = 2, .padding = 1})},
    {{2, 5, 6, 17}, 17, 17, Window::square(3, {.padding = 1})},  // depthwise
    {{1, 7, 5, 9}, 9, 9, Window::square(3, {.stride = 2, .padding = 1})},
    {{1, 5, 6, 4}, 8, 4, Window::square(3, {.padding = 1})},  // two outputs per channel
    {{1, 5, 6, 6}, 3, 3, Window::square(1)},                  // two channels per output
    {{1, 5, 6, 4}, 6, 1, Window::square(3)},                  // one group
    {{2, 6, 5, 5}, 5, 5, Window::square(3, {.stride = 2, .padding = 1})},
    {{1, 7, 9, 11}, 11, 11, Window::square(3, {.padding = 2, .dilation = 2})},
    {{1, 9, 8, 3}, 3, 3, Window::square(3, {.stride = 2, .padding = 1, .dilation = 3})},
    // Depthwise, pixels that no output reads, or that padding alone surrounds.
    {{2, 5, 5, 8}, 8, 8, Window::square(3, {.dilation = 2})},
    {{2, 3, 4, 8}, 8, 8, Window::square(3, {.padding = 3})},
    {{1, 3, 3, 2}, 2, 2, Window::square(5, {.padding = 2})},
    {{1, 6, 6, 4}, 4, 4, {.kernel_h = 2, .kernel_w = 3, .stride_h = 2, .padding_w = 1}},
};

template <class T>
double distance(const Tensor<T>& actual, const Tensor<double>& expected) {
  double worst = 0.0;
  for (std::int64_t i = 0; i < actual.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(actual[i]) - expected[i]));
  }
  return worst;
}

template <class T>
void check_against_definition(double tolerance) {
  for (const GroupedCase& c : cases) {
    CAPTURE(c.x.text());
    CAPTURE(c.w().text());
    CAPTURE(c.groups);
    const auto x = random_tensor<T>(c.x, 1);
    const auto w = random_tensor<T>(c.w(), 2);
    const auto dy = random_tensor<T>(c.y(), 3);
    Tensor<double> y_exact(c.y());
    Tensor<double> dx_exact(c.x, 0.5);
    Tensor<double> dw_exact(c.w(), 0.25);
    for_each_product(c, [&](std::int64_t iy, std::int64_t ix, std::int64_t iw) {
      y_exact[iy] += static_cast<double>(x[ix]) * static_cast<double>(w[iw]);
      dx_exact[ix] += static_cast<double>(dy[iy]) * static_cast<double>(w[iw]);
      dw_exact[iw] += static_cast<double>(dy[iy]) * static_cast<double>(x[ix]);
    });
    Tensor<T> y(c.y(), T{7});  // overwritten
    ops::grouped_conv2d_forward(y.view(), x.view(), w.view(), c.window, c.groups);
    CHECK(distance(y, y_exact) <= tolerance);
    Tensor<T> dx(c.x, T{0.5});  // added to
    ops::grouped_conv2d_backward_input(dx.view(), dy.view(), w.view(), c.window, c.groups);
    CHECK(distance(dx, dx_exact) <= tolerance);
    Tensor<T> added(c.x), written(c.x, T{7});
    ops::grouped_conv2d_backward_input(added.view(), dy.view(), w.view(), c.window, c.groups);
    ops::grouped_conv2d_backward_input(written.view(), dy.view(), w.view(), c.window, c.groups,
                                       {.accumulate = false});
    CHECK(same_bits(written, added));
    Tensor<T> dw(c.w(), T{0.25});
    ops::grouped_conv2d_backward_weight(dw.view(), dy.view(), x.view(), c.window, c.groups);
    CHECK(distance(dw, dw_exact) <= tolerance);
  }
}

}  // namespace

TEST_CASE("grouped convolution and its derivatives match the definition in double") {
  check_against_definition<double>(1e-12);
}

TEST_CASE("grouped convolution and its derivatives match the double result in float") {
  check_against_definition<float>(1e-5);
}

TEST_CASE("grouped convolution derivatives match finite differences") {
  for (const GroupedCase& c : cases) {
    CAPTURE(c.x.text());
    CAPTURE(c.w().text());
    auto x = random_tensor<double>(c.x, 1);
    auto w = random_tensor<double>(c.w(), 2);
    const auto dy = random_tensor<double>(c.y(), 3);
    const auto loss = [&] {
      Tensor<double> y(c.y());
      ops::grouped_conv2d_forward(y.view(), x.view(), w.view(), c.window, c.groups);
      return dot(y, dy);
    };
    Tensor<double> dx(c.x);
    Tensor<double> dw(c.w());
    ops::grouped_conv2d_backward_input(dx.view(), dy.view(), w.view(), c.window, c.groups);
    ops::grouped_conv2d_backward_weight(dw.view(), dy.view(), x.view(), c.window, c.groups);
    const GradCheck of_x = check_gradient(x.view(), dx.view(), loss);
    const GradCheck of_w = check_gradient(w.view(), dw.view(), loss);
    CHECK_MESSAGE(of_x.error < 1e-8, of_x.text());
    CHECK_MESSAGE(of_w.error < 1e-8, of_w.text());
  }
}

TEST_CASE("groups do not depend on the number of threads") {
  const GroupedCase c{{19, 9, 8, 12}, 9, 3, Window::square(3, {.stride = 2, .padding = 1})};
  const auto x = random_tensor<float>(c.x, 1);
  const auto w = random_tensor<float>(c.w(), 2);
  const auto dy = random_tensor<float>(c.y(), 3);
  CHECK(same_for_every_thread_count([&] {
    Tensor<float> y(c.y());
    ops::grouped_conv2d_forward(y.view(), x.view(), w.view(), c.window, c.groups);
    return y;
  }));
  CHECK(same_for_every_thread_count([&] {
    Tensor<float> dx(c.x);
    ops::grouped_conv2d_backward_input(dx.view(), dy.view(), w.view(), c.window, c.groups);
    return dx;
  }));
}

TEST_CASE("groups that do not fit are named with both sides") {
  const auto message = [](const Shape& x, const Shape& w, std::int64_t groups) -> std::string {
    try {
      static_cast<void>(ops::grouped_conv2d_output_shape(x, w, Window::square(3), groups));
    } catch (const ShapeError& error) {
      return error.what();
    }
    return "";
  };
  CHECK(message({8, 32, 32, 4}, {16, 3, 3, 3}, 2) ==
        "grouped_conv2d: weight [16, 3, 3, 3] in 2 groups expects 6 input channels and output "
        "channels in 2 equal groups, x is [8, 32, 32, 4]");
  CHECK(message({8, 32, 32, 6}, {15, 3, 3, 3}, 2) ==
        "grouped_conv2d: weight [15, 3, 3, 3] in 2 groups expects 6 input channels and output "
        "channels in 2 equal groups, x is [8, 32, 32, 6]");
  CHECK(message({8, 32, 6}, {16, 3, 3, 3}, 2) ==
        "grouped_conv2d: x must be [N, H, W, Cin] and weight [Cout, kh, kw, Cin / groups], they "
        "are [8, 32, 6] and [16, 3, 3, 3]");
  CHECK(message({8, 32, 32, 4}, {16, 3, 3, 3}, 1) ==
        "conv2d: weight [16, 3, 3, 3] expects 3 input channels, x is [8, 32, 32, 4]");
  CHECK(message({8, 32, 32, 4}, {16, 3, 3, 4}, 0) != "");
}
