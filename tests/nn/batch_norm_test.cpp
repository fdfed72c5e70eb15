// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include <doctest/doctest.h>
#include <bitdial/nn/batch_norm.hpp>
#include <support/tensors.hpp>

using namespace bitdial;

TEST_CASE("a new state is the identity: gamma 1, beta 0, mean 0, variance 1") {
  const nn::BatchNormState state(3);
  for (std::int64_t c = 0; c < 3; ++c) {
    CHECK(state.gamma.value[c] == 1.0F);
    CHECK(state.beta.value[c] == 0.0F);
    CHECK(state.running_mean[c] == 0.0F);
    CHECK(state.running_var[c] == 1.0F);
  }
  CHECK(state.gamma.role == nn::ParameterRole::batch_norm);
  CHECK(state.beta.role == nn::ParameterRole::batch_norm);
}

TEST_CASE("training normalises by the batch and moves the running statistics") {
  nn::BatchNormState state(1);
  state.gamma.value[0] = 2.0F;
  state.beta.value[0] = 5.0F;
  Tensor<float> x({4, 1});
  for (std::int64_t i = 0; i < 4; ++i) x[i] = static_cast<float>(i);  // mean 1.5, variance 1.25
  Tape tape;
  const Var y =
      nn::batch_norm(tape.borrow(x), state, {.momentum = 0.25, .epsilon = 0.0}, nn::Mode::training);
  for (std::int64_t i = 0; i < 4; ++i) {
    CHECK(y.value()[i] ==
          doctest::Approx(2.0 * (static_cast<double>(i) - 1.5) / std::sqrt(1.25) + 5.0));
  }
  CHECK(state.running_mean[0] == doctest::Approx(0.25 * 1.5));
  CHECK(state.running_var[0] == doctest::Approx(0.75 + 0.25 * 1.25 * 4.0 / 3.0));
}

TEST_CASE("evaluation reads the running statistics and leaves them alone") {
  nn::BatchNormState state(1);
  state.gamma.value[0] = 2.0F;
  state.beta.value[0] = 5.0F;
  state.running_mean[0] = 3.0F;
  state.running_var[0] = 15.0F;
  Tape tape;
  const Var y = nn::batch_norm(tape.constant(Tensor<float>({1, 1}, 7.0F)), state,
                               {.momentum = 0.5, .epsilon = 1.0}, nn::Mode::evaluation);
  CHECK(y.value()[0] == 7.0F);  // 2 (7 - 3) / sqrt(15 + 1) + 5
  CHECK(state.running_mean[0] == 3.0F);
  CHECK(state.running_var[0] == 15.0F);

  float g = 0.0F;
  float h = 0.0F;
  nn::fold(state, {.epsilon = 1.0}, {&g, 1}, {&h, 1});
  CHECK(g == 0.5F);
  CHECK(h == 3.5F);
}
