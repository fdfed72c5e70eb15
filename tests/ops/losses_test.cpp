// SPDX-License-Identifier: Apache-2.0
#include <bitdial/ops/losses.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include <bitdial/autodiff/grad_check.hpp>

#include "op_support.hpp"

using namespace bitdial;
using namespace op_test;
using doctest::Approx;

namespace {

template <class T>
Tensor<T> row(std::initializer_list<double> values) {
  Tensor<T> tensor({1, static_cast<std::int64_t>(values.size())});
  std::int64_t i = 0;
  for (const double value : values) tensor[i++] = static_cast<T>(value);
  return tensor;
}

void check_values(const Tensor<double>& actual, std::initializer_list<double> expected,
                  double tolerance) {
  std::int64_t i = 0;
  for (const double value : expected) CHECK(std::abs(actual[i++] - value) <= tolerance);
}

}  // namespace

// The reference values were computed from the formulas in the SP-Nets training code.
TEST_CASE("losses reproduce the vectors of the SP-Nets notes") {
  const auto teacher_logits = row<double>({2.0, 0.5, -1.0});
  const auto z = row<double>({1.0, 1.0, -0.5});
  Tensor<double> t({1, 3});
  Tensor<double> p({1, 3});
  Tensor<double> loss({1});
  const Tensor<double> one({1}, 1.0);
  ops::softmax_forward(t.view(), teacher_logits.view());
  check_values(t, {0.785597, 0.1752904, 0.0391126}, 5e-7);

  ops::kl_divergence_forward(loss.view(), p.view(), z.view(), t.view());
  CHECK(std::abs(loss[0] - 0.23600044) < 5e-9);
  check_values(p, {0.4498162, 0.4498162, 0.1003676}, 5e-8);
  Tensor<double> dz({1, 3});
  ops::kl_divergence_backward(dz.view(), one.view(), p.view(), t.view());
  check_values(dz, {-0.3357808, 0.2745258, 0.061255}, 5e-7);

  ops::kl_divergence_forward(loss.view(), p.view(), z.view(), t.view(), {.epsilon = 1e-5});
  CHECK(std::abs(loss[0] - 0.23599191) < 5e-9);

  ops::soft_cross_entropy_forward(loss.view(), p.view(), z.view(), t.view());
  CHECK(std::abs(loss[0] - 0.857585045) < 5e-10);
  dz.fill(0.0);
  ops::soft_cross_entropy_backward(dz.view(), one.view(), p.view(), t.view());
  check_values(dz, {-0.3357808, 0.2745258, 0.061255}, 5e-7);

  ops::softmax_cross_entropy_forward(loss.view(), p.view(), z.view(), std::vector<std::int32_t>{0});
  CHECK(std::abs(loss[0] - 0.798916185) < 5e-10);
}

TEST_CASE("loss derivatives match finite differences, scaled by dloss and added") {
  auto z = random_tensor<double>({5, 7}, 1, -3.0, 3.0);
  const auto teacher_logits = random_tensor<double>({5, 7}, 2, -3.0, 3.0);
  Tensor<double> t({5, 7});
  ops::softmax_forward(t.view(), teacher_logits.view());
  const std::vector<std::int32_t> labels{0, 6, 3, 3, 1};
  const Tensor<double> dloss({1}, -1.5);
  Tensor<double> p({5, 7});
  Tensor<double> loss({1});
  const auto check = [&](auto forward, auto backward) {
    forward();
    Tensor<double> dz({5, 7}, 0.5);
    backward(dz);
    for (double& g : dz.span()) g = (g - 0.5) / -1.5;
    const GradCheck result = check_gradient(z.view(), dz.view(), [&] {
      forward();
      return loss[0];
    });
    CHECK_MESSAGE(result.error < 1e-9, result.text());
  };
  check([&] { ops::softmax_cross_entropy_forward(loss.view(), p.view(), z.view(), labels); },
        [&](Tensor<double>& dz) {
          ops::softmax_cross_entropy_backward(dz.view(), dloss.view(), p.view(), labels);
        });
  for (const ops::DistillationOptions& options :
       {ops::DistillationOptions{}, ops::DistillationOptions{.temperature = 2.5},
        ops::DistillationOptions{.temperature = 0.5, .epsilon = 1e-2}}) {
    check(
        [&] {
          ops::soft_cross_entropy_forward(loss.view(), p.view(), z.view(), t.view(), options);
        },
        [&](Tensor<double>& dz) {
          ops::soft_cross_entropy_backward(dz.view(), dloss.view(), p.view(), t.view(), options);
        });
    check([&] { ops::kl_divergence_forward(loss.view(), p.view(), z.view(), t.view(), options); },
          [&](Tensor<double>& dz) {
            ops::kl_divergence_backward(dz.view(), dloss.view(), p.view(), t.view(), options);
          });
  }
}

