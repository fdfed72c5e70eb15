// SPDX-License-Identifier: Apache-2.0
#include <bitdial/autodiff/mixture.hpp>

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/autodiff/functions.hpp>
#include <bitdial/autodiff/grad_check.hpp>
#include <bitdial/core/random.hpp>

using namespace bitdial;

namespace {

template <class T>
Tensor<T> random_tensor(const Shape& shape, std::uint64_t seed) {
  Tensor<T> x(shape);
  Random random(seed, 0);
  for (T& value : x.span()) value = static_cast<T>(random.uniform(-2.0F, 2.0F));
  return x;
}

}  // namespace

TEST_CASE("the gradients by alpha and by every term are finite differences") {
  for (const std::int64_t count : {1, 2, 5}) {
    CAPTURE(count);
    std::vector<Tensor<double>> inputs{random_tensor<double>({count}, 1)};
    for (std::int64_t i = 0; i < count; ++i) {
      inputs.push_back(random_tensor<double>({3, 7}, 10 + static_cast<std::uint64_t>(i)));
    }
    const std::vector<std::int32_t> labels{6, 0, 3};
    const GradCheck worst =
        check_gradients(inputs, [&](BasicTape<double>&, std::span<const BasicVar<double>> vars) {
          const auto y = ad::mixture(vars[0], vars.subspan(1));
          return ad::softmax_cross_entropy(y, std::span<const std::int32_t>(labels));
        });
    CHECK_MESSAGE(worst.error < 1e-8, worst.text());
  }
}

TEST_CASE("equal numbers give the mean, a large one gives its term") {
  const std::vector<Tensor<float>> values{random_tensor<float>({4099, 5}, 2),
                                          random_tensor<float>({4099, 5}, 3)};
  Tape tape;
  const std::vector<Var> terms{tape.borrow(values[0]), tape.borrow(values[1])};
  const Var mean =
      ad::mixture(tape.constant(Tensor<float>({2}, 0.3F)), std::span<const Var>(terms));
  Tensor<float> steep({2});
  steep[1] = 200.0F;
  const Var second = ad::mixture(tape.constant(std::move(steep)), std::span<const Var>(terms));
  for (std::int64_t i = 0; i < mean.shape().size(); ++i) {
    CHECK(mean.value()[i] == 0.5F * values[0][i] + 0.5F * values[1][i]);
    CHECK(second.value()[i] == values[1][i]);
  }
}

TEST_CASE("the derivative by alpha does not depend on the number of threads") {
  const Tensor<float> a = random_tensor<float>({300, 211}, 4);
  const Tensor<float> b = random_tensor<float>({300, 211}, 5);
  double expected = 0.0;
  for (std::int64_t i = 0; i < a.size(); ++i) {
    expected += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  }
  std::vector<double> slopes;
  for (const int threads : {1, 2, 7}) {
    set_thread_count(threads);
    slopes.push_back(ops::mixture_slope(a.view(), b.view()));
  }
  set_thread_count(0);
  CHECK(slopes[0] == doctest::Approx(expected).epsilon(1e-12));
  CHECK(slopes[1] == slopes[0]);
  CHECK(slopes[2] == slopes[0]);
}

TEST_CASE("shapes that do not fit are named") {
  Tape tape;
  const Var alpha = tape.leaf(Tensor<float>({2}));
  const std::vector<Var> one{tape.leaf(Tensor<float>({3, 2}))};
  CHECK_THROWS_WITH_AS(static_cast<void>(ad::mixture(alpha, std::span<const Var>(one))),
                       "mixture: alpha must be [1], it is [2]", ShapeError);
  const std::vector<Var> two{one[0], tape.leaf(Tensor<float>({2, 3}))};
  CHECK_THROWS_WITH_AS(static_cast<void>(ad::mixture(alpha, std::span<const Var>(two))),
                       "mixture: every term must be [3, 2], one is [2, 3]", ShapeError);
  CHECK_THROWS_AS(static_cast<void>(ad::mixture(alpha, std::span<const Var>())), ConfigError);
}
