// SPDX-License-Identifier: Apache-2.0
#include <bitdial/autodiff/convolution.hpp>
#include <bitdial/autodiff/functions.hpp>
#include <bitdial/quant/policies/dorefa.hpp>
#include <bitdial/quant/quantizer.hpp>

#include <doctest/doctest.h>
#include <algorithm>
#include <support/tensors.hpp>

using namespace bitdial;

TEST_CASE("sums that are differentiated take the fewest products, others are exact chains") {
  const auto window = ops::Window::square(3, {.padding = 1});
  const Tensor<float> x = test::random_images({2, 6, 8, 9}, 1);
  const Tensor<float> w = test::random_images({10, 3, 3, 9}, 2);
  Tensor<float> chains({2, 6, 8, 10}), fewest({2, 6, 8, 10});
  ops::conv2d_forward(chains.view(), x.view(), w.view(), window);
  ops::conv2d_forward(fewest.view(), x.view(), w.view(), window, ops::Sums::fewest_products);
  Tape tape;
  const Var borrowed = tape.borrow(x);
  const Var fixed = ad::conv2d(borrowed, tape.borrow(w), window);
  const Var trained = ad::conv2d(borrowed, tape.leaf(w), window);
  CHECK(std::ranges::equal(fixed.value().span(), chains.span()));
  CHECK(std::ranges::equal(trained.value().span(), fewest.span()));
  CHECK_FALSE(std::ranges::equal(chains.span(), fewest.span()));
}

TEST_CASE("both derivatives of a convolution multiply what the tape says") {
  const auto window = ops::Window::square(3, {.padding = 1});
  const Tensor<float> x = test::random_images({2, 6, 5, 3}, 1);
  const Tensor<float> w = test::random_images({4, 3, 3, 3}, 2);
  const Tensor<float> dy = test::random_images({2, 6, 5, 4}, 3);
  for (const ops::Products products : {ops::Products::f32, ops::Products::bf16}) {
    Tape tape;
    tape.set_gradient_products(products);
    const Var on_tape = tape.leaf(x), weight = tape.leaf(w);
    tape.backward(ad::conv2d(on_tape, weight, window), dy);
    Tensor<float> dx(x.shape()), dw(w.shape());
    ops::conv2d_backward_input(dx.view(), dy.view(), w.view(), window, {.products = products});
    ops::conv2d_backward_weight(dw.view(), dy.view(), x.view(), window, products);
    CHECK(std::ranges::equal(on_tape.grad().span(), dx.span()));
    CHECK(std::ranges::equal(weight.grad().span(), dw.span()));
  }
}

namespace {

/// The derivatives of a convolution whose result a batch normalisation reads, when its gradient
/// waits and when it was computed before.
struct Derivatives {
  Tensor<float> dx, dw;

  Derivatives(const Tensor<float>& x, const Tensor<float>& w, const ops::Window& window,
              std::int64_t groups, int bits, bool waits) {
    Tape tape;
    const Var on_tape = tape.leaf(x), weight = tape.leaf(w);
    const Var quantized = ad::fake_quantize(on_tape, Quantizer<DoReFaActivations>{}, bits);
    const Var sums = groups == 1 ? ad::conv2d(quantized, weight, window)
                                 : ad::grouped_conv2d(quantized, weight, window, groups);
    if (!waits) {
      tape.on_gradient(sums, [](Gradient& dy) { static_cast<void>(dy.values()); });
    }
    const std::int64_t channels = w.shape()[0];
    Tensor<float> mean({channels}), variance({channels});
    const Var gamma = tape.leaf(Tensor<float>({channels}, 0.5F));
    const Var beta = tape.leaf(Tensor<float>({channels}, 0.25F));
    const Var y = ad::relu(ad::batch_norm(sums, gamma, beta, mean, variance));
    tape.backward(y, test::random_images(y.shape(), 3));
    dx = on_tape.grad();
    dw = weight.grad();
  }
};

}  // namespace

TEST_CASE("a gradient that waits is computed with the derivatives that read it, group by group") {
  struct Case {
    Shape x, w;
    ops::Window window;
    std::int64_t groups;
  };
  const Case cases[] = {
      {{48, 32, 31, 16}, {96, 1, 1, 16}, ops::Window::square(1, {}), 1},
      {{72, 33, 32, 8}, {64, 3, 3, 8}, ops::Window::square(3, {.padding = 1}), 1},
      {{36, 65, 64, 6}, {128, 3, 3, 6}, ops::Window::square(3, {.stride = 2, .padding = 1}), 1},
      {{8, 16, 15, 40}, {40, 3, 3, 1}, ops::Window::square(3, {.padding = 1}), 40},
      {{9, 16, 15, 48}, {48, 3, 3, 1}, ops::Window::square(3, {.stride = 2, .padding = 1}), 48},
      {{32, 64, 32, 12}, {72, 3, 3, 4}, ops::Window::square(3, {.padding = 1}), 3},
  };
  for (const Case& c : cases) {
    CAPTURE(c.w);
    const Tensor<float> x = test::random_images(c.x, 1);
    const Tensor<float> w = test::random_images(c.w, 2);
    for (const int bits : {32, 4}) {
      const Derivatives before(x, w, c.window, c.groups, bits, false);
      const Derivatives waiting(x, w, c.window, c.groups, bits, true);
      CHECK(test::relative_difference(before.dx, waiting.dx) < 2e-6F);
      CHECK(test::relative_difference(before.dw, waiting.dw) < 2e-5F);
      for (const int threads : {1, 3}) {
        set_thread_count(threads);
        const Derivatives again(x, w, c.window, c.groups, bits, true);
        set_thread_count(0);
        CHECK(std::ranges::equal(again.dx.span(), waiting.dx.span()));
        CHECK(std::ranges::equal(again.dw.span(), waiting.dw.span()));
      }
    }
  }
}

TEST_CASE("an empty batch has empty derivatives, also where the gradient waits") {
  const auto window = ops::Window::square(3, {.padding = 1});
  for (const std::int64_t groups : {1, 2, 16}) {
    CAPTURE(groups);
    Tape tape;
    const Var x = tape.leaf(Tensor<float>({0, 8, 8, 16}));
    const Var w = tape.leaf(test::random_images({16, 3, 3, 16 / groups}, 1));
    const Var sums =
        groups == 1 ? ad::conv2d(x, w, window) : ad::grouped_conv2d(x, w, window, groups);
    const Var y = ad::relu(sums);
    REQUIRE(y.shape() == Shape{0, 8, 8, 16});
    tape.backward(y, Tensor<float>(y.shape()));
    CHECK(x.grad().shape() == x.shape());
    CHECK(std::ranges::all_of(w.grad().span(), [](float g) { return g == 0.0F; }));
  }
}