TEST_CASE("KL is zero for equal distributions, and cross-entropy less entropy otherwise") {
  const auto z = random_tensor<double>({4, 5}, 1, -2.0, 2.0);
  const auto teacher_logits = random_tensor<double>({4, 5}, 2, -2.0, 2.0);
  Tensor<double> same({4, 5});
  Tensor<double> t({4, 5});
  Tensor<double> p({4, 5});
  Tensor<double> kl({1});
  Tensor<double> ce({1});
  ops::softmax_forward(same.view(), z.view(), 3.0);
  ops::kl_divergence_forward(kl.view(), p.view(), z.view(), same.view(), {.temperature = 3.0});
  CHECK(std::abs(kl[0]) < 1e-14);
  ops::softmax_forward(t.view(), teacher_logits.view());
  double entropy = 0.0;
  for (const double v : t.span()) entropy -= v * std::log(v) / 4.0;
  ops::kl_divergence_forward(kl.view(), p.view(), z.view(), t.view());
  ops::soft_cross_entropy_forward(ce.view(), p.view(), z.view(), t.view());
  CHECK(kl[0] == Approx(ce[0] - entropy).epsilon(1e-12));
}

TEST_CASE_TEMPLATE("losses are stable for huge logits", T, float, double) {
  const auto z = row<T>({1e4, -1e4, 0.0});
  Tensor<T> p({1, 3});
  Tensor<T> loss({1});
  ops::softmax_forward(p.view(), z.view());
  CHECK(p[0] == T{1});
  CHECK(p[1] == T{0});
  ops::softmax_cross_entropy_forward(loss.view(), p.view(), z.view(), std::vector<std::int32_t>{1});
  CHECK(loss[0] == T{20000});
  // The student gives probability 0 (underflow) to a class that the teacher wants.
  const auto t = row<T>({0.0, 1.0, 0.0});
  ops::kl_divergence_forward(loss.view(), p.view(), z.view(), t.view());
  CHECK(loss[0] == T{20000});
  Tensor<T> dz({1, 3});
  const Tensor<T> one({1}, T{1});
  ops::kl_divergence_backward(dz.view(), one.view(), p.view(), t.view());
  CHECK(dz[0] == T{1});
  CHECK(dz[1] == T{-1});
  CHECK(dz[2] == T{0});
}

TEST_CASE("losses say what does not fit") {
  const Tensor<float> z({2, 3});
  Tensor<float> p({2, 3});
  Tensor<float> loss({1});
  const Tensor<float> t({3, 2});
  const auto cross_entropy = [&](const std::vector<std::int32_t>& labels) {
    ops::softmax_cross_entropy_forward(loss.view(), p.view(), z.view(), labels);
  };
  CHECK_THROWS_WITH_AS(cross_entropy({1}), "softmax_cross_entropy: 1 labels for logits [2, 3]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(cross_entropy({1, 3}),
                       "softmax_cross_entropy: label 3 of image 1 is not in 0 .. 2", ConfigError);
  CHECK_THROWS_WITH_AS(cross_entropy({-1, 0}),
                       "softmax_cross_entropy: label -1 of image 0 is not in 0 .. 2", ConfigError);
  CHECK_THROWS_WITH_AS(ops::kl_divergence_forward(loss.view(), p.view(), z.view(), t.view()),
                       "kl_divergence: teacher must be [2, 3], it is [3, 2]", ShapeError);
  CHECK_THROWS_WITH_AS(ops::softmax_forward(p.view(), z.view(), 0.0),
                       "softmax: temperature must be positive, it is 0", ConfigError);
}

