// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <bitdial/nn/linear.hpp>
#include <bitdial/nn/traverse.hpp>
#include <support/tensors.hpp>

using namespace bitdial;

TEST_CASE("options out of range") {
  CHECK(test::error_text<ConfigError>([] { nn::Linear({.in = 0, .out = 4}); }) ==
        "linear: features must be at least 1, got in 0, out 4");
  CHECK_THROWS_AS(nn::Linear({.in = 4, .out = 0}), ConfigError);
}

TEST_CASE("y = x weight^T + bias, by hand") {
  nn::Linear linear({.in = 2, .out = 3});
  for (std::int64_t i = 0; i < 6; ++i) linear.weight().value[i] = static_cast<float>(i + 1);
  for (std::int64_t i = 0; i < 3; ++i) linear.bias().value[i] = static_cast<float>(100 * i);
  Tensor<float> x({1, 2});
  x[0] = 10.0F;
  x[1] = -1.0F;
  const PrecisionPlan plan;
  Tape tape;
  const Var y = linear.forward(tape.borrow(x), {.plan = plan});
  CHECK(y.value()[0] == 8.0F);
  CHECK(y.value()[1] == 126.0F);
  CHECK(y.value()[2] == 244.0F);
  CHECK(linear.bias().role == nn::ParameterRole::bias);
  CHECK(linear.geometry().kind == ops::NodeKind::linear);
  CHECK(nn::parameter_count(linear) == 9);
}

TEST_CASE("an input with other features is refused with both sides") {
  nn::Linear linear({.in = 2, .out = 3});
  const PrecisionPlan plan;
  Tape tape;
  const Var x = tape.constant(Tensor<float>({4, 5}));
  const std::string text =
      test::error_text<ShapeError>([&] { static_cast<void>(linear.forward(x, {.plan = plan})); });
  CHECK(test::contains(text, "[3, 2]"));
  CHECK(test::contains(text, "[4, 5]"));
}

TEST_CASE("a real-valued layer does not pack and says what does") {
  const nn::Linear linear({.in = 1, .out = 1});
  CHECK(test::contains(
      test::error_text<ConfigError>([&] { static_cast<void>(nn::describe(linear)); }),
      "SwitchableLayer<Linear"));
}
