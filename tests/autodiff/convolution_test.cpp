// SPDX-License-Identifier: Apache-2.0
#include <bitdial/autodiff/convolution.hpp>

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
