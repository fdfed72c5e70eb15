// SPDX-License-Identifier: Apache-2.0
// BinaryConnect's update against its published step, and the W1 family: one network from
// BinaryConnect (w1a32) to BNN (w1a1).
#include <bitdial/train/binary_connect.hpp>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/quant/policies/sign.hpp>
#include <bitdial/train/adam.hpp>
#include <bitdial/train/evaluate.hpp>
#include <bitdial/train/sgd.hpp>
#include <support/tensors.hpp>
#include <support/training_run.hpp>

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

namespace {

using Bits = BitList<8, 4, 2, 1>;
template <class Layer>
using W1Layer = SwitchableLayer<Layer, Bits, SignWeights, DoReFaActivations>;
using W1Options = SwitchableOptions<SignWeights, DoReFaActivations>;

const std::vector<PrecisionPlan> family{Precision{1, 32}, Precision{1, 8}, Precision{1, 4},
                                        Precision{1, 2}, Precision{1, 1}};

nn::Sequential w1_network(SignRounding rounding) {
  const W1Options options{.weights = {.rounding = rounding},
                          .activations = {.one_bit = OneBitActivations::sign}};
  nn::Sequential net;
  net.add<W1Layer<nn::Conv2d>>(
      "stem", nn::Conv2dOptions{.in = 1, .out = 16, .kernel = 3, .stride = 2, .padding = 1},
      options);
  net.add<nn::Relu>("stem.relu");
  net.add<W1Layer<nn::Conv2d>>(
      "middle", nn::Conv2dOptions{.in = 16, .out = 16, .kernel = 3, .stride = 2, .padding = 1},
      options);
  net.add<nn::GlobalAveragePool>("pool");
  using Head = SwitchableLayer<nn::Linear, BitList<8>>;
  net.add<Head>("head", nn::LinearOptions{.in = 16, .out = 10},
                Head::Switching{.pinned = Precision{8, 8}});
  nn::number_layers(net);
  nn::initialize(net, 3);
  add_plans(net, family);
  return net;
}

/// The losses of the first and of the last epoch, per plan.
std::vector<std::vector<float>> train_family(nn::Module& net, std::uint64_t seed = 1) {
  train::Adam adam(nn::parameters(net), {});
  train::BinaryConnectUpdate update(adam);
  train::Trainer trainer(net, test::training_data(), update,
                         {.plans = family,
                          .epochs = 40,
                          .batch_size = 35,
                          .learning_rate = train::ConstantSchedule{.rate = 0.01F},
                          .seed = seed});
  std::vector<std::vector<float>> losses;
  while (!trainer.done()) {
    const train::StepReport report = trainer.step();
    if (report.step == 0 || trainer.done()) losses.push_back(report.losses);
  }
  return losses;
}

}  // namespace

TEST_CASE("one network learns at w1a32, w1a8, w1a4, w1a2 and w1a1") {
  for (const SignRounding rounding : {SignRounding::nearest, SignRounding::stochastic}) {
    nn::Sequential net = w1_network(rounding);
    const auto losses = train_family(net);
    REQUIRE(losses.size() == 2);
    for (std::size_t plan = 0; plan < family.size(); ++plan) {
      CAPTURE(plan);
      MESSAGE(losses[0][plan], " -> ", losses[1][plan]);
      CHECK(losses[1][plan] < 0.9F * losses[0][plan]);
    }
    for (const auto& [name, parameter] : nn::parameters(net)) {
      if (parameter->role != nn::ParameterRole::weight) continue;
      for (const float w : parameter->value.span()) CHECK_UNARY(std::fabs(w) <= 1.0F);
    }
  }
}

TEST_CASE("stochastic signs follow from the seed") {
  nn::Sequential a = w1_network(SignRounding::stochastic);
  nn::Sequential b = w1_network(SignRounding::stochastic);
  nn::Sequential c = w1_network(SignRounding::nearest);
  const auto first = train_family(a);
  CHECK(train_family(b) == first);
  CHECK(train_family(c) != first);
}
