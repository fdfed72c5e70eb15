// SPDX-License-Identifier: Apache-2.0
// BinaryConnect's update against its published step.
#include <bitdial/train/binary_connect.hpp>

#include <cmath>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/train/sgd.hpp>
#include <support/tensors.hpp>

using namespace bitdial;

namespace {

constexpr train::SgdOptions plain{.momentum = 0.0F, .nesterov = false, .weight_decay = 0.0F};

nn::Parameter vector_parameter(nn::ParameterRole role) {
  nn::Parameter parameter(Tensor<float>({2, 3}), role);
  const float w[] = {-1.2F, -.5F, -.1F, .05F, .3F, .8F};
  const float g[] = {.1F, -.2F, .3F, -.4F, .5F, -.6F};
  std::copy_n(w, 6, parameter.value.data());
  std::copy_n(g, 6, parameter.grad.data());
  return parameter;
}

void check_values(const nn::Parameter& parameter, const std::vector<float>& expected) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(i);
    CHECK(parameter.value.data()[i] == doctest::Approx(expected[i]).epsilon(1e-6));
  }
}

}  // namespace

TEST_CASE("one step of rate 0.5: moved, then clipped; biases are not clipped") {
  nn::Parameter weight = vector_parameter(nn::ParameterRole::weight);
  nn::Parameter bias = vector_parameter(nn::ParameterRole::bias);
  train::Sgd sgd({{"weight", &weight}, {"bias", &bias}}, plain);
  train::BinaryConnectUpdate update(sgd);
  update.step(0.5F);
  check_values(weight, {-1, -.4F, -.25F, .25F, .05F, 1});
  check_values(bias, {-1.25F, -.4F, -.25F, .25F, .05F, 1.1F});
}

TEST_CASE("the step of a weight grows with the size of its layer") {
  nn::Parameter weight = vector_parameter(nn::ParameterRole::weight);  // fan_in 3, fan_out 2
  train::Sgd sgd({{"weight", &weight}}, plain);
  train::BinaryConnectUpdate update(sgd, {.limit = 2.0F, .scales_rate = true});
  update.step(0.1F);
  const float f = 1.0F / std::sqrt(1.5F / 5.0F);
  check_values(weight, {-1.2F - f * .01F, -.5F + f * .02F, -.1F - f * .03F, .05F + f * .04F,
                        .3F - f * .05F, .8F + f * .06F});
  // [out, kh, kw, in]: the taps of the kernel count on both sides.
  CHECK(train::BinaryConnectUpdate::rate_factor({8, 3, 3, 4}) ==
        doctest::Approx(1.0 / std::sqrt(1.5 / (36.0 + 72.0))));
}

TEST_CASE("a limit that is not positive") {
  nn::Parameter weight = vector_parameter(nn::ParameterRole::weight);
  train::Sgd sgd({{"weight", &weight}}, plain);
  CHECK(test::error_text<ConfigError>([&] { train::BinaryConnectUpdate(sgd, {.limit = 0.0F}); }) ==
        "BinaryConnectUpdate: expected a limit above 0, got 0");
}
