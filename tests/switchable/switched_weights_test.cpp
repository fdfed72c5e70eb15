// SPDX-License-Identifier: Apache-2.0
// Weights of a layer at every width: shapes reach policies, noise, the scale that evaluation drops,
// bases that are learned by a rule.
#include <bitdial/switchable/switched_weights.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/nn/conv2d.hpp>
#include <bitdial/nn/init.hpp>
#include <bitdial/nn/linear.hpp>
#include <bitdial/nn/sequential.hpp>
#include <bitdial/quant/policies/cg_pact.hpp>
#include <bitdial/quant/policies/lq_nets.hpp>
#include <bitdial/quant/policies/pact.hpp>
#include <bitdial/quant/policies/scale_adjusted.hpp>
#include <bitdial/quant/policies/sign.hpp>
#include <bitdial/quant/policies/xnor.hpp>
#include <bitdial/switchable/switchable_layer.hpp>
#include <support/tensors.hpp>

using namespace bitdial;

namespace {

const nn::LayerGeometry four_by_nine{
    .out_channels = 4, .in_channels = 3, .window = ops::Window::square(3)};

nn::Parameter weight(std::uint64_t seed = 7) {
  return {test::random_tensor({4, 3, 3, 3}, seed, -1.0F, 1.0F), nn::ParameterRole::weight};
}

/// Sets the parameter of one name to zero.
struct ZeroBasis final : nn::ModuleVisitor {
  explicit ZeroBasis(std::string wanted) : name{std::move(wanted)} {}
  void parameter(const std::string& found, nn::Parameter& parameter) override {
    if (found == name) parameter.value.fill(0.0F);
  }
  void buffer(const std::string&, Tensor<float>&) override {}
  void layer(const std::string&, nn::QuantizedLayer&) override {}
  std::string name;
};

Tensor<float> quantized(auto& weights, nn::Parameter& parameter, nn::Mode mode, int bits,
                        const RandomStreams& streams = {}) {
  Tape tape;
  tape.set_random_streams(streams);
  return weights.quantize(tape, parameter, mode, bits).value();
}

}  // namespace

TEST_CASE("the shape of a layer reaches its policy") {
  nn::Parameter parameter = weight();
  SwitchedWeights<ScaleAdjusted<>> adjusted({}, four_by_nine);
  const Tensor<float> y = quantized(adjusted, parameter, nn::Mode::training, 4);
  CHECK(moments(y.span()).deviation() == doctest::Approx(1.0 / 6.0).epsilon(1e-5));

  SwitchedWeights<LqNetsWeights> bases({}, four_by_nine);
  bases.add_width(2);
  const Tensor<float> start = quantized(bases, parameter, nn::Mode::training, 2);
  const double largest = 1.5 * 0.6745 * std::sqrt(2.0 / 36.0);  // v_0 + v_1 = v_1 / 2 + v_1
  CHECK(static_cast<double>(abs_statistics(start.span()).max) == doctest::Approx(largest));
}

TEST_CASE("a basis moves after each training pass of its width, and only then") {
  nn::Parameter parameter = weight();
  SwitchedWeights<LqNetsWeights> weights({}, four_by_nine);
  weights.add_width(2);
  weights.add_width(1);
  const Tensor<float> first = quantized(weights, parameter, nn::Mode::training, 2);
  const Tensor<float> second = quantized(weights, parameter, nn::Mode::training, 2);
  CHECK_FALSE(test::same_bits(first, second));
  const Tensor<float> third = quantized(weights, parameter, nn::Mode::evaluation, 2);
  CHECK(test::same_bits(third, quantized(weights, parameter, nn::Mode::evaluation, 2)));
  quantized(weights, parameter, nn::Mode::training, 1);
  CHECK(test::same_bits(third, quantized(weights, parameter, nn::Mode::evaluation, 2)));

  // Filter 0 alone: a start and one step of QEM are what evaluation uses.
  SwitchedWeights<LqNetsWeights> once({}, four_by_nine);
  once.add_width(2);
  quantized(once, parameter, nn::Mode::training, 2);
  const LqNetsWeights policy = LqNetsWeights{}.for_shape({.out_channels = 4, .taps = 9});
  const std::span<const float> filter = parameter.value.cview().span().first(27);
  const LqNetsState moved = policy.relearn(filter, policy.fit(filter, 2), 2);
  std::vector<float> expected(27);
  Quantizer{policy}.fake_quantize(filter, moved, 2, expected);
  const Tensor<float> found = quantized(once, parameter, nn::Mode::evaluation, 2);
  for (std::size_t i = 0; i < 27; ++i) CHECK(found.data()[i] == expected[i]);
}

