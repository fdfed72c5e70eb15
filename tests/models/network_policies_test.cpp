// SPDX-License-Identifier: Apache-2.0
#include <bitdial/models/network_policies.hpp>

#include <cmath>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/models/googlenet.hpp>
#include <bitdial/models/inception_v3.hpp>
#include <bitdial/models/mobilenet_v1.hpp>
#include <bitdial/models/mobilenet_v2.hpp>
#include <bitdial/models/r2plus1d.hpp>
#include <bitdial/models/resnet_cifar.hpp>
#include <bitdial/models/resnet_imagenet.hpp>
#include <bitdial/quant/policies/adabits.hpp>
#include <bitdial/quant/policies/cg_pact.hpp>
#include <bitdial/quant/policies/gaussian.hpp>
#include <bitdial/quant/policies/hwgq.hpp>
#include <bitdial/quant/policies/scale_adjusted.hpp>
#include <bitdial/quant/policies/two_sided.hpp>
#include <support/packed_outputs.hpp>

using namespace bitdial;

using models::NetworkPolicies;
using models::ResidualOrder;

namespace {

using Bits = BitList<4, 2>;
using Network = std::unique_ptr<nn::Sequential>;

/// Every published network, narrow, with these policies; signed inputs take the same activations.
template <class W, class A, class C = SawbWeights>
std::vector<Network> every_network(const NetworkPolicies<W, A, C>& policies) {
  std::vector<Network> networks;
  networks.push_back(models::resnet_cifar<Bits, W, A>({.depth = 8, .width = 4}, policies));
  networks.push_back(models::resnet_imagenet<Bits, W, A>({.width = 4}, policies));
  networks.push_back(models::resnet_imagenet<Bits, W, A>({.depth = 50, .width = 4}, policies));
  networks.push_back(models::googlenet<Bits, W, A>({.width = 0.1}, policies));
  networks.push_back(models::inception_v3<Bits, W, A>({.width = 0.1}, policies));
  networks.push_back(
      models::mobilenet_v1<Bits, W, A, A>({.width = 0.1}, policies, policies.activations));
  networks.push_back(models::mobilenet_v1<Bits, W, A, A>(
      {.width = 0.1, .order = models::SeparableOrder::nothing_between}, policies,
      policies.activations));
  networks.push_back(
      models::mobilenet_v2<Bits, W, A, A>({.width = 0.1}, policies, policies.activations));
  networks.push_back(models::r2plus1d<Bits, W, A>({.frames = 2, .width = 4}, policies));
  return networks;
}

/// The parameters of `network` whose name ends like this.
std::vector<std::string> names_ending(nn::Module& network, std::string_view end) {
  std::vector<std::string> names;
  for (const auto& [name, parameter] : nn::parameters(network)) {
    if (name.ends_with(end)) names.push_back(name);
  }
  return names;
}

const std::vector<PrecisionPlan> plans{Precision{4, 4}, Precision{2, 2}};

/// The weights of the classifier, [out, in].
const Tensor<float>& classifier_weights(nn::Module& network) {
  for (const auto& [name, parameter] : nn::parameters(network)) {
    if (name == "classifier.weight") return parameter->value;
  }
  throw ConfigError("no classifier");
}

}  // namespace

TEST_CASE("the policies of a network reach every layer that is not pinned") {
  // A small positive activation: 0 by the default rule, one step by the other.
  const float small = 0.1F * HwgqActivations::step(2);
  const auto networks = every_network<GaussianWeights, HwgqActivations>(
      {.activations = {.rule = HwgqRule::positive_step}});
  for (const Network& network : networks) {
    add_plans(*network, plans);
    for (const auto& named : nn::quantized_layers(*network)) {
      const std::string& name = named.first;
      CAPTURE(name);
      CHECK(named.second->is_pinned() == (name == "stem" || name == "classifier"));
      if (!named.second->is_pinned()) CHECK(named.second->activation_code(small, plans[1]) == 1);
    }
  }
  const auto by_default = models::resnet_cifar<Bits, GaussianWeights, HwgqActivations>({});
  add_plans(*by_default, plans);
  CHECK(nn::quantized_layers(*by_default)[1].second->activation_code(small, plans[1]) == 0);
}

