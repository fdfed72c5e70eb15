// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/train/adam.hpp>

using namespace bitdial;

namespace {

/// A parameter that starts at 1 after each of three steps with gradients 1, -2, 3 and rate 0.1.
std::vector<double> three_steps(nn::ParameterRole role, const train::AdamOptions& options) {
  nn::Parameter parameter(Tensor<float>({3}, 1.0F), role);
  train::Adam adam({{"p", &parameter}}, options);
  std::vector<double> values;
  for (const float gradient : {1.0F, -2.0F, 3.0F}) {
    parameter.grad.fill(gradient);
    adam.step(0.1F);
    CHECK(parameter.grad[0] == gradient);
    CHECK(parameter.value[0] == parameter.value[2]);
    values.push_back(static_cast<double>(parameter.value[0]));
  }
  return values;
}

void check_close(const std::vector<double>& found, const std::vector<double>& expected) {
  for (std::size_t i = 0; i < 3; ++i) CHECK(found[i] == doctest::Approx(expected[i]).epsilon(1e-6));
}

}  // namespace

TEST_CASE("three steps by hand") {
  // m = 0.1, -0.11, 0.201; v = 0.001, 0.004999, 0.013994001; corrected by 1 - beta^t:
  // m / sqrt(v) = 1, -0.578947 / 1.581376, 0.741697 / 2.160864.
  check_close(three_steps(nn::ParameterRole::weight, {}), {0.9, 0.93661035, 0.90228625});
}

TEST_CASE("decay enters the gradient of weights, and of nothing else") {
  check_close(three_steps(nn::ParameterRole::weight, {.weight_decay = 0.5F}),
              {0.9, 0.90690152, 0.85553342});
  check_close(three_steps(nn::ParameterRole::batch_norm, {.weight_decay = 0.5F}),
              {0.9, 0.93661035, 0.90228625});
  check_close(three_steps(nn::ParameterRole::bias, {.weight_decay = 0.5F}),
              {0.9, 0.93661035, 0.90228625});
}

TEST_CASE("epsilon damps small gradients") {
  nn::Parameter parameter(Tensor<float>({1}), nn::ParameterRole::weight);
  train::Adam adam({{"p", &parameter}}, {.epsilon = 3.0F});
  parameter.grad.fill(1.0F);
  adam.step(1.0F);
  CHECK(parameter.value[0] == doctest::Approx(-0.25));  // 1 / (1 + 3)
}

TEST_CASE("the state holds the step and both moments, and continues a run") {
  nn::Parameter parameter(Tensor<float>({2}, 1.0F), nn::ParameterRole::weight);
  train::Adam adam({{"p", &parameter}});
  parameter.grad.fill(0.5F);
  for (int i = 0; i < 3; ++i) adam.step(0.1F);
  const auto state = adam.state();
  REQUIRE(state.size() == 3);
  CHECK(state[0].first == "steps");
  CHECK((*state[0].second)[0] == 3.0F);
  CHECK(state[1].first == "first.p");
  CHECK(state[2].first == "second.p");

  nn::Parameter again = parameter;
  train::Adam other({{"p", &again}});
  for (std::size_t i = 0; i < 3; ++i) *other.state()[i].second = *state[i].second;
  parameter.grad.fill(-2.0F);
  again.grad.fill(-2.0F);
  adam.step(0.1F);
  other.step(0.1F);
  CHECK(again.value[0] == parameter.value[0]);
}