TEST_CASE("a filter of zeros has the integer line of the others") {
  nn::Parameter parameter = weight();
  std::ranges::fill(parameter.value.span().first(27), 0.0F);
  for (const std::size_t dead : {std::size_t{0}, std::size_t{3}}) {
    SwitchedWeights<LqNetsWeights> weights({}, four_by_nine);
    weights.add_width(2);
    quantized(weights, parameter, nn::Mode::training, 2);
    ZeroBasis zero{concat("weights.w2.", dead, ".basis")};
    weights.visit(zero, "");
    const Tensor<float> y = quantized(weights, parameter, nn::Mode::evaluation, 2);
    const nn::WeightCodes codes = weights.codes(parameter.value.span(), 2);
    for (std::size_t i = 0; i < codes.codes.size(); ++i) {
      const auto level = static_cast<float>(codes.levels.level(codes.codes[i]));
      const float value = codes.scales[i / 27] * level;
      if (i / 27 == dead) CHECK(value == 0.0F);
      CHECK(value == doctest::Approx(y.data()[i]).epsilon(0.02));
    }
  }
}

TEST_CASE("the means of XNOR weights are those of taps, in codes as in training") {
  nn::Parameter parameter = weight();
  for (int tap = 0; tap < 9; ++tap) {  // the channels of one tap lie side by side
    for (int channel = 0; channel < 3; ++channel) {
      parameter.value.data()[27 + 3 * tap + channel] =
          static_cast<float>(tap) + (channel == 0 ? 0.5F : -0.25F);
    }
  }
  SwitchedWeights<XnorWeights> weights({}, four_by_nine);
  const Tensor<float> y = quantized(weights, parameter, nn::Mode::training, 1);
  const nn::WeightCodes codes = weights.codes(parameter.value.span(), 1);
  for (std::size_t i = 27; i < 54; ++i) {
    const bool is_first = i % 3 == 0;
    CHECK(codes.codes[i] == (is_first ? 1 : 0));
    CHECK(y.data()[i] == doctest::Approx(is_first ? 1.0 / 3.0 : -1.0 / 3.0));
  }
}

TEST_CASE("stochastic signs: new ones every step, +1 with probability (w + 1) / 2") {
  nn::Parameter parameter = weight();
  SwitchedWeights<SignWeights> weights({.rounding = SignRounding::stochastic}, four_by_nine);
  const Tensor<float> nearest = quantized(weights, parameter, nn::Mode::evaluation, 1);
  for (std::int64_t i = 0; i < nearest.size(); ++i) {
    CHECK(nearest[i] == (parameter.value[i] >= 0.0F ? 1.0F : -1.0F));
  }
  constexpr int steps = 2000;
  std::vector<double> mean(static_cast<std::size_t>(nearest.size()));
  for (std::uint64_t step = 0; step < steps; ++step) {
    const Tensor<float> y = quantized(weights, parameter, nn::Mode::training, 1, {5, step});
    for (std::size_t i = 0; i < mean.size(); ++i) {
      mean[i] += static_cast<double>(y.data()[i]) / steps;
    }
  }
  for (std::size_t i = 0; i < mean.size(); ++i) {  // E = 2 p - 1 = w
    CHECK(std::abs(mean[i] - static_cast<double>(parameter.value.data()[i])) < 0.1);
  }
  CHECK(test::same_bits(quantized(weights, parameter, nn::Mode::training, 1, {5, 3}),
                        quantized(weights, parameter, nn::Mode::training, 1, {5, 3})));
  CHECK(test::same_bits(quantized(weights, parameter, nn::Mode::training, 32, {5, 3}),
                        parameter.value));
}

TEST_CASE("the gradient of stochastic signs is that of the signs") {
  nn::Parameter parameter = weight();
  SwitchedWeights<SignWeights> weights({.rounding = SignRounding::stochastic}, four_by_nine);
  Tape tape;
  const Var y = weights.quantize(tape, parameter, nn::Mode::training, 1);
  Tape other;
  const Var leaf = other.leaf(y.value());
  tape.backward(ad::kurtosis_penalty(y));
  other.backward(ad::kurtosis_penalty(leaf));
  CHECK(test::same_bits(parameter.grad, leaf.grad()));
}

