// SPDX-License-Identifier: Apache-2.0
#include <bitdial/ops/batch_norm.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include <bitdial/autodiff/grad_check.hpp>

#include "op_support.hpp"

using namespace bitdial;
using namespace op_test;

namespace {

template <class T>
struct BatchNorm {
  explicit BatchNorm(const Shape& shape)
      : x{random_tensor<T>(shape, 1, -2.0, 3.0)},
        gamma{random_tensor<T>({shape.back()}, 2, 0.5, 1.5)},
        beta{random_tensor<T>({shape.back()}, 3)},
        y{shape},
        mean{{shape.back()}},
        inv_std{{shape.back()}},
        running_mean{{shape.back()}, T{1}},
        running_var{{shape.back()}, T{2}} {}

  void forward(const ops::BatchNormOptions& options = {}) {
    ops::batch_norm_forward(y.view(), mean.view(), inv_std.view(), running_mean.view(),
                            running_var.view(), x.view(), gamma.view(), beta.view(), options);
  }

  Tensor<T> x, gamma, beta, y, mean, inv_std, running_mean, running_var;
};

const std::vector<Shape> shapes = {{2, 5, 7, 3}, {4, 5}, {3, 2, 3, 17}, {300, 33}};

}  // namespace

TEST_CASE_TEMPLATE("batch_norm matches its definition", T, float, double) {
  const double tolerance = std::is_same_v<T, float> ? 2e-6 : 1e-13;
  for (const Shape& shape : shapes) {
    CAPTURE(shape.text());
    BatchNorm<T> bn(shape);
    bn.forward({.momentum = 0.25, .epsilon = 0.5});
    const std::int64_t channels = shape.back();
    const std::int64_t rows = shape.size() / channels;
    for (std::int64_t c = 0; c < channels; ++c) {
      double mean = 0.0;
      for (std::int64_t r = 0; r < rows; ++r) mean += static_cast<double>(bn.x[r * channels + c]);
      mean /= static_cast<double>(rows);
      double var = 0.0;
      for (std::int64_t r = 0; r < rows; ++r) {
        var += std::pow(static_cast<double>(bn.x[r * channels + c]) - mean, 2.0);
      }
      var /= static_cast<double>(rows);
      const double unbiased = var * static_cast<double>(rows) / static_cast<double>(rows - 1);
      CHECK(static_cast<double>(bn.mean[c]) == doctest::Approx(mean).epsilon(tolerance));
      CHECK(static_cast<double>(bn.inv_std[c]) ==
            doctest::Approx(1.0 / std::sqrt(var + 0.5)).epsilon(tolerance));
      CHECK(static_cast<double>(bn.running_mean[c]) ==
            doctest::Approx(0.75 * 1.0 + 0.25 * mean).epsilon(tolerance));
      CHECK(static_cast<double>(bn.running_var[c]) ==
            doctest::Approx(0.75 * 2.0 + 0.25 * unbiased).epsilon(tolerance));
      for (std::int64_t r = 0; r < rows; ++r) {
        const double expected = (static_cast<double>(bn.x[r * channels + c]) - mean) /
                                    std::sqrt(var + 0.5) * static_cast<double>(bn.gamma[c]) +
                                static_cast<double>(bn.beta[c]);
        CHECK(static_cast<double>(bn.y[r * channels + c]) ==
              doctest::Approx(expected).epsilon(4.0 * tolerance).scale(4.0));
      }
    }
  }
}

TEST_CASE("batch_norm keeps its accuracy far from zero") {
  Tensor<float> x({4096, 3});
  for (std::int64_t i = 0; i < x.size(); ++i) {
    x[i] = 1000.0F + (i / 3 % 2 == 0 ? 0.25F : -0.25F);
  }
  Tensor<float> mean({3});
  Tensor<float> var({3});
  ops::batch_statistics(mean.view(), var.view(), x.view());
  for (std::int64_t c = 0; c < 3; ++c) {
    CHECK(mean[c] == 1000.0F);
    CHECK(var[c] == 0.0625F);
  }
}

