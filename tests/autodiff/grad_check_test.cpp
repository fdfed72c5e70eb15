// SPDX-License-Identifier: Apache-2.0
#include <bitdial/autodiff/grad_check.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include <bitdial/autodiff/functions.hpp>

using namespace bitdial;

TEST_CASE("a right gradient passes and a wrong element is named") {
  Tensor<double> x({2, 2});
  for (std::int64_t i = 0; i < 4; ++i) x[i] = 1.0 + static_cast<double>(i);
  const auto loss = [&] { return x[0] * x[1] + std::sin(x[2]) + 3.0 * x[3]; };
  Tensor<double> gradient({2, 2});
  gradient[0] = 2.0;
  gradient[1] = 1.0;
  gradient[2] = std::cos(3.0);
  gradient[3] = 3.0;
  const Tensor<double> before = x;
  CHECK(check_gradient(x.view(), gradient.view(), loss).error < 1e-9);
  gradient[2] = -gradient[2];
  const GradCheck wrong = check_gradient(x.view(), gradient.view(), loss);
  CHECK(wrong.index == 2);
  CHECK(wrong.analytic == -std::cos(3.0));
  CHECK(wrong.numeric == doctest::Approx(std::cos(3.0)));
  CHECK(wrong.error == doctest::Approx(2.0 * std::abs(std::cos(3.0))));
  CHECK(wrong.text().starts_with("input 0 element 2: analytic "));
  for (std::int64_t i = 0; i < 4; ++i) CHECK(x[i] == before[i]);
}

TEST_CASE("a gradient that is not a number is the worst") {
  Tensor<double> x({2}, 1.0);
  Tensor<double> gradient({2}, 1.0);
  gradient[0] = std::numeric_limits<double>::quiet_NaN();
  const GradCheck result =
      check_gradient(x.view(), gradient.view(), [&] { return x[0] + 5.0 * x[1]; });
  CHECK(result.index == 0);
  CHECK(std::isinf(result.error));
}

TEST_CASE("a wrong derivative on the tape is found, with its input") {
  const auto build = [](BasicTape<double>& tape, std::span<const BasicVar<double>> in) {
    const auto product = [](BasicVar<double> a, BasicVar<double> b) {
      Tensor<double> y({1}, a.value()[0] * b.value()[0]);
      return a.tape().record("product", std::move(y), {a, b}, [a, b](TensorView<const double> dy) {
        a.tape().accumulate(a).data()[0] += dy.data()[0] * b.value()[0];
        b.tape().accumulate(b).data()[0] += dy.data()[0];  // forgets the factor a
      });
    };
    static_cast<void>(tape);
    return product(in[0], in[1]);
  };
  const GradCheck result =
      check_gradients({Tensor<double>({1}, 3.0), Tensor<double>({1}, 2.0)}, build);
  CHECK(result.input == 1);
  CHECK(result.analytic == 1.0);
  CHECK(result.numeric == doctest::Approx(3.0));
  CHECK_THROWS_AS(static_cast<void>(check_gradient(Tensor<double>({2}).view(),
                                                   Tensor<double>({3}).view(), [] { return 0.0; })),
                  ShapeError);
}