namespace {

using Adjusted = ScaleAdjusted<AdaBitsWeights>;
using Classifier = SwitchableLayer<nn::Linear, BitList<8, 4, 2>, Adjusted, PactActivations>;

nn::Sequential classifier(ScaleUse use) {
  nn::Sequential net;
  net.add<Classifier>("fc", nn::LinearOptions{.in = 9, .out = 5},
                      Classifier::Switching{.weights = {.use = use}});
  nn::number_layers(net);
  nn::initialize(net, 4);
  add_plans(net, std::vector<PrecisionPlan>{Precision{4, 4}, Precision{4, 32}});
  for (const auto& [name, parameter] : nn::parameters(net)) {
    if (parameter->role == nn::ParameterRole::bias) {
      parameter->value = test::random_tensor({5}, 3, -1.0F, 1.0F);
    }
  }
  return net;
}

Tensor<float> outputs(nn::Module& net, Precision precision, nn::Mode mode) {
  Tape tape;
  const PrecisionPlan plan(precision);
  return net
      .forward(tape.constant(test::random_tensor({6, 9}, 9, 0.0F, 6.0F)),
               {.plan = plan, .mode = mode})
      .value();
}

}  // namespace

TEST_CASE("a classifier that is adjusted in training alone: evaluation is smaller by the factor") {
  nn::Sequential always = classifier(ScaleUse::always);
  nn::Sequential training = classifier(ScaleUse::training);
  auto& layer = dynamic_cast<Classifier&>(*nn::quantized_layers(training)[0].second);
  const float f = Adjusted{}
                      .for_shape({.out_channels = 5, .taps = 1})
                      .fit(layer.layer().weight().value.span(), 4)
                      .factor;
  REQUIRE(std::fabs(f - 1.0F) > 0.05F);
  for (const Precision precision : {Precision{4, 4}, Precision{4, 32}}) {
    CAPTURE(precision.text());
    CHECK(test::same_bits(outputs(always, precision, nn::Mode::training),
                          outputs(training, precision, nn::Mode::training)));
    const Tensor<float> with = outputs(always, precision, nn::Mode::evaluation);
    const Tensor<float> without = outputs(training, precision, nn::Mode::evaluation);
    for (std::int64_t i = 0; i < with.size(); ++i) {
      CHECK(with[i] == doctest::Approx(f * without[i]).epsilon(1e-4));
    }
  }
  // The multiplier of the packed network is that of weights on the grid: 1/8 times the step of x.
  const PrecisionPlan plan(Precision{4, 4});
  CHECK(layer.epilogue(plan).multiplier[0] ==
        doctest::Approx(0.125F * layer.activation_levels(plan).scale));
}

namespace {

using Shared = SwitchableLayer<nn::Conv2d, BitList<8, 4, 2>, AdaBitsWeights, CgPactActivations>;

std::vector<std::string> clip_names(LearnedSharing sharing) {
  nn::Sequential net;
  net.add<Shared>("conv", nn::Conv2dOptions{.in = 3, .out = 4, .kernel = 3},
                  Shared::Switching{.learned = sharing});
  nn::number_layers(net);
  add_plans(net, std::vector<PrecisionPlan>{Precision{8, 4}, Precision{4, 4}, Precision{2, 2}});
  std::vector<std::string> names;
  for (const auto& [name, parameter] : nn::parameters(net)) {
    if (parameter->role == nn::ParameterRole::clip) names.push_back(name);
  }
  return names;
}

}  // namespace

TEST_CASE("clipping levels per switch, per width (switch_alpha), or one for all") {
  CHECK(clip_names(LearnedSharing::per_switch) ==
        std::vector<std::string>{"conv.activations.w8a4.alpha", "conv.activations.w4a4.alpha",
                                 "conv.activations.w2a2.alpha"});
  CHECK(clip_names(LearnedSharing::per_width) ==
        std::vector<std::string>{"conv.activations.a4.alpha", "conv.activations.a2.alpha"});
  CHECK(clip_names(LearnedSharing::all) == std::vector<std::string>{"conv.activations.all.alpha"});
}

TEST_CASE("a shared clipping level is one number for every switch") {
  nn::Sequential net;
  net.add<Shared>("conv", nn::Conv2dOptions{.in = 3, .out = 4, .kernel = 3},
                  Shared::Switching{.learned = LearnedSharing::all});
  nn::number_layers(net);
  nn::initialize(net, 4);
  const std::vector<PrecisionPlan> plans{Precision{8, 8}, Precision{2, 2}};
  add_plans(net, plans);
  set_parameter(net, "conv.activations.all.alpha", {{1.5F}});
  const auto& layer = dynamic_cast<Shared&>(*nn::quantized_layers(net)[0].second);
  CHECK(layer.activation_levels(plans[0]).scale == 1.5F / 255.0F);
  CHECK(layer.activation_levels(plans[1]).scale == 1.5F / 3.0F);
}
