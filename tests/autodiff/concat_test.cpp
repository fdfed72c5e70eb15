// SPDX-License-Identifier: Apache-2.0
#include <bitdial/autodiff/concat.hpp>

#include <doctest/doctest.h>

#include <span>
#include <utility>
#include <vector>

#include <bitdial/autodiff/functions.hpp>
#include <bitdial/autodiff/grad_check.hpp>

#include "../ops/op_support.hpp"

using namespace bitdial;
using namespace op_test;
using ops::Window;

using DVar = BasicVar<double>;
using DTape = BasicTape<double>;
using Leaves = std::span<const DVar>;

namespace {

// A loss of which every element of y has a share of its own.
DVar loss_of(DVar y) {
  const DVar mixed =
      ad::conv2d(y, y.tape().constant(random_tensor<double>({3, 2, 1, y.shape()[3]}, 99)),
                 {.kernel_h = 2, .kernel_w = 1});
  const DVar means = ad::global_average_pool(ad::relu(mixed));
  const std::vector<std::int32_t> labels(static_cast<std::size_t>(y.shape()[0]), 1);
  return ad::softmax_cross_entropy(means, labels);
}

void check(std::vector<Tensor<double>> inputs, DVar (*build)(DTape& tape, Leaves in),
           double step = 1e-5) {
  const GradCheck result = check_gradients(std::move(inputs), build, step);
  CHECK_MESSAGE(result.error < 1e-7, result.text());
  CHECK(result.error >= 0.0);
}

}  // namespace

TEST_CASE("the gradient of every part, also of one that is there twice") {
  check({random_tensor<double>({2, 5, 3, 4}, 1), random_tensor<double>({2, 5, 3, 1}, 2)},
        [](DTape&, Leaves in) {
          return loss_of(ad::concat_channels({in[0], in[1], in[0]}));
        });
}

TEST_CASE("an inception block: rectangular kernels, a pool branch, streamed branches") {
  check({random_tensor<double>({2, 5, 7, 3}, 1), random_tensor<double>({2, 1, 5, 3}, 2),
         random_tensor<double>({4, 3, 1, 2}, 3), random_tensor<double>({5, 1, 1, 3}, 4),
         random_tensor<double>({4}, 5, 0.5, 1.5), random_tensor<double>({4}, 6)},
        [](DTape& tape, Leaves in) {
          const DVar x = in[0];
          const DVar wide = ad::conv2d(x, in[1], {.kernel_h = 1, .kernel_w = 5, .padding_w = 2});
          const DVar tall = ad::conv2d(wide, in[2], {.kernel_h = 3, .kernel_w = 1, .padding_h = 1});
          Tensor<double> mean({4}), var({4}, 1.0);
          const DVar normal = ad::relu(ad::batch_norm(tall, in[4], in[5], mean, var));
          const DVar pooled = ad::average_pool2d(x, Window::square(3, {.padding = 1}));
          const DVar projected = ad::relu(ad::conv2d(pooled, in[3], Window::square(1)));
          const DVar largest = ad::max_pool2d(x, Window::square(3, {.padding = 1}));
          static_cast<void>(tape);
          return loss_of(ad::concat_channels({normal, projected, largest}));
        });
}

TEST_CASE("parts stand side by side; parts without gradient get none") {
  Tape tape;
  const Var a = tape.leaf(random_tensor<float>({2, 3, 2, 3}, 1));
  const Var b = tape.constant(random_tensor<float>({2, 3, 2, 2}, 2));
  const Var y = ad::concat_channels({a, b});
  REQUIRE(y.shape() == Shape{2, 3, 2, 5});
  for (std::int64_t pixel = 0; pixel < 12; ++pixel) {
    for (std::int64_t c = 0; c < 5; ++c) {
      const float expected = c < 3 ? a.value()[3 * pixel + c] : b.value()[2 * pixel + c - 3];
      CHECK(y.value()[5 * pixel + c] == expected);
    }
  }
  const std::vector<std::int32_t> labels{0, 1};
  tape.backward(ad::softmax_cross_entropy(ad::global_average_pool(y), labels));
  CHECK(a.grad()[0] != 0.0F);
}

TEST_CASE("parts that do not fit are refused") {
  Tape tape;
  const Var a = tape.constant(Tensor<float>({2, 3, 2, 3}));
  const Var b = tape.constant(Tensor<float>({2, 2, 3, 3}));
  CHECK_THROWS_WITH_AS(ad::concat_channels({a, b}),
                       "concat: a part [2, 2, 3, 3] from channel 3 on does not fit into "
                       "[2, 3, 2, 6]",
                       ShapeError);
  CHECK_THROWS_AS(ad::concat_channels(std::span<const Var>{}), ConfigError);
}
