// SPDX-License-Identifier: Apache-2.0
#include <bitdial/ops/qconv2d.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "op_support.hpp"

using namespace bitdial;
using namespace op_test;
using ops::CodesView;
using ops::Window;

namespace {

struct Case {
  Shape x;
  std::int64_t out;
  Window window;

  Shape w() const { return {out, window.kernel_h, window.kernel_w, x[3]}; }
  Shape y() const { return ops::conv2d_output_shape(x, w(), window); }
};

const std::vector<Case> cases = {
    {{2, 5, 7, 3}, 5, Window::square(3, {.padding = 1})},
    {{1, 7, 5, 5}, 35, Window::square(3, {.stride = 2, .padding = 1})},
    {{2, 7, 7, 3}, 17, Window::square(1, {.stride = 2})},
    {{3, 4, 5, 33}, 16, Window::square(1)},
    {{1, 7, 9, 4}, 5, Window::square(3, {.padding = 2, .dilation = 2})},
    {{1, 2, 9, 3}, 2, Window::square(3, {.padding = 3})},
    {{3, 13, 11, 16}, 300, Window::square(3, {.padding = 1})},
    {{0, 5, 5, 3}, 4, Window::square(3)},
};

struct Levels {
  const char* what;
  IntegerLevels line;
  int bits;
};

// Weights: as DoReFa at 8 bits (levels that do not fit a byte) and 4, AdaBits at 8, sign.
const std::vector<Levels> weight_levels = {{"2 q - 255", {0.25F, 2, -255}, 8},
                                           {"2 q - 15", {0.3F, 2, -15}, 4},
                                           {"q - 128", {0.7F, 1, -128}, 8},
                                           {"2 q - 1", {1.0F, 2, -1}, 1}};
// Activations: with zero as code 0, and two-sided.
const std::vector<Levels> activation_levels = {{"q, 8 bits", {1.0F / 255.0F, 1, 0}, 8},
                                               {"q, 2 bits", {1.0F / 3.0F, 1, 0}, 2},
                                               {"2 q - 255", {1.0F / 255.0F, 2, -255}, 8},
                                               {"2 q - 1", {1.0F, 2, -1}, 1}};

Tensor<std::uint8_t> random_codes(const Shape& shape, std::uint64_t seed, int bits) {
  return integer_tensor<std::uint8_t>(shape, seed, 0, (1 << bits) - 1);
}

// float(I) * s, I by definition on the levels.
Tensor<float> definition(const Case& c, const CodesView& x, const CodesView& w) {
  const auto levels = [](const CodesView& view) {
    Tensor<double> result(view.shape());
    for (std::int64_t i = 0; i < result.size(); ++i) {
      result[i] = view.levels.level(view.codes.data()[i]);
    }
    return result;
  };
  const Tensor<double> x_levels = levels(x);
  const Tensor<double> w_levels = levels(w);
  Tensor<double> sums(c.y());
  ops::conv2d_forward(sums.view(), x_levels.view(), w_levels.view(), c.window);
  Tensor<float> y(c.y());
  const float scale = w.levels.scale * x.levels.scale;
  for (std::int64_t i = 0; i < y.size(); ++i) y[i] = static_cast<float>(sums[i]) * scale;
  return y;
}

}  // namespace

TEST_CASE("qconv2d is the exact integer sum, rounded once, times the scales") {
  for (const Case& c : cases) {
    for (const Levels& of_w : weight_levels) {
      for (const Levels& of_x : activation_levels) {
        CAPTURE(c.x.text());
        CAPTURE(c.w().text());
        CAPTURE(of_w.what);
        CAPTURE(of_x.what);
        const auto x_codes = random_codes(c.x, 1, of_x.bits);
        const auto w_codes = random_codes(c.w(), 2, of_w.bits);
        const CodesView x{x_codes.view(), of_x.line, of_x.bits};
        const CodesView w{w_codes.view(), of_w.line, of_w.bits};
        REQUIRE(ops::sums_fit_int32(x, w));
        const Tensor<float> expected = definition(c, x, w);
        const auto sums = [&] {
          Tensor<float> y(c.y(), 7.0F);  // overwritten
          ops::qconv2d_forward(y.view(), x, w, c.window);
          return y;
        };
        const Tensor<float> y = sums();
        std::int64_t wrong = 0;
        for (std::int64_t i = 0; i < y.size(); ++i) wrong += y[i] != expected[i];
        CHECK(wrong == 0);
        CHECK(same_for_every_thread_count(sums));
      }
    }
  }
}

TEST_CASE(
    "the derivative by the filters reads codes and has the bits of the one that reads values") {
  for (const Case& c : cases) {
    for (const Levels& of_x : activation_levels) {
      CAPTURE(c.x.text());
      CAPTURE(c.w().text());
      CAPTURE(of_x.what);
      const auto codes = random_codes(c.x, 1, of_x.bits);
      const auto dy = random_tensor<float>(c.y(), 3);
      Tensor<float> values(c.x);
      for (std::int64_t i = 0; i < values.size(); ++i) values[i] = of_x.line.value(codes[i]);
      Tensor<float> expected(c.w(), 0.25F);
      ops::conv2d_backward_weight(expected.view(), dy.view(), values.view(), c.window);
      Tensor<float> dw(c.w(), 0.25F);
      ops::qconv2d_backward_weight(dw.view(), dy.view(), {codes.view(), of_x.line, of_x.bits},
                                   c.window);
      CHECK(same_bits(dw, expected));
    }
  }
}

TEST_CASE("32 bits hold the sums of every usual layer, and not those of a layer that is too deep") {
  const Tensor<std::uint8_t> x({1, 1, 1, 1});
  const auto fits = [&](std::int64_t channels, const IntegerLevels& levels) {
    const Tensor<std::uint8_t> w({1, 3, 3, channels});
    return ops::sums_fit_int32({x.view(), levels, 8}, {w.view(), {1.0F, 2, -255}, 8});
  };
  CHECK(fits(3000, {1.0F, 1, 0}));
  CHECK_FALSE(fits(4000, {1.0F, 1, 0}));
  CHECK_FALSE(fits(4000, {1.0F, 2, -255}));
}
