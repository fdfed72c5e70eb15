// SPDX-License-Identifier: Apache-2.0
// Learned numbers of policies in a layer: where they start, their names, their gradients, freezing.
#include <bitdial/switchable/learned_state.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/nn/conv2d.hpp>
#include <bitdial/nn/init.hpp>
#include <bitdial/nn/sequential.hpp>
#include <bitdial/quant/policies/cg_pact.hpp>
#include <bitdial/quant/policies/lsq.hpp>
#include <bitdial/quant/policies/pact.hpp>
#include <bitdial/switchable/switchable_layer.hpp>
#include <support/tensors.hpp>

using namespace bitdial;

namespace {

using Layer = SwitchableLayer<nn::Conv2d, BitList<8, 4, 2>, LsqWeights, CgPactActivations>;
const std::vector<PrecisionPlan> plans{Precision{4, 4}, Precision{2, 4}, Precision{2, 2},
                                       Precision{32, 32}};

nn::Sequential network() {
  nn::Sequential net;
  net.add<Layer>("conv", nn::Conv2dOptions{.in = 3, .out = 4, .kernel = 3});
  nn::number_layers(net);
  nn::initialize(net, 5);
  add_plans(net, plans);
  return net;
}

nn::Parameter& parameter(nn::Module& net, const std::string& wanted) {
  for (const auto& [name, found] : nn::parameters(net)) {
    if (name == wanted) return *found;
  }
  throw Error("no parameter " + wanted);
}

/// The loss of one pass; gradients are added to the parameters in training.
float run(nn::Module& net, const PrecisionPlan& plan, nn::Mode mode = nn::Mode::training) {
  Tape tape;
  const Tensor<float> x = test::random_tensor({2, 5, 6, 3}, 6, -0.5F, 2.0F);
  const std::vector<std::int32_t> labels{1, 3};
  const Var y = net.forward(tape.constant(x), {.plan = plan, .mode = mode});
  const Var loss = ad::softmax_cross_entropy(ad::global_average_pool(y), labels);
  if (mode == nn::Mode::training) tape.backward(loss);
  return loss.value()[0];
}

}  // namespace

TEST_CASE("names: one alpha per switch, one step per width of the weights") {
  nn::Sequential net = network();
  std::vector<std::string> names;
  for (const auto& [name, found] : nn::parameters(net)) {
    if (found->role == nn::ParameterRole::clip) names.push_back(name);
  }
  CHECK(names ==
        std::vector<std::string>{"conv.activations.w4a4.alpha", "conv.activations.w2a4.alpha",
                                 "conv.activations.w2a2.alpha", "conv.activations.w32a32.alpha",
                                 "conv.weights.w4.step", "conv.weights.w2.step"});
}

TEST_CASE("the first training pass starts the numbers of its switch; later ones leave them") {
  nn::Sequential net = network();
  const std::span<const float> weight = parameter(net, "conv.weight").value.span();
  const Quantizer<LsqWeights> quantizer;
  run(net, plans[1]);
  CHECK(parameter(net, "conv.weights.w2.step").value[0] == quantizer.fit(weight, 2).step);
  CHECK(parameter(net, "conv.weights.w4.step").value[0] == 1.0F);
  CHECK(parameter(net, "conv.activations.w2a4.alpha").value[0] == 3.0F);
  parameter(net, "conv.weights.w2.step").value[0] = 0.125F;
  run(net, plans[1]);
  run(net, plans[2]);
  CHECK(parameter(net, "conv.weights.w2.step").value[0] == 0.125F);
  CHECK(parameter(net, "conv.weights.w2.step").grad[0] != 0.0F);
  CHECK(parameter(net, "conv.weights.w4.step").grad[0] == 0.0F);
}

TEST_CASE("numbers that are set by name count, before training too") {
  nn::Sequential net = network();
  set_parameter(net, "conv.weights.w2.step", {{0.125F}});
  set_parameter(net, "conv.activations.w2a4.alpha", {{0.75F}});
  run(net, plans[1]);
  CHECK(parameter(net, "conv.weights.w2.step").value[0] == 0.125F);
  const auto& layer = dynamic_cast<Layer&>(*nn::quantized_layers(net)[0].second);
  CHECK(layer.weight_codes(2).levels.scale == 0.125F);
  CHECK(layer.activation_levels(plans[1]).scale == 0.75F / 15.0F);
  CHECK(test::error_text<ConfigError>([&] { set_parameter(net, "conv.alpha", {{1.0F}}); }) ==
        "set_parameter: the network has no parameter 'conv.alpha'; names are those of "
        "nn::parameters, after add_plans, as '" +
            nn::parameters(net).back().first + "'");
  CHECK(test::error_text<ShapeError>([&] {
          set_parameter(net, "conv.weights.w2.step", {{1.0F, 2.0F}});
        }) == "set_parameter: 'conv.weights.w2.step' has 1 numbers, got 2");
}

TEST_CASE("the gradient of a clipping level is the derivative of the loss") {
  nn::Sequential net = network();
  const PrecisionPlan& plan = plans[3];  // nothing is rounded
  set_parameter(net, "conv.activations.w32a32.alpha", {{1.0F}});
  nn::zero_gradients(net);
  run(net, plan);
  nn::Parameter& alpha = parameter(net, "conv.activations.w32a32.alpha");
  const auto found = static_cast<double>(alpha.grad[0]);
  const auto loss_at = [&](float value) {
    alpha.value[0] = value;
    return static_cast<double>(run(net, plan));
  };
  const double expected = (loss_at(1.0F + 0x1p-9F) - loss_at(1.0F - 0x1p-9F)) / 0x1p-8;
  CHECK(std::fabs(expected) > 1e-4);
  CHECK(found == doctest::Approx(expected).epsilon(0.02));
}

TEST_CASE("a checkpoint holds the numbers and that they have started") {
  nn::Sequential trained = network();
  for (const PrecisionPlan& plan : plans) run(trained, plan);
  set_parameter(trained, "conv.weights.w2.step", {{0.2F}});
  nn::Sequential other = network();
  const auto from = nn::state(trained);
  const auto to = nn::state(other);
  REQUIRE(from.size() == to.size());
  for (std::size_t i = 0; i < from.size(); ++i) {
    CHECK(from[i].first == to[i].first);
    *to[i].second = *from[i].second;
  }
  for (const PrecisionPlan& plan : plans) {
    CHECK(run(trained, plan, nn::Mode::evaluation) == run(other, plan, nn::Mode::evaluation));
  }
  run(other, plans[1]);
  CHECK(parameter(other, "conv.weights.w2.step").value[0] == 0.2F);
}