TEST_CASE("switches share the learned numbers of every layer as the policies say") {
  for (const Network& network : every_network<DoReFaWeights, PactActivations>(
           {.activations = {{.initial_alpha = 3.0F}}, .learned = LearnedSharing::per_width})) {
    const std::vector<PrecisionPlan> with_real_weights{Precision{4, 4}, Precision{32, 4},
                                                       Precision{2, 2}};
    add_plans(*network, with_real_weights);
    const auto layers = nn::quantized_layers(*network);
    // Two widths of each layer, one of the classifier; the stem reads pixels.
    CHECK(names_ending(*network, ".alpha").size() == 2 * (layers.size() - 2) + 1);
    CHECK(names_ending(*network, "classifier.activations.a8.alpha").size() == 1);
    CHECK(layers[1].second->activation_levels(with_real_weights[2]).scale == 1.0F);
  }
}

TEST_CASE("the classifier learns where to clip, for every switch") {
  for (const Network& network : every_network<DoReFaWeights, DoReFaActivations>({})) {
    add_plans(*network, plans);
    CHECK(names_ending(*network, ".alpha").size() == 2);
    const auto classifier = nn::quantized_layers(*network).back().second;
    // 255 steps up to 8; pooled features above 1 keep their value.
    const IntegerLevels levels = classifier->activation_levels(plans[0]);
    CHECK(levels.scale == 8.0F / 255.0F);
    CHECK(classifier->activation_code(4.0F, plans[0]) == 128);
  }
  const auto tight = models::resnet_cifar<Bits>({}, {.pinned = {{.initial_alpha = 2.0F}}});
  add_plans(*tight, plans);
  CHECK(nn::quantized_layers(*tight).back().second->activation_levels(plans[0]).scale ==
        2.0F / 255.0F);
}

TEST_CASE("the classifier has SAWB's weights, or those of the policies") {
  for (const Network& network : every_network<DoReFaWeights, PactActivations>({})) {
    nn::initialize(*network, 3);
    const auto classifier = nn::quantized_layers(*network).back().second;
    CHECK(classifier->weight_codes(8).levels ==
          Quantizer<SawbWeights>{}.levels(classifier_weights(*network).span(), 8));
  }
  using Adjusted = ScaleAdjusted<AdaBitsWeights>;
  const NetworkPolicies<DoReFaWeights, PactActivations, Adjusted> always{};
  const NetworkPolicies<DoReFaWeights, PactActivations, Adjusted> in_training{
      .classifier = {.use = ScaleUse::training}};
  const auto networks = every_network(always), others = every_network(in_training);
  for (std::size_t i = 0; i < networks.size(); ++i) {
    for (const Network* network : {&networks[i], &others[i]}) {
      nn::initialize(**network, 3);
      add_plans(**network, plans);
    }
    const Tensor<float>& weights = classifier_weights(*networks[i]);
    const Quantizer<Adjusted> quantizer{Adjusted{}.for_shape(
        {.out_channels = weights.shape()[0], .taps = 1, .in_channels = weights.shape()[1]})};
    const auto state = quantizer.fit(weights.span(), 8);
    CHECK(state.factor != 1.0F);
    const auto classifier = nn::quantized_layers(*networks[i]).back().second;
    CHECK(classifier->weight_codes(8).levels == quantizer.levels(state, 8));
    CHECK(classifier->nested());
    // Without the factor in evaluation the logits are smaller by it.
    const auto other = nn::quantized_layers(*others[i]).back().second;
    CHECK(classifier->epilogue(plans[0]).multiplier[0] ==
          doctest::Approx(state.factor * other->epilogue(plans[0]).multiplier[0]).epsilon(1e-6));
  }
}

