// SPDX-License-Identifier: Apache-2.0
#include <bitdial/ops/add.hpp>

#include <doctest/doctest.h>

#include "op_support.hpp"

using namespace bitdial;
using namespace op_test;

TEST_CASE_TEMPLATE("add and scale, forward and backward", T, float, double) {
  const auto a = random_tensor<T>({7, 333}, 1);
  const auto b = random_tensor<T>({7, 333}, 2);
  Tensor<T> sum(a.shape());
  Tensor<T> scaled(a.shape());
  Tensor<T> da(a.shape(), T{1});
  Tensor<T> dx(a.shape(), T{1});
  ops::add_forward(sum.view(), a.view(), b.view());
  ops::scale_forward(scaled.view(), a.view(), T{-3});
  ops::add_backward(da.view(), b.view());
  ops::scale_backward(dx.view(), b.view(), T{0.5});
  for (std::int64_t i = 0; i < a.size(); ++i) {
    REQUIRE(sum[i] == a[i] + b[i]);
    REQUIRE(scaled[i] == T{-3} * a[i]);
    REQUIRE(da[i] == T{1} + b[i]);
    REQUIRE(dx[i] == T{1} + T{0.5} * b[i]);
  }
}

TEST_CASE("add works in place and at every thread count") {
  const auto a = random_tensor<float>({50, 1001}, 1);
  CHECK(same_for_every_thread_count([&] {
    Tensor<float> y = a;
    ops::add_forward(y.view(), y.view(), y.view());
    return y;
  }));
}

TEST_CASE("add says which shapes do not fit") {
  Tensor<float> y({2, 3});
  const Tensor<float> a({2, 3});
  const Tensor<float> b({3, 2});
  CHECK_THROWS_WITH_AS(ops::add_forward(y.view(), a.view(), b.view()),
                       "add: b must be [2, 3], it is [3, 2]", ShapeError);
  CHECK_THROWS_WITH_AS(ops::scale_forward(y.view(), b.view(), 1.0F),
                       "scale: y must be [3, 2], it is [2, 3]", ShapeError);
}
