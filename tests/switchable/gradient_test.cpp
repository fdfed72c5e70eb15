// SPDX-License-Identifier: Apache-2.0
// The gradient of a whole network against finite differences, where nothing is rounded.
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/nn/activation.hpp>
#include <bitdial/nn/conv2d.hpp>
#include <bitdial/nn/init.hpp>
#include <bitdial/nn/linear.hpp>
#include <bitdial/nn/pooling.hpp>
#include <bitdial/nn/residual.hpp>
#include <bitdial/switchable/switchable_layer.hpp>
#include <bitdial/switchable/teaching.hpp>
#include <support/parameter_derivatives.hpp>
#include <support/tensors.hpp>

using namespace bitdial;

namespace {

using Conv = SwitchableLayer<nn::Conv2d, BitList<8>, DoReFaWeights, DoReFaActivations>;
using Head = SwitchableLayer<nn::Linear, BitList<8>, DoReFaWeights, DoReFaActivations>;

nn::Sequential network() {
  nn::Sequential body;
  body.add<Conv>("conv", nn::Conv2dOptions{.in = 4, .out = 6, .kernel = 3, .padding = 1});
  body.add<nn::Relu>("relu");
  nn::Sequential shortcut;
  shortcut.add<Conv>("conv", nn::Conv2dOptions{.in = 4, .out = 6, .kernel = 1});
  nn::Sequential net;
  net.add<Conv>("stem", nn::Conv2dOptions{.in = 2, .out = 4, .kernel = 3, .stride = 2});
  net.add<nn::AveragePool2d>("pool", ops::Window::square(2, {.padding = 1}));
  net.add<nn::Residual>("block", std::move(body), std::move(shortcut));
  net.add<nn::GlobalAveragePool>("mean");
  net.add<Head>("head", nn::LinearOptions{.in = 6, .out = 3});
  nn::number_layers(net);
  return net;
}

}  // namespace

TEST_CASE("the derivative of the loss along random directions") {
  nn::Sequential net = network();
  nn::initialize(net, 3);
  const PrecisionPlan plan;  // w32a32
  add_plans(net, {&plan, 1});
  const Tensor<float> x = test::random_images({5, 9, 7, 2}, 4);
  const std::vector<std::int32_t> labels{0, 2, 1, 1, 0};
  Tensor<float> teacher({5, 3});
  for (std::int64_t i = 0; i < 15; ++i) teacher[i] = i % 3 == 0 ? 0.5F : 0.25F;

  const auto record = [&](Tape& tape) {
    const Var logits = net.forward(tape.borrow(x), {.plan = plan, .mode = nn::Mode::training});
    const Tensor<float>* const lessons[] = {&teacher};
    return switch_loss(logits, labels, lessons, {.weight = 0.7F, .temperature = 2.0});
  };
  Tape tape;
  CHECK(std::isfinite(record(tape).value()[0]));

  for (const double along : test::check_parameter_derivatives(net, record, 0x1p-11F)) {
    CHECK(std::abs(along) > 1e-4);  // the direction says something
  }
}
