// SPDX-License-Identifier: Apache-2.0
// What a trainer adds to the loss and does to gradients on request.
#include <cmath>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/nn/kurtosis_penalty.hpp>
#include <bitdial/train/sgd.hpp>
#include <bitdial/train/trainer.hpp>
#include <support/tensors.hpp>
#include <support/training_run.hpp>

using namespace bitdial;

namespace {

train::TrainerOptions options_with(std::int64_t epochs) {
  return {.plans = test::training_plans(),
          .epochs = epochs,
          .batch_size = 35,
          .gradient_share = 0.0F,  // gradients as they are
          .learning_rate = train::ConstantSchedule{.rate = 0.05F},
          .seed = 9};
}

/// The gradients after one step, with an optimizer that moves nothing.
std::vector<Tensor<float>> gradients_of(nn::Sequential& net, const train::TrainerOptions& options,
                                        train::StepReport* report = nullptr) {
  train::Sgd still(nn::parameters(net), {.weight_decay = 0.0F});
  train::TrainerOptions at_rest = options;
  at_rest.learning_rate = train::ConstantSchedule{.rate = 0.0F};
  train::Trainer trainer(net, test::training_data(), still, at_rest);
  const train::StepReport found = trainer.step();
  if (report != nullptr) *report = found;
  std::vector<Tensor<float>> gradients;
  for (const auto& [name, parameter] : nn::parameters(net)) gradients.push_back(parameter->grad);
  return gradients;
}

double distance(const Tensor<float>& a, const Tensor<float>& b) {
  double sum = 0.0;
  for (std::int64_t i = 0; i < a.size(); ++i) {
    sum += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
  }
  return std::sqrt(sum);
}

}  // namespace

TEST_CASE("a penalty adds its gradient once per step and is reported") {
  nn::Sequential net = test::training_network();
  train::TrainerOptions options = options_with(1);
  const auto without = gradients_of(net, options);
  options.penalty = [&net](Tape& tape) { return ad::scale(kurtosis_penalty(tape, net), 2.0F); };
  train::StepReport report;
  const auto with = gradients_of(net, options, &report);

  nn::zero_gradients(net);
  Tape tape;
  const Var alone = ad::scale(kurtosis_penalty(tape, net), 2.0F);
  tape.backward(alone);
  CHECK(report.penalty == alone.value()[0]);
  CHECK(report.penalty > 0.0F);
  const nn::Named<nn::Parameter> parameters = nn::parameters(net);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const Tensor<float>& expected = parameters[i].second->grad;
    for (std::int64_t j = 0; j < expected.size(); ++j) {
      CHECK(with[i][j] - without[i][j] == doctest::Approx(expected[j]).epsilon(1e-3));
    }
  }
}

TEST_CASE("KURE lowers the kurtosis of trained weights") {
  const auto final_kurtosis = [](bool regularized) {
    nn::Sequential net = test::training_network();
    train::Sgd sgd(nn::parameters(net), {});
    train::TrainerOptions options = options_with(15);
    if (regularized) options.penalty = [&net](Tape& tape) { return kurtosis_penalty(tape, net); };
    train::Trainer trainer(net, test::training_data(), sgd, options);
    while (!trainer.done()) trainer.step();
    double sum = 0.0;
    for (const auto& [name, parameter] : nn::parameters(net)) {
      if (parameter->role == nn::ParameterRole::weight) {
        sum += std::abs(ops::kurtosis(parameter->value.cview()) - 1.8);
      }
    }
    return sum;
  };
  CHECK(final_kurtosis(true) < 0.5 * final_kurtosis(false));
}

TEST_CASE(
    "gradients of few bits: near the real ones, nearer with more bits, the same in every run") {
  nn::Sequential net = test::training_network();
  const auto exact = gradients_of(net, options_with(1));
  const auto coarse = [&](int bits) {
    train::TrainerOptions options = options_with(1);
    options.gradient_bits = bits;
    return gradients_of(net, options);
  };
  const auto two = coarse(2);
  const auto eight = coarse(8);
  CHECK(distance(eight[0], exact[0]) > 0.0);
  CHECK(distance(eight[0], exact[0]) < 0.25 * distance(two[0], exact[0]));
  const auto again = coarse(2);
  for (std::size_t i = 0; i < two.size(); ++i) CHECK(test::same_bits(two[i], again[i]));
}

TEST_CASE("a network learns from gradients of six bits") {
  nn::Sequential net = test::training_network();
  train::Sgd sgd(nn::parameters(net), {});
  train::TrainerOptions options = options_with(20);
  options.gradient_bits = 6;
  train::Trainer trainer(net, test::training_data(), sgd, options);
  const std::vector<float> first = trainer.step().losses;
  std::vector<float> last;
  while (!trainer.done()) last = trainer.step().losses;
  for (std::size_t plan = 0; plan < first.size(); ++plan) CHECK(last[plan] < 0.8F * first[plan]);
}

TEST_CASE("bits that gradients do not have") {
  nn::Sequential net = test::training_network();
  train::Sgd sgd(nn::parameters(net), {});
  train::TrainerOptions options = options_with(1);
  options.gradient_bits = 9;
  CHECK(test::error_text<ConfigError>([&] {
          train::Trainer(net, test::training_data(), sgd, options);
        }) == "trainer: expected gradient bits 1..8 or 32, got 9");
}
