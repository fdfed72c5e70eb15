// SPDX-License-Identifier: Apache-2.0
#include <bitdial/autodiff/convolution.hpp>
#include <bitdial/autodiff/functions.hpp>
#include <bitdial/autodiff/mixture.hpp>
#include <bitdial/quant/policies/dorefa.hpp>
#include <bitdial/quant/quantizer.hpp>

#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <span>
#include <support/tensors.hpp>
#include <vector>

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

float largest_difference(const Tensor<float>& a, const Tensor<float>& b) {
  float largest = 0.0F, size = 0.0F;
  for (std::int64_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::fabs(a[i] - b[i]));
    size = std::max(size, std::fabs(a[i]));
  }
  return largest / size;
}

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
      CHECK(largest_difference(before.dx, waiting.dx) < 2e-6F);
      CHECK(largest_difference(before.dw, waiting.dw) < 2e-5F);
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

namespace {

/// A normalised, rectified and quantized result, and what reads it.
struct NormalisedBlock {
  Tape tape;
  Tensor<float> running[4]{Tensor<float>({32}), Tensor<float>({32}), Tensor<float>({32}),
                           Tensor<float>({32})};
  Var x, gamma, beta, rectified, quantized, y;

  /// `is_mixed`: a mixture, which names its first term alone, reads the quantized values too.
  explicit NormalisedBlock(bool is_mixed = false) {
    x = tape.leaf(test::random_images({20, 16, 15, 16}, 1));
    gamma = tape.leaf(test::random_tensor({32}, 2, 0.5F, 1.5F));
    beta = tape.leaf(test::random_tensor({32}, 3, 0.0F, 0.5F));
    const Var expanded = ad::conv2d(x, tape.leaf(test::random_tensor({32, 1, 1, 16}, 4)),
                                    ops::Window::square(1, {}));
    rectified = ad::relu(ad::batch_norm(expanded, gamma, beta, running[0], running[1]));
    quantized = ad::fake_quantize(rectified, Quantizer<DoReFaActivations>{}, 4);
    Var mixed;
    if (is_mixed) {
      const Var terms[] = {tape.leaf(test::random_tensor(quantized.shape(), 7)), quantized};
      mixed = ad::mixture(tape.leaf(test::random_tensor({2}, 8)), std::span<const Var>{terms});
    }
    const Var sums = ad::grouped_conv2d(quantized, tape.leaf(test::random_tensor({32, 3, 3, 1}, 5)),
                                        ops::Window::square(3, {.padding = 1}), 32);
    y = ad::relu(ad::batch_norm(sums, tape.leaf(Tensor<float>({32}, 1.0F)),
                                tape.leaf(Tensor<float>({32})), running[2], running[3]));
    if (is_mixed) y = ad::add(y, mixed);
  }
  void run() { tape.backward(y, test::random_tensor(y.shape(), 6)); }
};

}  // namespace

TEST_CASE("who computes the gradient of a normalised value takes the sums that its slope needs") {
  NormalisedBlock block, apart, twice;
  const auto sums = block.tape.start_sums(block.quantized, 1);
  REQUIRE(sums != nullptr);
  block.run();
  std::vector<double> first, second;
  sums->total(first, second);
  for (std::int64_t c = 0; c < 32; ++c) {
    CHECK(static_cast<float>(first[static_cast<std::size_t>(c)]) == block.beta.grad()[c]);
  }
  // Not where the gradient changes on its way, nor where it has another part.
  apart.tape.on_gradient(apart.rectified, [](Gradient&) {});
  CHECK(apart.tape.start_sums(apart.quantized, 1) == nullptr);
  apart.run();
  static_cast<void>(ad::add(twice.quantized, twice.quantized));
  CHECK(twice.tape.start_sums(twice.quantized, 1) == nullptr);
  CHECK(block.tape.start_sums(block.x, 1) == nullptr);
  CHECK(largest_difference(apart.gamma.grad(), block.gamma.grad()) < 2e-6F);
  CHECK(largest_difference(apart.beta.grad(), block.beta.grad()) < 2e-6F);
  CHECK(largest_difference(apart.x.grad(), block.x.grad()) < 2e-6F);
  // Nor are they kept where another part comes later.
  NormalisedBlock mixed(true), mixed_apart(true);
  mixed_apart.tape.on_gradient(mixed_apart.rectified, [](Gradient&) {});
  mixed.run();
  mixed_apart.run();
  CHECK(largest_difference(mixed_apart.gamma.grad(), mixed.gamma.grad()) < 2e-6F);
  CHECK(largest_difference(mixed_apart.x.grad(), mixed.x.grad()) < 2e-6F);
  for (const int threads : {1, 3}) {
    set_thread_count(threads);
    NormalisedBlock again;
    again.run();
    set_thread_count(0);
    CHECK(std::ranges::equal(again.x.grad().span(), block.x.grad().span()));
    CHECK(std::ranges::equal(again.gamma.grad().span(), block.gamma.grad().span()));
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