TEST_CASE("scale-adjusted weights in all layers: a step of training, then packed as evaluated") {
  using Adjusted = ScaleAdjusted<AdaBitsWeights>;
  for (const ScaleUse use : {ScaleUse::always, ScaleUse::training}) {
    const NetworkPolicies<Adjusted, CgPactActivations, Adjusted> policies{
        .classifier = {.use = use}};
    const auto resnet = models::resnet_cifar<Bits>({.depth = 8, .width = 4}, policies);
    test::check_step_and_packing(*resnet, {12, 8, 3}, plans);
    const auto mobilenet =
        models::mobilenet_v2<Bits>({.width = 0.1, .stem_stride = 1, .classes = 5}, policies,
                                   models::for_both_signs<CgPactActivations>());
    test::check_step_and_packing(*mobilenet, {19, 18, 3}, plans);
  }
}

TEST_CASE("without a ReLU before the head the clip has two sides") {
  for (const ResidualOrder order : {ResidualOrder::conv_relu_norm, ResidualOrder::bi_real}) {
    const auto network = models::resnet_cifar<Bits>({.order = order});
    add_plans(*network, plans);
    const auto classifier = nn::quantized_layers(*network).back().second;
    const IntegerLevels levels = classifier->activation_levels(plans[0]);
    CHECK(levels.scale == 8.0F / 255.0F);
    CHECK(levels.level(classifier->activation_code(-8.0F, plans[0])) == -255);
  }
}

TEST_CASE("a real-valued classifier is not clipped") {
  const auto network = models::resnet_cifar<Bits>({.depth = 8, .first_and_last = {32, 32}});
  nn::initialize(*network, 1);
  add_plans(*network, plans);
  const auto logits_of = [&](float feature) {
    for (const auto& [name, parameter] : nn::parameters(*network)) {
      if (name.ends_with("beta")) parameter->value.fill(feature);
    }
    Tape tape;
    const Var images = tape.constant(test::random_images({1, 8, 8, 3}, 3));
    return network->forward(images, {.plan = plans[0]}).value()[0];
  };
  CHECK(std::fabs(logits_of(200.0F) - logits_of(100.0F)) > 1.0F);
}

TEST_CASE("shortcuts have a precision of their own: packed at 8 bits, trained at 32") {
  for (const ResidualOrder order : {ResidualOrder::conv_norm_relu, ResidualOrder::conv_relu_norm,
                                    ResidualOrder::preactivated, ResidualOrder::bi_real}) {
    CAPTURE(static_cast<int>(order));
    const auto network = models::resnet_cifar<Bits, DoReFaWeights, TwoSidedActivations>(
        {.depth = 8, .width = 4, .order = order, .shortcuts = Precision{8, 8}});
    int found = 0;
    for (const auto& [name, layer] : nn::quantized_layers(*network)) {
      if (!name.ends_with("shortcut.conv")) continue;
      CHECK(layer->executed(plans[1]) == Precision{8, 8});
      ++found;
    }
    CHECK(found == 2);
    test::check_step_and_packing(*network, {12, 8, 3}, plans);

    const auto real = models::resnet_cifar<Bits, DoReFaWeights, TwoSidedActivations>(
        {.depth = 8, .width = 4, .order = order, .shortcuts = Precision{32, 32}});
    nn::initialize(*real, 7);
    add_plans(*real, plans);
    for (const float loss : test::train_step(*real, {12, 8, 3}, plans, 4, 8)) {
      CHECK(std::isfinite(loss));
    }
    CHECK_THROWS_AS(static_cast<void>(pack(*real, {.plans = plans, .input_shape = {12, 8, 3}})),
                    PrecisionError);
  }
  const auto wide = models::resnet_imagenet<Bits>({.width = 4, .shortcuts = Precision{8, 8}});
  for (const auto& [name, layer] : nn::quantized_layers(*wide)) {
    const bool is_edge = name == "stem" || name == "classifier";
    CHECK(layer->is_pinned() == (is_edge || name.ends_with("shortcut.conv")));
  }
}
