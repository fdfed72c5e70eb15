// SPDX-License-Identifier: Apache-2.0
#include <bitdial/ops/activation.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "op_support.hpp"

using namespace bitdial;
using namespace op_test;

TEST_CASE("relu and its derivative at every kind of value") {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> values{-2.0F, -0.0F, 0.0F, 1e-40F, 3.0F, inf, -inf, std::nanf("")};
  Tensor<float> x({3, 8});
  for (std::int64_t i = 0; i < x.size(); ++i) x[i] = values[static_cast<std::size_t>(i % 8)];
  Tensor<float> y(x.shape());
  ops::relu_forward(y.view(), x.view());
  const Tensor<float> dy(x.shape(), 2.0F);
  Tensor<float> dx(x.shape(), 0.5F);
  ops::relu_backward(dx.view(), dy.view(), y.view());
  const std::vector<float> expected{0.0F, 0.0F, 0.0F, 1e-40F, 3.0F, inf, 0.0F, 0.0F};
  for (std::int64_t i = 0; i < x.size(); ++i) {
    CHECK(y[i] == expected[static_cast<std::size_t>(i % 8)]);
    CHECK_FALSE(std::signbit(y[i]));
    CHECK(dx[i] == (y[i] > 0.0F ? 2.5F : 0.5F));
  }
}

TEST_CASE("relu in place, on long tensors, at every thread count") {
  const auto x = random_tensor<float>({50, 1001}, 1);
  CHECK(same_for_every_thread_count([&] {
    Tensor<float> y = x;
    ops::relu_forward(y.view(), y.view());
    return y;
  }));
  Tensor<float> y(x.shape());
  ops::relu_forward(y.view(), x.view());
  std::int64_t wrong = 0;
  for (std::int64_t i = 0; i < x.size(); ++i) wrong += y[i] != std::fmax(x[i], 0.0F);
  CHECK(wrong == 0);
}

TEST_CASE("relu says which shapes do not fit") {
  Tensor<float> y({2, 3});
  const Tensor<float> x({3, 2});
  CHECK_THROWS_WITH_AS(ops::relu_forward(y.view(), x.view()),
                       "relu: y must be [3, 2], it is [2, 3]", ShapeError);
  const TensorView<const float> columns(x.data(), {3, 1}, {2, 1});
  Tensor<float> narrow({3, 1});
  CHECK_THROWS_WITH_AS(ops::relu_forward(narrow.view(), columns),
                       "relu: x must be contiguous, [3, 1] has other strides", ShapeError);
}
