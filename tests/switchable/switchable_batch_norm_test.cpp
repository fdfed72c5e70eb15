// SPDX-License-Identifier: Apache-2.0
#include <bitdial/switchable/switchable_batch_norm.hpp>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <support/packed_comparison.hpp>

using namespace bitdial;

namespace {

using Bits = BitList<8, 4, 2>;
const test::LayerFactory layers = test::watched_layers<Bits>();

/// Normalisation and ReLU before each convolution, and before the head.
nn::Sequential preactivated() {
  nn::Sequential body;
  body.add<SwitchableBatchNorm<>>("norm", SwitchableBatchNormOptions{.channels = 5});
  body.add<nn::Relu>("relu");
  layers.conv(body, "conv", {.in = 5, .out = 5, .kernel = 3, .padding = 1});
  nn::Sequential net;
  layers.conv(net, "stem", {.in = 3, .out = 5, .kernel = 3, .stride = 2, .padding = 1});
  net.add<nn::Residual>("block", std::move(body));
  net.add<SwitchableBatchNorm<>>("norm", SwitchableBatchNormOptions{.channels = 5});
  net.add<nn::GlobalAveragePool>("mean");
  layers.head(net, "head", {.in = 5, .out = 4});
  net.add<SwitchableBatchNorm<>>("end", SwitchableBatchNormOptions{.channels = 4});
  nn::number_layers(net);
  return net;
}

}  // namespace

TEST_CASE("its switch is that of the next layer, at the end that of the last one") {
  nn::Sequential net = preactivated();
  const std::vector<PrecisionPlan> plans{*PrecisionPlan::parse("w8a8,w4a4,w2a2"),
                                         *PrecisionPlan::parse("w8a8,w4a2,w2a2")};
  add_plans(net, plans);
  std::vector<std::string> gammas;
  for (const auto& [name, parameter] : nn::parameters(net)) {
    if (name.ends_with("gamma") && name.find("norm") != std::string::npos) gammas.push_back(name);
    if (name.starts_with("end") && name.ends_with("gamma")) gammas.push_back(name);
  }
  CHECK(gammas == std::vector<std::string>{"block.norm.bn.w4a4.gamma", "block.norm.bn.w4a2.gamma",
                                           "norm.bn.w2a2.gamma", "end.bn.w2a2.gamma"});
}

TEST_CASE("packed as evaluated, private numbers for every switch") {
  nn::Sequential net = preactivated();
  const std::vector<PrecisionPlan> plans{Precision{8, 8}, Precision{4, 4}, Precision{2, 2},
                                         *PrecisionPlan::parse("w8a8,w2a4,w4a4")};
  test::settle(net, {8, 7, 3}, plans, 61);
  const PackedNetwork packed = pack(net, {.plans = plans, .input_shape = {8, 7, 3}});
  REQUIRE(packed.plans[0].scale_shifts.size() == 3);
  CHECK(packed.plans[0].scale_shifts[0].bias != packed.plans[1].scale_shifts[0].bias);
  CHECK(packed.plans[1].scale_shifts[1].bias == packed.plans[3].scale_shifts[1].bias);
  test::check_packed(net, {8, 7, 3}, plans, test::ByteImages(4, {8, 7, 3}, 62), test::all_ways());
}

TEST_CASE("training uses the batch's statistics, evaluation the running ones") {
  SwitchableBatchNorm<> norm({.channels = 1, .batch_norm = {.momentum = 1.0}});
  const PrecisionPlan plan{Precision{8, 8}};
  Tape tape;
  Tensor<float> x({4, 1});
  for (std::int64_t i = 0; i < 4; ++i) x[i] = static_cast<float>(i);
  CHECK_THROWS_AS(static_cast<void>(norm.forward(tape.borrow(x), {.plan = plan})), PrecisionError);
  norm.add_plan(plan);
  const Var y = norm.forward(tape.borrow(x), {.plan = plan, .mode = nn::Mode::training});
  CHECK(y.value()[0] == doctest::Approx(-1.5 / std::sqrt(1.25)).epsilon(1e-4));
  const Var z = norm.forward(tape.borrow(x), {.plan = plan});
  CHECK(z.value()[3] > 1.0F);
  CHECK(z.value()[3] < y.value()[3]);  // the running variance is unbiased
}

TEST_CASE("mistakes are refused") {
  CHECK(test::error_text<ConfigError>([] { SwitchableBatchNorm<>({.channels = 0}); }) ==
        "batch normalisation: channels must be at least 1, got 0");
  nn::Sequential net = preactivated();
  const std::vector<PrecisionPlan> wrong{*PrecisionPlan::parse("w8a8,w4a4")};
  CHECK_THROWS_AS(add_plans(net, wrong), PrecisionError);
}