TEST_CASE("batch_norm of one row and without running statistics") {
  BatchNorm<float> bn({1, 3});
  bn.forward({.momentum = 1.0, .epsilon = 1.0});
  CHECK(bn.y[1] == doctest::Approx(bn.beta[1]));
  CHECK(bn.running_var[0] == 0.0F);
  CHECK(bn.running_mean[2] == bn.x[2]);
  ops::batch_norm_forward(bn.y.view(), bn.mean.view(), bn.inv_std.view(), TensorView<float>{},
                          TensorView<float>{}, bn.x.view(), bn.gamma.view(), bn.beta.view());
  CHECK(bn.inv_std[0] == doctest::Approx(1.0 / std::sqrt(1e-5)));
}

TEST_CASE("batch_norm derivatives match finite differences") {
  for (const Shape& shape : shapes) {
    if (shape.size() > 400) continue;
    CAPTURE(shape.text());
    BatchNorm<double> bn(shape);
    const auto dy = random_tensor<double>(shape, 4);
    const auto loss = [&] {
      bn.forward();
      return dot(bn.y, dy);
    };
    bn.forward();
    Tensor<double> dx(shape, 0.5);
    Tensor<double> dgamma({shape.back()}, 0.5);
    Tensor<double> dbeta({shape.back()}, 0.5);
    ops::batch_norm_backward(dx.view(), dgamma.view(), dbeta.view(), dy.view(), bn.x.view(),
                             bn.gamma.view(), bn.mean.view(), bn.inv_std.view());
    for (Tensor<double>* gradient : {&dx, &dgamma, &dbeta}) {
      for (double& g : gradient->span()) g -= 0.5;  // it was added to
    }
    const GradCheck of_x = check_gradient(bn.x.view(), dx.view(), loss);
    const GradCheck of_gamma = check_gradient(bn.gamma.view(), dgamma.view(), loss);
    const GradCheck of_beta = check_gradient(bn.beta.view(), dbeta.view(), loss);
    CHECK_MESSAGE(of_x.error < 1e-7, of_x.text());
    CHECK_MESSAGE(of_gamma.error < 1e-7, of_gamma.text());
    CHECK_MESSAGE(of_beta.error < 1e-7, of_beta.text());
  }
}

TEST_CASE("batch_norm_backward skips empty gradients") {
  BatchNorm<double> bn({2, 5, 7, 3});
  const auto dy = random_tensor<double>(bn.x.shape(), 4);
  bn.forward();
  Tensor<double> dx(bn.x.shape());
  Tensor<double> dgamma({3});
  ops::batch_norm_backward(dx.view(), TensorView<double>{}, TensorView<double>{}, dy.view(),
                           bn.x.view(), bn.gamma.view(), bn.mean.view(), bn.inv_std.view());
  ops::batch_norm_backward(TensorView<double>{}, dgamma.view(), TensorView<double>{}, dy.view(),
                           bn.x.view(), bn.gamma.view(), bn.mean.view(), bn.inv_std.view());
  CHECK(dx[0] != 0.0);
  CHECK(dgamma[0] != 0.0);
}

TEST_CASE("folded batch_norm is one fma per element, correctly rounded") {
  BatchNorm<float> bn({5, 7, 11});
  Tensor<float> g({11});
  Tensor<float> h({11});
  ops::fold_batch_norm(g.view(), h.view(), bn.gamma.view(), bn.beta.view(), bn.running_mean.view(),
                       bn.running_var.view(), 1e-5);
  Tensor<float> y(bn.x.shape());
  ops::scale_shift_forward(y.view(), bn.x.view(), g.view(), h.view());
  for (std::int64_t i = 0; i < y.size(); ++i) {
    const std::int64_t c = i % 11;
    const float scale = bn.gamma[c] / std::sqrt(2.0F + 1e-5F);
    CHECK(g[c] == scale);
    CHECK(h[c] == std::fma(-1.0F, scale, bn.beta[c]));
    CHECK(y[i] == std::fma(bn.x[i], g[c], h[c]));
  }
}

