// SPDX-License-Identifier: Apache-2.0
// The W1 family: one network from BinaryConnect (w1a32) to BNN (w1a1).
#include <cmath>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/quant/policies/sign.hpp>
#include <bitdial/train/adam.hpp>
#include <bitdial/train/binary_connect.hpp>
#include <support/training_run.hpp>

using namespace bitdial;

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
  // First and last layer are not part of the family: a sign of a pixel says nothing.
  using Stem = SwitchableLayer<nn::Conv2d, BitList<8>, DoReFaWeights, DoReFaActivations>;
  net.add<Stem>("stem",
                nn::Conv2dOptions{.in = 1, .out = 16, .kernel = 3, .stride = 2, .padding = 1},
                Stem::Switching{.pinned = Precision{8, 8}});
  net.add<nn::Relu>("stem.relu");
  net.add<W1Layer<nn::Conv2d>>(
      "middle", nn::Conv2dOptions{.in = 16, .out = 16, .kernel = 3, .stride = 2, .padding = 1},
      options);
  net.add<nn::Relu>("middle.relu");
  net.add<W1Layer<nn::Conv2d>>(
      "last", nn::Conv2dOptions{.in = 16, .out = 16, .kernel = 3, .padding = 1}, options);
  net.add<nn::GlobalAveragePool>("pool");
  using Head = SwitchableLayer<nn::Linear, BitList<8>, DoReFaWeights, DoReFaActivations>;
  net.add<Head>("head", nn::LinearOptions{.in = 16, .out = 10},
                Head::Switching{.pinned = Precision{8, 8}});
  nn::number_layers(net);
  nn::initialize(net, 3);
  add_plans(net, family);
  return net;
}

/// The mean losses of the first and of the last ten steps, per plan.
struct Progress {
  std::vector<float> first = std::vector<float>(family.size());
  std::vector<float> last = std::vector<float>(family.size());

  friend bool operator==(const Progress&, const Progress&) = default;
};

Progress train_family(nn::Module& net, std::int64_t epochs) {
  train::Adam adam(nn::parameters(net), {});
  train::BinaryConnectUpdate update(adam);
  train::Trainer trainer(
      net, test::training_data(), update,
      {.plans = family,
       .epochs = epochs,
       .batch_size = 35,
       .learning_rate = train::StepSchedule{.rate = 0.01F, .milestones = {60, 90}},
       .seed = 1});
  Progress progress;
  while (!trainer.done()) {
    const train::StepReport report = trainer.step();
    for (std::size_t plan = 0; plan < family.size(); ++plan) {
      if (report.step < 10) progress.first[plan] += report.losses[plan] / 10.0F;
      if (report.step >= trainer.total_steps() - 10) {
        progress.last[plan] += report.losses[plan] / 10.0F;
      }
    }
  }
  return progress;
}

}  // namespace

TEST_CASE("one network learns at w1a32, w1a8, w1a4, w1a2 and w1a1") {
  nn::Sequential net = w1_network(SignRounding::nearest);
  const Progress progress = train_family(net, 60);
  for (std::size_t plan = 0; plan < family.size(); ++plan) {
    CAPTURE(plan);
    CHECK(progress.last[plan] < 0.9F * progress.first[plan]);
  }
  for (const auto& [name, parameter] : nn::parameters(net)) {
    if (parameter->role != nn::ParameterRole::weight) continue;
    for (const float w : parameter->value.span()) CHECK_UNARY(std::fabs(w) <= 1.0F);
  }
}

TEST_CASE("stochastic signs follow from the seed") {
  nn::Sequential a = w1_network(SignRounding::stochastic);
  nn::Sequential b = w1_network(SignRounding::stochastic);
  nn::Sequential c = w1_network(SignRounding::nearest);
  const Progress first = train_family(a, 8);
  CHECK(train_family(b, 8) == first);
  CHECK_FALSE(train_family(c, 8) == first);
}
