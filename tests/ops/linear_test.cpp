// SPDX-License-Identifier: Apache-2.0
#include <bitdial/ops/linear.hpp>

#include <doctest/doctest.h>

#include <cmath>

#include <bitdial/autodiff/grad_check.hpp>

#include "op_support.hpp"

using namespace bitdial;
using namespace op_test;

TEST_CASE_TEMPLATE("linear matches its definition", T, float, double) {
  const auto x = random_tensor<T>({101, 67}, 1);
  const auto w = random_tensor<T>({13, 67}, 2);
  const auto bias = random_tensor<T>({13}, 3);
  Tensor<T> y({101, 13}, T{9});
  ops::linear_forward(y.view(), x.view(), w.view(), bias.view());
  Tensor<T> without({101, 13});
  ops::linear_forward(without.view(), x.view(), w.view());
  for (std::int64_t n = 0; n < 101; ++n) {
    for (std::int64_t o = 0; o < 13; ++o) {
      double sum = 0.0;
      for (std::int64_t i = 0; i < 67; ++i) {
        sum += static_cast<double>(x.view()(n, i)) * static_cast<double>(w.view()(o, i));
      }
      CHECK(std::abs(static_cast<double>(without.view()(n, o)) - sum) < 1e-5);
      sum += static_cast<double>(bias[o]);
      CHECK(std::abs(static_cast<double>(y.view()(n, o)) - sum) < 1e-5);
    }
  }
}

TEST_CASE("linear derivatives match finite differences and are added") {
  auto x = random_tensor<double>({5, 17}, 1);
  auto w = random_tensor<double>({3, 17}, 2);
  auto bias = random_tensor<double>({3}, 3);
  const auto dy = random_tensor<double>({5, 3}, 4);
  const auto loss = [&] {
    Tensor<double> y({5, 3});
    ops::linear_forward(y.view(), x.view(), w.view(), bias.view());
    return dot(y, dy);
  };
  Tensor<double> dx(x.shape(), 0.5);
  Tensor<double> dw(w.shape(), 0.5);
  Tensor<double> dbias(bias.shape(), 0.5);
  ops::linear_backward_input(dx.view(), dy.view(), w.view());
  ops::linear_backward_weight(dw.view(), dy.view(), x.view());
  ops::linear_backward_bias(dbias.view(), dy.view());
  for (Tensor<double>* gradient : {&dx, &dw, &dbias}) {
    for (double& g : gradient->span()) g -= 0.5;
  }
  for (const GradCheck& check :
       {check_gradient(x.view(), dx.view(), loss), check_gradient(w.view(), dw.view(), loss),
        check_gradient(bias.view(), dbias.view(), loss)}) {
    CHECK_MESSAGE(check.error < 1e-8, check.text());
  }
}

TEST_CASE("linear does not depend on the number of threads") {
  const auto x = random_tensor<float>({301, 45}, 1);
  const auto w = random_tensor<float>({230, 45}, 2);
  const auto dy = random_tensor<float>({301, 230}, 3);
  CHECK(same_for_every_thread_count([&] {
    Tensor<float> y({301, 230});
    ops::linear_forward(y.view(), x.view(), w.view());
    return y;
  }));
  CHECK(same_for_every_thread_count([&] {
    Tensor<float> dx(x.shape());
    ops::linear_backward_input(dx.view(), dy.view(), w.view());
    return dx;
  }));
  CHECK(same_for_every_thread_count([&] {
    Tensor<float> dw(w.shape());
    ops::linear_backward_weight(dw.view(), dy.view(), x.view());
    return dw;
  }));
}

TEST_CASE("linear says which shapes do not fit") {
  Tensor<float> y({2, 3});
  const Tensor<float> x({2, 5});
  const Tensor<float> w({3, 4});
  CHECK_THROWS_WITH_AS(ops::linear_forward(y.view(), x.view(), w.view()),
                       "linear: weight [3, 4] must be [out, in] and x [N, in], x is [2, 5]",
                       ShapeError);
  const Tensor<float> fitting({4, 5});
  CHECK_THROWS_WITH_AS(ops::linear_forward(y.view(), x.view(), fitting.view()),
                       "linear: y must be [2, 4] for x [2, 5], it is [2, 3]", ShapeError);
  const Tensor<float> bias({2});
  const Tensor<float> good({3, 5});
  CHECK_THROWS_WITH_AS(ops::linear_forward(y.view(), x.view(), good.view(), bias.view()),
                       "linear: bias must be [3], it is [2]", ShapeError);
}
