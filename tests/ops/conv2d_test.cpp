// SPDX-License-Identifier: Apache-2.0
#include <bitdial/ops/conv2d.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <bitdial/autodiff/grad_check.hpp>

#include "op_support.hpp"

using namespace bitdial;
using namespace op_test;
using ops::Window;

namespace {

struct Case {
  Shape x;
  std::int64_t out;
  Window window;

  Shape w() const { return {out, window.kernel_h, window.kernel_w, x[3]}; }
  Shape y() const { return ops::conv2d_output_shape(x, w(), window); }
};

// Odd channels and extents; every branch of stride, padding, dilation; kernels larger than the
// image; windows that leave input rows unused.
const std::vector<Case> cases = {
    {{2, 5, 7, 3}, 5, Window::square(3, {.padding = 1})},
    {{1, 7, 5, 5}, 3, Window::square(3, {.stride = 2, .padding = 1})},
    {{2, 7, 7, 3}, 17, Window::square(1, {.stride = 2})},
    {{1, 5, 7, 17}, 3, Window::square(1)},
    {{2, 5, 7, 3}, 5, Window::square(3)},
    {{1, 5, 7, 3}, 5, Window::square(3, {.padding = 2})},
    {{1, 7, 9, 3}, 5, Window::square(3, {.padding = 2, .dilation = 2})},
    {{1, 9, 8, 2}, 3, Window::square(3, {.stride = 2, .padding = 1, .dilation = 2})},
    {{1, 9, 8, 2}, 3, Window::square(3, {.stride = 2, .padding = 1, .dilation = 3})},
    {{1, 11, 10, 2}, 3, Window::square(3, {.stride = 4, .padding = 1, .dilation = 2})},
    {{1, 5, 9, 3}, 4, {.kernel_h = 1, .kernel_w = 7, .padding_w = 3}},
    {{1, 9, 5, 3}, 4, {.kernel_h = 7, .kernel_w = 1, .padding_h = 3}},
    {{1, 3, 3, 2}, 3, Window::square(5, {.padding = 2})},
    {{2, 8, 8, 3}, 2, Window::square(2, {.stride = 3})},
    {{1, 6, 6, 1}, 1, {.kernel_h = 2, .kernel_w = 3, .stride_h = 2, .stride_w = 1, .padding_w = 1}},
    {{3, 13, 11, 33}, 40, Window::square(3, {.padding = 1})},
    // Derivatives by the input of which a stride leaves whole rows.
    {{2, 6, 5, 3}, 4, {.kernel_h = 2, .kernel_w = 1, .stride_h = 2, .stride_w = 1}},
    {{2, 7, 5, 3}, 4, {.kernel_h = 1, .kernel_w = 1, .stride_h = 2, .stride_w = 1}},
    {{2, 5, 7, 3}, 4, {.kernel_h = 1, .kernel_w = 1, .stride_h = 1, .stride_w = 3}},
    // Output rows whose whole window is padding.
    {{1, 2, 9, 3}, 2, Window::square(3, {.padding = 3})},
    {{2, 2, 3, 3}, 2, Window::square(3, {.padding = 6, .dilation = 2})},
    // More than one block of rows per image; more weights than fit the cache; a pointwise product.
    {{1, 70, 40, 3}, 4, Window::square(3, {.padding = 1})},
    {{2, 3, 3, 700}, 50, Window::square(3, {.padding = 1})},
    {{3, 5, 7, 33}, 35, Window::square(1)},
    // Rows of six products for four pixels: whole groups and rests, several images or several
    // blocks of rows at once, other heights, no padding and much of it.
    {{19, 8, 8, 16}, 24, Window::square(3, {.padding = 1})},
    {{2, 9, 14, 9}, 10, Window::square(3, {.padding = 1})},
    {{1, 70, 32, 33}, 12, Window::square(3, {.padding = 1})},
    {{2, 6, 9, 8}, 17, Window::square(3)},
    {{2, 6, 10, 8}, 9, Window::square(3, {.padding = 2})},
    {{2, 4, 7, 8}, 8, {.kernel_h = 1, .kernel_w = 3, .padding_w = 1}},
    {{2, 9, 8, 8}, 8, {.kernel_h = 5, .kernel_w = 3, .padding_h = 4, .dilation_h = 2}},
    // The same in the derivative by the input: strides that leave three adjacent taps of it.
    {{2, 12, 16, 9}, 10, Window::square(5, {.stride = 2, .padding = 2})},
    {{2, 11, 12, 8}, 9, Window::square(3, {.stride = 2, .padding = 2, .dilation = 2})},
};

// The definition, one multiplication after the other: calls f(index of y, of x, of w).
template <class F>
void for_each_product(const Case& c, F f) {
  const Shape y = c.y();
  const Shape w = c.w();
  for (std::int64_t n = 0; n < y[0]; ++n)
    for (std::int64_t oh = 0; oh < y[1]; ++oh)
      for (std::int64_t ow = 0; ow < y[2]; ++ow)
        for (std::int64_t o = 0; o < y[3]; ++o)
          for (std::int64_t kh = 0; kh < w[1]; ++kh)
            for (std::int64_t kw = 0; kw < w[2]; ++kw)
              for (std::int64_t i = 0; i < w[3]; ++i) {
                const Window& v = c.window;
                const std::int64_t ih = oh * v.stride_h + kh * v.dilation_h - v.padding_h;
                const std::int64_t iw = ow * v.stride_w + kw * v.dilation_w - v.padding_w;
                if (ih < 0 || ih >= c.x[1] || iw < 0 || iw >= c.x[2]) continue;
                f(((n * y[1] + oh) * y[2] + ow) * y[3] + o,
                  ((n * c.x[1] + ih) * c.x[2] + iw) * c.x[3] + i,
                  ((o * w[1] + kh) * w[2] + kw) * w[3] + i);
              }
}

template <class T>
void check_close(const Tensor<T>& actual, const Tensor<double>& expected, double tolerance) {
  REQUIRE(actual.shape() == expected.shape());
  double worst = 0.0;
  for (std::int64_t i = 0; i < actual.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(actual[i]) - expected[i]));
  }
  CHECK(worst <= tolerance);
}

