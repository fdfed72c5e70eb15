// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/train/sgd.hpp>

using namespace bitdial;

namespace {

/// The values of one parameter that starts at 1 after three steps with gradient 1 and rate 1/4.
/// Everything is a multiple of a power of two, so the values are exact.
std::vector<float> three_steps(nn::ParameterRole role, const train::SgdOptions& options) {
  nn::Parameter parameter(Tensor<float>({2}, 1.0F), role);
  train::Sgd sgd({{"p", &parameter}}, options);
  std::vector<float> values;
  for (int i = 0; i < 3; ++i) {
    parameter.grad.fill(1.0F);
    sgd.step(0.25F);
    CHECK(parameter.grad[0] == 1.0F);
    CHECK(parameter.value[0] == parameter.value[1]);
    values.push_back(parameter.value[0]);
  }
  return values;
}

using Values = std::vector<float>;

}  // namespace

TEST_CASE("without momentum") {
  CHECK(three_steps(nn::ParameterRole::weight,
                    {.momentum = 0.0F, .nesterov = false, .weight_decay = 0.0F}) ==
        Values{0.75F, 0.5F, 0.25F});
}

TEST_CASE("momentum with decay") {
  CHECK(three_steps(nn::ParameterRole::weight,
                    {.momentum = 0.5F, .nesterov = false, .weight_decay = 0.5F}) ==
        Values{0.625F, 0.109375F, -0.412109375F});
}

TEST_CASE("Nesterov momentum with decay") {
  CHECK(three_steps(nn::ParameterRole::weight,
                    {.momentum = 0.5F, .nesterov = true, .weight_decay = 0.5F}) ==
        Values{0.4375F, -0.11328125F, -0.590087890625F});
}

TEST_CASE("decay applies to weights alone") {
  for (const auto role :
       {nn::ParameterRole::bias, nn::ParameterRole::batch_norm, nn::ParameterRole::clip}) {
    CHECK(three_steps(role, {.momentum = 0.5F, .nesterov = true, .weight_decay = 0.5F}) ==
          Values{0.625F, 0.1875F, -0.28125F});
  }
}

TEST_CASE("learned clips have a rate and a decay of their own") {
  const train::SgdOptions options{.momentum = 0.0F,
                                  .nesterov = false,
                                  .weight_decay = 8.0F,
                                  .clips = {.rate = 0.5F, .decay = 0.5F}};
  CHECK(three_steps(nn::ParameterRole::clip, options) ==
        Values{0.8125F, 0.63671875F, 0.471923828125F});
}

TEST_CASE("the state is one velocity per parameter, and continues a run") {
  nn::Parameter a(Tensor<float>({2, 3}, 1.0F), nn::ParameterRole::weight);
  nn::Parameter b(Tensor<float>({4}, 1.0F), nn::ParameterRole::bias);
  train::Sgd sgd({{"a", &a}, {"b", &b}});
  a.grad.fill(2.0F);
  b.grad.fill(3.0F);
  sgd.step(0.5F);
  const auto state = sgd.state();
  REQUIRE(state.size() == 2);
  CHECK(state[0].first == "velocity.a");
  CHECK(state[1].first == "velocity.b");
  CHECK(state[0].second->shape() == Shape{2, 3});
  CHECK((*state[1].second)[3] == 3.0F);

  nn::Parameter again = b;
  train::Sgd other({{"b", &again}});
  *other.state()[0].second = *state[1].second;
  sgd.step(0.5F);
  other.step(0.5F);
  CHECK(again.value[0] == b.value[0]);
}