TEST_CASE("loss derivatives check what they read") {
  const Tensor<float> p({2, 3}, 0.25F);
  const Tensor<float> t({2, 3}, 0.25F);
  const Tensor<float> wide({2, 4});
  const Tensor<float> one({1}, 1.0F);
  const Tensor<float> two({2}, 1.0F);
  const Tensor<float> none;
  Tensor<float> dz({2, 3});
  Tensor<float> dz_wide({2, 4});
  using Labels = std::vector<std::int32_t>;
  const auto labelled = [&](Tensor<float>& to, const Tensor<float>& dloss, const Labels& labels) {
    ops::softmax_cross_entropy_backward(to.view(), dloss.view(), p.view(), labels);
  };
  CHECK_THROWS_WITH_AS(labelled(dz, one, {1}),
                       "softmax_cross_entropy_backward: 1 labels for p [2, 3]", ShapeError);
  CHECK_THROWS_WITH_AS(labelled(dz, one, {0, 3}),
                       "softmax_cross_entropy_backward: label 3 of image 1 is not in 0 .. 2",
                       ConfigError);
  CHECK_THROWS_WITH_AS(labelled(dz, one, {-1, 0}),
                       "softmax_cross_entropy_backward: label -1 of image 0 is not in 0 .. 2",
                       ConfigError);
  CHECK_THROWS_WITH_AS(labelled(dz, none, {0, 1}),
                       "softmax_cross_entropy_backward: dloss must be [1], it is [0]", ShapeError);
  CHECK_THROWS_WITH_AS(labelled(dz_wide, one, {0, 1}),
                       "softmax_cross_entropy_backward: dz must be [2, 3], it is [2, 4]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(
      ops::softmax_cross_entropy_backward(dz.view(), one.view(), none.view(), Labels{}),
      "softmax_cross_entropy_backward: logits must be [N, classes], it is [0]", ShapeError);
  for (const float g : dz.span()) CHECK(g == 0.0F);

  const auto soft = [&](Tensor<float>& to, const Tensor<float>& dloss,
                        const Tensor<float>& target) {
    ops::soft_cross_entropy_backward(to.view(), dloss.view(), p.view(), target.view());
  };
  CHECK_THROWS_WITH_AS(soft(dz, two, t),
                       "soft_cross_entropy_backward: dloss must be [1], it is [2]", ShapeError);
  CHECK_THROWS_WITH_AS(soft(dz, one, wide),
                       "soft_cross_entropy_backward: teacher must be [2, 3], it is [2, 4]",
                       ShapeError);
  CHECK_THROWS_AS(soft(dz_wide, one, t), ShapeError);
  const auto divergence = [&](Tensor<float>& to, const Tensor<float>& dloss,
                              const Tensor<float>& target) {
    ops::kl_divergence_backward(to.view(), dloss.view(), p.view(), target.view());
  };
  CHECK_THROWS_WITH_AS(divergence(dz, none, t),
                       "kl_divergence_backward: dloss must be [1], it is [0]", ShapeError);
  CHECK_THROWS_WITH_AS(divergence(dz, one, wide),
                       "kl_divergence_backward: teacher must be [2, 3], it is [2, 4]", ShapeError);
  CHECK_THROWS_AS(divergence(dz_wide, one, t), ShapeError);
}

TEST_CASE("the mean squared error of logits") {
  const Tensor<double> z = [] {
    Tensor<double> v({2, 2});
    v[0] = 1.0;
    v[3] = -2.0;
    return v;
  }();
  const Tensor<double> t({2, 2}, 0.5);
  Tensor<double> loss({1});
  ops::mean_squared_error_forward(loss.view(), z.view(), t.view());
  CHECK(loss[0] == doctest::Approx((0.25 + 0.25 + 0.25 + 6.25) / 4.0));
  Tensor<double> dz({2, 2}, 10.0);
  const Tensor<double> dloss({1}, 2.0);
  ops::mean_squared_error_backward(dz.view(), dloss.view(), z.view(), t.view());
  CHECK(dz[0] == doctest::Approx(10.0 + 0.5));
  CHECK(dz[1] == doctest::Approx(10.0 - 0.5));
  CHECK(dz[3] == doctest::Approx(10.0 - 2.5));
  const Tensor<double> wide({2, 3});
  CHECK_THROWS_WITH_AS(ops::mean_squared_error_forward(loss.view(), z.view(), wide.view()),
                       "mean_squared_error: teacher must be [2, 2], it is [2, 3]", ShapeError);
  CHECK_THROWS_AS(ops::mean_squared_error_backward(dz.view(), dloss.view(), z.view(), wide.view()),
                  ShapeError);
}

TEST_CASE("distillation options outside their range are refused") {
  const Tensor<float> z({2, 3});
  const Tensor<float> t({2, 3}, 0.25F);
  const Tensor<float> one({1}, 1.0F);
  Tensor<float> loss({1});
  Tensor<float> p({2, 3});
  Tensor<float> dz({2, 3});
  const ops::DistillationOptions negative{.epsilon = -1e-5};
  CHECK_THROWS_WITH_AS(
      ops::kl_divergence_forward(loss.view(), p.view(), z.view(), t.view(), negative),
      "kl_divergence: epsilon must not be negative, it is -1e-05", ConfigError);
  CHECK_THROWS_AS(
      ops::soft_cross_entropy_forward(loss.view(), p.view(), z.view(), t.view(), negative),
      ConfigError);
  for (const ops::DistillationOptions& options :
       {negative, ops::DistillationOptions{.epsilon = std::nan("")},
        ops::DistillationOptions{.temperature = 0.0}, ops::DistillationOptions{.temperature = -1.0},
        ops::DistillationOptions{.temperature = std::nan("")}}) {
    CHECK_THROWS_AS(ops::kl_divergence_backward(dz.view(), one.view(), p.view(), t.view(), options),
                    ConfigError);
    CHECK_THROWS_AS(
        ops::soft_cross_entropy_backward(dz.view(), one.view(), p.view(), t.view(), options),
        ConfigError);
  }
  CHECK_THROWS_WITH_AS(ops::soft_cross_entropy_forward(loss.view(), p.view(), z.view(), t.view(),
                                                       {.temperature = 0.0}),
                       "soft_cross_entropy: temperature must be positive, it is 0", ConfigError);
}