TEST_CASE("scale_shift derivatives match finite differences") {
  auto x = random_tensor<double>({3, 5, 17}, 1);
  auto g = random_tensor<double>({17}, 2);
  auto h = random_tensor<double>({17}, 3);
  const auto dy = random_tensor<double>(x.shape(), 4);
  const auto loss = [&] {
    Tensor<double> y(x.shape());
    ops::scale_shift_forward(y.view(), x.view(), g.view(), h.view());
    return dot(y, dy);
  };
  Tensor<double> dx(x.shape());
  Tensor<double> dg({17});
  Tensor<double> dh({17});
  ops::scale_shift_backward(dx.view(), dg.view(), dh.view(), dy.view(), x.view(), g.view());
  for (const GradCheck& check :
       {check_gradient(x.view(), dx.view(), loss), check_gradient(g.view(), dg.view(), loss),
        check_gradient(h.view(), dh.view(), loss)}) {
    CHECK_MESSAGE(check.error < 1e-8, check.text());
  }
  ops::scale_shift_backward(dx.view(), TensorView<double>{}, TensorView<double>{}, dy.view(),
                            x.view(), g.view());
  CHECK(dx[20] == doctest::Approx(2.0 * dy[20] * g[3]));
}

TEST_CASE("batch_norm does not depend on the number of threads") {
  const Shape shape{70, 9, 8, 19};
  CHECK(same_for_every_thread_count([&] {
    BatchNorm<float> bn(shape);
    bn.forward();
    return bn.y;
  }));
  CHECK(same_for_every_thread_count([&] {
    BatchNorm<float> bn(shape);
    bn.forward();
    const auto dy = random_tensor<float>(shape, 4);
    Tensor<float> dx(shape);
    Tensor<float> dgamma({19});
    Tensor<float> dbeta({19});
    ops::batch_norm_backward(dx.view(), dgamma.view(), dbeta.view(), dy.view(), bn.x.view(),
                             bn.gamma.view(), bn.mean.view(), bn.inv_std.view());
    dx[0] += dgamma[7] + dbeta[18];
    return dx;
  }));
}

TEST_CASE("batch_norm says which shapes do not fit") {
  BatchNorm<float> bn({2, 5, 7, 3});
  const Tensor<float> wide({4});
  CHECK_THROWS_WITH_AS(ops::batch_norm_forward(bn.y.view(), bn.mean.view(), bn.inv_std.view(),
                                               bn.running_mean.view(), bn.running_var.view(),
                                               bn.x.view(), wide.view(), bn.beta.view()),
                       "batch_norm: gamma must be [3], it is [4]", ShapeError);
  Tensor<float> mean({3});
  Tensor<float> var({3});
  const Tensor<float> empty({0, 3});
  CHECK_THROWS_WITH_AS(ops::batch_statistics(mean.view(), var.view(), empty.view()),
                       "batch_norm: x [0, 3] has no rows", ShapeError);
}

TEST_CASE("batch_norm options outside their range are refused before anything moves") {
  BatchNorm<float> bn({2, 5, 7, 3});
  CHECK_THROWS_WITH_AS(bn.forward({.momentum = 1.5}),
                       "batch_norm: momentum must lie in [0, 1], it is 1.5", ConfigError);
  CHECK_THROWS_WITH_AS(bn.forward({.momentum = -0.5}),
                       "batch_norm: momentum must lie in [0, 1], it is -0.5", ConfigError);
  CHECK_THROWS_AS(bn.forward({.momentum = std::nan("")}), ConfigError);
  CHECK_THROWS_WITH_AS(bn.forward({.epsilon = -0.5}),
                       "batch_norm: epsilon must not be negative, it is -0.5", ConfigError);
  for (const float mean : bn.running_mean.span()) CHECK(mean == 1.0F);
  Tensor<float> g({3});
  Tensor<float> h({3});
  CHECK_THROWS_WITH_AS(ops::fold_batch_norm(g.view(), h.view(), bn.gamma.view(), bn.beta.view(),
                                            bn.running_mean.view(), bn.running_var.view(), -0.5),
                       "fold_batch_norm: epsilon must not be negative, it is -0.5", ConfigError);
  bn.forward({.momentum = 0.0, .epsilon = 0.0});
  for (const float mean : bn.running_mean.span()) CHECK(mean == 1.0F);
  bn.forward({.momentum = 1.0});
  CHECK(bn.running_mean[2] == bn.mean[2]);
}