template <class T>
void check_against_definition(double tolerance) {
  for (const Case& c : cases) {
    CAPTURE(c.x.text());
    CAPTURE(c.w().text());
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
    ops::conv2d_forward(y.view(), x.view(), w.view(), c.window);
    check_close(y, y_exact, tolerance);
    ops::conv2d_forward(y.view(), x.view(), w.view(), c.window, ops::Sums::fewest_products);
    check_close(y, y_exact, 1.5 * tolerance);
    Tensor<T> dx(c.x, T{0.5});  // added to
    ops::conv2d_backward_input(dx.view(), dy.view(), w.view(), c.window);
    check_close(dx, dx_exact, tolerance);
    Tensor<T> dw(c.w(), T{0.25});
    ops::conv2d_backward_weight(dw.view(), dy.view(), x.view(), c.window);
    check_close(dw, dw_exact, tolerance);
  }
}

}  // namespace

TEST_CASE("conv2d and its derivatives match the definition in double") {
  check_against_definition<double>(1e-11);
}

TEST_CASE("conv2d and its derivatives match the double result in float") {
  check_against_definition<float>(2e-4);
}

TEST_CASE("conv2d derivatives match finite differences") {
  for (const Case& c : cases) {
    if (c.x.size() > 700) continue;
    CAPTURE(c.x.text());
    CAPTURE(c.w().text());
    auto x = random_tensor<double>(c.x, 1);
    auto w = random_tensor<double>(c.w(), 2);
    const auto dy = random_tensor<double>(c.y(), 3);
    const auto loss = [&] {
      Tensor<double> y(c.y());
      ops::conv2d_forward(y.view(), x.view(), w.view(), c.window);
      return dot(y, dy);
    };
    Tensor<double> dx(c.x);
    Tensor<double> dw(c.w());
    ops::conv2d_backward_input(dx.view(), dy.view(), w.view(), c.window);
    ops::conv2d_backward_weight(dw.view(), dy.view(), x.view(), c.window);
    const GradCheck of_x = check_gradient(x.view(), dx.view(), loss);
    const GradCheck of_w = check_gradient(w.view(), dw.view(), loss);
    CHECK_MESSAGE(of_x.error < 1e-8, of_x.text());
    CHECK_MESSAGE(of_w.error < 1e-8, of_w.text());
  }
}

