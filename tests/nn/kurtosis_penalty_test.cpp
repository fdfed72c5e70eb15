// SPDX-License-Identifier: Apache-2.0
// KURE over a network: the mean over quantized layers, and weights that become uniform.
#include <bitdial/nn/kurtosis_penalty.hpp>

#include <doctest/doctest.h>
#include <bitdial/train/sgd.hpp>
#include <support/tensors.hpp>
#include <support/training_run.hpp>

using namespace bitdial;

namespace {

double mean_penalty(nn::Module& net) {
  double sum = 0.0;
  int count = 0;
  for (const auto& [name, parameter] : nn::parameters(net)) {
    if (parameter->role != nn::ParameterRole::weight) continue;
    const double distance = ops::kurtosis(parameter->value.cview()) - 1.8;
    sum += distance * distance;
    ++count;
  }
  CHECK(count == 3);
  return sum / count;
}

}  // namespace

TEST_CASE("the mean of (kurtosis - 1.8)^2 over the quantized layers") {
  nn::Sequential net = test::training_network();
  Tape tape;
  const Var penalty = kurtosis_penalty(tape, net);
  CHECK(static_cast<double>(penalty.value()[0]) ==
        doctest::Approx(mean_penalty(net)).epsilon(1e-5));
}

TEST_CASE("descent on it makes the weights of every layer uniform") {
  nn::Sequential net = test::training_network();
  train::Sgd sgd(nn::parameters(net), {.momentum = 0.0F, .nesterov = false, .weight_decay = 0.0F});
  CHECK(mean_penalty(net) > 0.3);
  for (int step = 0; step < 300; ++step) {
    nn::zero_gradients(net);
    Tape tape;
    tape.backward(kurtosis_penalty(tape, net));
    sgd.step(0.05F);
  }
  CHECK(mean_penalty(net) < 0.01);
}

TEST_CASE("a network without quantized layers") {
  nn::Sequential net;
  net.add<nn::Relu>("relu");
  Tape tape;
  CHECK(test::error_text<ConfigError>([&] { static_cast<void>(kurtosis_penalty(tape, net)); }) ==
        "kurtosis_penalty: the network has no quantized layers");
}