TEST_CASE("an overwritten gradient is one added to zeros") {
  for (const Case& c : cases) {
    CAPTURE(c.x.text());
    CAPTURE(c.w().text());
    const auto w = random_tensor<float>(c.w(), 2);
    const auto dy = random_tensor<float>(c.y(), 3);
    Tensor<float> added(c.x);
    Tensor<float> written(c.x, 7.0F);
    ops::conv2d_backward_input(added.view(), dy.view(), w.view(), c.window);
    ops::conv2d_backward_input(written.view(), dy.view(), w.view(), c.window,
                               {.accumulate = false});
    CHECK(same_bits(written, added));
  }
}

TEST_CASE("conv2d of whole numbers is exact in float up to 2^24") {
  // K = 9 * 64 = 576 products of at most 170 * 171: sums reach 2^24 and must not be rounded.
  const Case c{{2, 9, 7, 64}, 19, Window::square(3, {.padding = 1})};
  const auto x = integer_tensor<float>(c.x, 1, -170, 170);
  auto w = integer_tensor<float>(c.w(), 2, -171, 171);
  // One output channel with equal signs nearly reaches the limit.
  for (std::int64_t k = 0; k < 576; ++k) w[k] = 171.0F;
  Tensor<float> constant(c.x, 170.0F);
  for (const Tensor<float>* input : {&x, static_cast<const Tensor<float>*>(&constant)}) {
    std::vector<std::int64_t> sums(static_cast<std::size_t>(c.y().size()));
    for_each_product(c, [&](std::int64_t iy, std::int64_t ix, std::int64_t iw) {
      sums[static_cast<std::size_t>(iy)] +=
          static_cast<std::int64_t>((*input)[ix]) * static_cast<std::int64_t>(w[iw]);
    });
    Tensor<float> y(c.y());
    ops::conv2d_forward(y.view(), input->view(), w.view(), c.window);
    std::int64_t wrong = 0;
    for (std::int64_t i = 0; i < y.size(); ++i) {
      wrong += static_cast<std::int64_t>(y[i]) != sums[static_cast<std::size_t>(i)];
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("conv2d does not depend on the number of threads") {
  for (const std::int64_t stride : {1, 2}) {
    const Case c{{37, 9, 8, 5}, 6, Window::square(3, {.stride = stride, .padding = 1})};
    const auto x = random_tensor<float>(c.x, 1);
    const auto w = random_tensor<float>(c.w(), 2);
    const auto dy = random_tensor<float>(c.y(), 3);
    CHECK(same_for_every_thread_count([&] {
      Tensor<float> y(c.y());
      ops::conv2d_forward(y.view(), x.view(), w.view(), c.window);
      return y;
    }));
    CHECK(same_for_every_thread_count([&] {
      Tensor<float> dx(c.x);
      ops::conv2d_backward_input(dx.view(), dy.view(), w.view(), c.window);
      return dx;
    }));
    CHECK(same_for_every_thread_count([&] {
      Tensor<float> dw(c.w());
      ops::conv2d_backward_weight(dw.view(), dy.view(), x.view(), c.window);
      return dw;
    }));
  }
}

// Relative to the length of b.
template <class T>
double distance(const Tensor<float>& a, const Tensor<T>& b) {
  double difference = 0.0, norm = 0.0;
  for (std::int64_t i = 0; i < a.size(); ++i) {
    const double d = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    difference += d * d;
    norm += static_cast<double>(b[i]) * static_cast<double>(b[i]);
  }
  return std::sqrt(difference / norm);
}

TEST_CASE("conv2d, weight gradient: every way to sum is the same for all numbers of threads") {
  const Case ways[] = {
      {{3, 4, 4, 100}, 84, Window::square(3, {.padding = 1})},  // passes that threads share
      {{40, 4, 4, 16}, 16, Window::square(3, {.padding = 1})},  // passes of chunks of images
      {{4, 4, 4, 256}, 200, Window::square(3, {.stride = 2, .padding = 1})},  // matrix products
      {{2, 1, 1, 17}, 19, Window::square(1)},  // fewer numbers read than weights
  };
  for (const Case& c : ways) {
    CAPTURE(c.x[3]);
    const auto x = random_tensor<float>(c.x, 1);
    const auto dy = random_tensor<float>(c.y(), 3);
    const auto widened = [](const Tensor<float>& t) {
      Tensor<double> wide(t.shape());
      std::copy_n(t.data(), t.size(), wide.data());
      return wide;
    };
    const auto gradient = [&](ops::Products products, float before) {
      Tensor<float> dw(c.w(), before);
      ops::conv2d_backward_weight(dw.view(), dy.view(), x.view(), c.window, products);
      return dw;
    };
    Tensor<double> exact(c.w());
    ops::conv2d_backward_weight(exact.view(), widened(dy).view(), widened(x).view(), c.window);
    for (const ops::Products products : {ops::Products::f32, ops::Products::bf16}) {
      CHECK(same_for_every_thread_count([&] { return gradient(products, 0.0F); }));
      CHECK(distance(gradient(products, 0.0F), exact) <
            (products == ops::Products::f32 ? 1e-5 : 1e-2));
    }
    Tensor<float> once = gradient(ops::Products::f32, 1.0F);
    for (float& d : once.span()) d -= 1.0F;
    CHECK(distance(once, exact) < 1e-4);
  }
}

// True where the rule of `Sums` holds for any phase of the input's gradient.
bool transforms_dx(const Case& c) {
  const Window& v = c.window;
  for (std::int64_t h = 0; h < v.stride_h; ++h) {
    for (std::int64_t w = 0; w < v.stride_w; ++w) {
      const ops::detail::InputPhase rows(h, c.x[1], c.y()[1], v.kernel_h, v.stride_h, v.padding_h,
                                         v.dilation_h);
      const ops::detail::InputPhase columns(w, c.x[2], c.y()[2], v.kernel_w, v.stride_w,
                                            v.padding_w, v.dilation_w);
      if (rows.empty() || columns.empty()) continue;
      const ops::detail::PatchGrid grid{.h = rows.axis, .w = columns.axis, .channels = c.out};
      if (ops::detail::suits_winograd(grid, c.x[3])) return true;
    }
  }
  return false;
}

TEST_CASE("1 x 1 windows: short lines that follow each other are one") {
  const auto joined = [](const Shape& x, const Window& window) {
    const auto grid = ops::detail::with_joined_lines(ops::detail::patch_grid(x, window));
    CHECK(grid.h.outputs == grid.h.source);
    CHECK(grid.w.outputs == grid.w.source);
    return std::array{grid.h.outputs, grid.w.outputs};
  };
  CHECK(joined({2, 8, 8, 3}, Window::square(1)) == std::array<std::int64_t, 2>{1, 64});
  CHECK(joined({2, 6, 10, 3}, Window::square(1)) == std::array<std::int64_t, 2>{3, 20});
  CHECK(joined({2, 7, 8, 3}, Window::square(1)) == std::array<std::int64_t, 2>{7, 8});
  CHECK(joined({2, 4, 96, 3}, Window::square(1)) == std::array<std::int64_t, 2>{4, 96});
  CHECK(joined({2, 8, 8, 3}, Window::square(3, {.padding = 1})) ==
        std::array<std::int64_t, 2>{8, 8});
}

TEST_CASE("bfloat16 products: the definition on rounded operands, to f32 accuracy") {
  const auto rounded = [](const Tensor<float>& x) {
    Tensor<float> result(x.shape());
    for (std::int64_t i = 0; i < x.size(); ++i) {
      result[i] = kernels::from_bf16(kernels::round_bf16_one(x[i]));
    }
    return result;
  };
  for (const Case& c : cases) {
    CAPTURE(c.x.text());
    CAPTURE(c.w().text());
    const auto x = random_tensor<float>(c.x, 1);
    const auto w = random_tensor<float>(c.w(), 2);
    const auto dy = random_tensor<float>(c.y(), 3);
    // An odd number of output channels leaves dx to f32 products.
    const bool rounds_dx = c.out % 2 == 0;
    const Tensor<float> dy_rounded = rounded(dy);
    const Tensor<float> x_rounded = rounded(x);
    const Tensor<float> w_rounded = rounded(w);
    Tensor<double> dx_exact(c.x, 0.5), dx_direct(c.x, 0.5);
    Tensor<double> dw_exact(c.w(), 0.25), dw_direct(c.w(), 0.25);
    for_each_product(c, [&](std::int64_t iy, std::int64_t ix, std::int64_t iw) {
      const auto of_x = static_cast<double>(x[ix]), of_w = static_cast<double>(w[iw]);
      const auto of_y = static_cast<double>(dy[iy]),
                 of_y_rounded = static_cast<double>(dy_rounded[iy]);
      dx_exact[ix] += of_y * of_w;
      dx_direct[ix] += rounds_dx ? of_y_rounded * static_cast<double>(w_rounded[iw]) : of_y * of_w;
      dw_exact[iw] += of_y * of_x;
      dw_direct[iw] += of_y_rounded * static_cast<double>(x_rounded[ix]);
    });
    const auto gradient_of_x = [&] {
      Tensor<float> dx(c.x, 0.5F);
      ops::conv2d_backward_input(dx.view(), dy.view(), w.view(), c.window,
                                 {.products = ops::Products::bf16});
      return dx;
    };
    const auto gradient_of_w = [&] {
      Tensor<float> dw(c.w(), 0.25F);
      ops::conv2d_backward_weight(dw.view(), dy.view(), x.view(), c.window, ops::Products::bf16);
      return dw;
    };
    const Tensor<float> dx = gradient_of_x(), dw = gradient_of_w();
    // Six products for four pixels round what the transforms give.
    if (rounds_dx && transforms_dx(c)) {
      CHECK(distance(dx, dx_exact) < 0x1p-7);
    } else {
      check_close(dx, dx_direct, 2e-4);
    }
    if (ops::detail::suits_winograd(ops::detail::patch_grid(c.x, c.window), c.out)) {
      CHECK(distance(dw, dw_exact) < 0x1p-7);
    } else {
      check_close(dw, dw_direct, 2e-4);
    }
    CHECK(same_for_every_thread_count(gradient_of_x));
    CHECK(same_for_every_thread_count(gradient_of_w));
  }
}

TEST_CASE("gradients from bfloat16 products point where those of float products do") {
  struct Form {
    Window window;
    double most;
  };
  // Two roundings of relative error up to 2^-9, independent from product to product; transformed
  // operands leave 2.7 times the error.
  for (const Form& form : {Form{Window::square(5, {.padding = 2}), 0x1p-8},
                           Form{Window::square(3, {.padding = 1}), 0x1.8p-8}}) {
    const Case c{{8, 16, 16, 32}, 32, form.window};
    const auto x = random_tensor<float>(c.x, 1);
    const auto w = random_tensor<float>(c.w(), 2);
    const auto dy = random_tensor<float>(c.y(), 3);
    Tensor<float> dx(c.x), dx_bf16(c.x), dw(c.w()), dw_bf16(c.w());
    ops::conv2d_backward_input(dx.view(), dy.view(), w.view(), c.window);
    ops::conv2d_backward_input(dx_bf16.view(), dy.view(), w.view(), c.window,
                               {.products = ops::Products::bf16});
    ops::conv2d_backward_weight(dw.view(), dy.view(), x.view(), c.window);
    ops::conv2d_backward_weight(dw_bf16.view(), dy.view(), x.view(), c.window, ops::Products::bf16);
    const double error_of_x = distance(dx_bf16, dx), error_of_w = distance(dw_bf16, dw);
    CHECK(error_of_x < form.most);
    CHECK(error_of_w < form.most);
    CHECK(error_of_x > 0.0);
  }
}

TEST_CASE("six products for four pixels leave errors like those of the direct sums") {
  const Case c{{8, 32, 32, 64}, 64, Window::square(3, {.padding = 1})};
  const auto x = random_tensor<float>(c.x, 1);
  const auto w = random_tensor<float>(c.w(), 2);
  const auto dy = random_tensor<float>(c.y(), 3);
  const auto widened = [](const Tensor<float>& from) {
    Tensor<double> to(from.shape());
    std::copy_n(from.data(), from.size(), to.data());
    return to;
  };
  // Relative to the root of the mean square, which 576 and 8192 products of deviation 1/3 have.
  const auto error = [](const Tensor<float>& a, const Tensor<double>& exact, double products) {
    double sum = 0.0;
    for (std::int64_t i = 0; i < a.size(); ++i) {
      const double d = static_cast<double>(a[i]) - exact[i];
      sum += d * d;
    }
    return std::sqrt(sum / static_cast<double>(a.size()) / products) * 3.0;
  };
  const auto x_exact = widened(x), w_exact = widened(w), dy_exact = widened(dy);
  Tensor<float> y(c.y()), dx(c.x), dw(c.w());
  Tensor<double> y_exact(c.y()), dx_exact(c.x), dw_exact(c.w());
  ops::conv2d_forward(y.view(), x.view(), w.view(), c.window, ops::Sums::fewest_products);
  ops::conv2d_forward(y_exact.view(), x_exact.view(), w_exact.view(), c.window);
  ops::conv2d_backward_input(dx.view(), dy.view(), w.view(), c.window);
  ops::conv2d_backward_input(dx_exact.view(), dy_exact.view(), w_exact.view(), c.window);
  ops::conv2d_backward_weight(dw.view(), dy.view(), x.view(), c.window);
  ops::conv2d_backward_weight(dw_exact.view(), dy_exact.view(), x_exact.view(), c.window);
  CHECK(error(y, y_exact, 576.0) < 32 * 0x1p-24);
  CHECK(error(dx, dx_exact, 576.0) < 32 * 0x1p-24);
  CHECK(error(dw, dw_exact, 8192.0) < 32 * 0x1p-24);
}

TEST_CASE("conv2d of an empty batch is empty") {
  const Case c{{0, 5, 5, 3}, 4, Window::square(3)};
  const auto x = Tensor<float>(c.x);
  const auto w = random_tensor<float>(c.w(), 2);
  Tensor<float> y(c.y());
  Tensor<float> dx(c.x);
  Tensor<float> dw(c.w(), 3.0F);
  ops::conv2d_forward(y.view(), x.view(), w.view(), c.window);
  ops::conv2d_backward_input(dx.view(), y.view(), w.view(), c.window);
  ops::conv2d_backward_weight(dw.view(), y.view(), x.view(), c.window);
  CHECK(dw[0] == 3.0F);
}

TEST_CASE("conv2d says which shapes do not fit") {
  const auto message = [](const Shape& x, const Shape& w, const Window& window) -> std::string {
    try {
      static_cast<void>(ops::conv2d_output_shape(x, w, window));
    } catch (const ShapeError& error) {
      return error.what();
    }
    return "";
  };
  CHECK(message({8, 32, 32, 4}, {16, 3, 3, 3}, Window::square(3)) ==
        "conv2d: weight [16, 3, 3, 3] expects 3 input channels, x is [8, 32, 32, 4]");
  CHECK(message({8, 32, 4}, {16, 3, 3, 3}, Window::square(3)) ==
        "conv2d: x must be [N, H, W, C], it is [8, 32, 4]");
  CHECK(message({1, 5, 5, 3}, {4, 3, 3, 3}, Window::square(5)) ==
        "conv2d: weight [4, 3, 3, 3] has a 3 x 3 kernel, the window is 5 x 5 with stride 1 x 1");
  CHECK(message({1, 2, 5, 3}, {4, 3, 3, 3}, Window::square(3)) ==
        "conv2d: a 3 x 3 window with padding 0 x 0 does not fit into x [1, 2, 5, 3]");
  CHECK(message({1, 5, 5, 1}, {0, 3, 3, 1}, Window::square(3)) ==
        "conv2d: weight [0, 3, 3, 1] must have at least 1 output and 1 input channel, x is "
        "[1, 5, 5, 1]");
  CHECK(message({1, 5, 5, 0}, {4, 3, 3, 0}, Window::square(3)) ==
        "conv2d: weight [4, 3, 3, 0] must have at least 1 output and 1 input channel, x is "
        "[1, 5, 5, 0]");
  CHECK(message({1, 5, 5, 1}, {4, 0, 3, 1}, {.kernel_h = 0, .kernel_w = 3}) ==
        "conv2d: weight [4, 0, 3, 1] has a 0 x 3 kernel, the window is 0 x 3 with stride 1 x 1");
  Tensor<float> y({1, 3, 3, 5});
  const Tensor<float> x({1, 5, 5, 3});
  const Tensor<float> w({4, 3, 3, 3});
  CHECK_THROWS_WITH_AS(ops::conv2d_forward(y.view(), x.view(), w.view(), Window::square(3)),
                       "conv2d: y must be [1, 3, 3, 4], it is [1, 3, 3, 5]", ShapeError);
}

TEST_CASE("conv2d and its derivatives refuse weights without channels") {
  for (const auto& [out, in] : {std::pair{0, 1}, std::pair{4, 0}}) {
    const Tensor<float> w({out, 3, 3, in});
    const Tensor<float> x({1, 5, 5, in});
    Tensor<float> y({1, 3, 3, out});
    Tensor<float> dx(x.shape());
    Tensor<float> dw(w.shape());
    const Window window = Window::square(3);
    CHECK_THROWS_AS(ops::conv2d_forward(y.view(), x.view(), w.view(), window), ShapeError);
    CHECK_THROWS_AS(ops::conv2d_backward_input(dx.view(), y.view(), w.view(), window), ShapeError);
    CHECK_THROWS_AS(ops::conv2d_backward_weight(dw.view(), y.view(), x.view(), window), ShapeError);
  }
}

TEST_CASE("conv2d of an image without pixels reads padding alone") {
  const Tensor<float> x({1, 0, 0, 2});
  const Tensor<float> w({3, 1, 1, 2}, 1.0F);
  const Window window = Window::square(1, {.padding = 1});
  Tensor<float> y({1, 2, 2, 3}, 5.0F);
  Tensor<float> dx(x.shape());
  Tensor<float> dw(w.shape(), 4.0F);
  ops::conv2d_forward(y.view(), x.view(), w.view(), window);
  for (const float value : y.span()) CHECK(value == 0.0F);
  ops::conv2d_backward_input(dx.view(), y.view(), w.view(), window);
  ops::conv2d_backward_weight(dw.view(), y.view(), x.view(), window);
  for (const float value : dw.span()) CHECK(value == 4.0F);
}
