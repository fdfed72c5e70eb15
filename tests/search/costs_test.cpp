// SPDX-License-Identifier: Apache-2.0
#include <bitdial/search/costs.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/models/googlenet.hpp>
#include <bitdial/models/resnet_cifar.hpp>
#include <bitdial/models/resnet_imagenet.hpp>
#include <bitdial/nn/sequential.hpp>
#include <bitdial/search/composite_layer.hpp>
#include <bitdial/search/plan_within.hpp>

using namespace bitdial;

namespace {

using PaperWidths = Candidates<BitList<4, 3, 2, 1>, BitList<4, 3, 2>>;

auto resnet8() {
  return models::resnet_cifar<PaperWidths, GaussianWeights, HwgqActivations>(
      {.depth = 8, .width = 4, .classes = 3});
}

void set(const BitShares& shares, std::initializer_list<float> values) {
  std::ranges::copy(values, shares.alpha->value.data());
}

void randomize(nn::Module& network, std::uint64_t seed, float size = 1.0F) {
  Random random(seed, 0);
  for (const auto& [name, alpha] : architecture_parameters(network)) {
    for (float& value : alpha->value.span()) value = random.uniform(-size, size);
  }
}

}  // namespace

TEST_CASE("the penalty of one layer and its derivatives, as the paper's code has them") {
  nn::Sequential net;
  net.add<CompositeConv2d<PaperWidths>>("conv", nn::Conv2dOptions{.in = 2, .out = 3, .kernel = 3});
  nn::number_layers(net);
  const SearchCosts costs = bit_operation_costs(net, {8, 8, 2});
  const BitShares w = searched_layers(net)[0].second->weight_shares();
  const BitShares a = searched_layers(net)[0].second->activation_shares();
  CHECK(costs.expected(net) == doctest::Approx(2.5 * 3));  // equal shares at the start
  CHECK(costs.of_equal_shares() == doctest::Approx(2.5 * 3));

  set(w, {0.0F, 0.2F, -0.1F, 0.3F});
  set(a, {-0.1F, 0.0F, 0.1F});
  CHECK(w.expected_bits() == doctest::Approx(2.418119429).epsilon(1e-7));
  CHECK(a.expected_bits() == doctest::Approx(2.933444204).epsilon(1e-7));
  CHECK(costs.expected(net) == doctest::Approx(7.093418424).epsilon(1e-7));
  costs.add_gradient(net, 2.0);
  const std::vector<double> by_w{1.036697, 0.4657693, -0.2479414, -1.2545249};
  const std::vector<double> by_a{0.77529, 0.0534682, -0.8287582};
  for (std::size_t i = 0; i < by_w.size(); ++i) {
    CHECK(w.alpha->grad.span()[i] == doctest::Approx(2.0 * by_w[i]).epsilon(1e-6));
  }
  for (std::size_t i = 0; i < by_a.size(); ++i) {
    CHECK(a.alpha->grad.span()[i] == doctest::Approx(2.0 * by_a[i]).epsilon(1e-5));
  }
}

TEST_CASE("the gradient of any costs is a finite difference") {
  const auto net = resnet8();
  randomize(*net, 3);
  const SearchCosts costs(*net, "ms", [](const std::string& name, Precision p) {
    return 0.1 * static_cast<double>(name.size()) + p.w + 0.3 * p.a * p.a + (p.w == 2 ? 5.0 : 0.0);
  });
  costs.add_gradient(*net, 1.0);
  for (const auto& entry : architecture_parameters(*net)) {
    CAPTURE(entry.first);
    nn::Parameter* const alpha = entry.second;
    for (std::int64_t i = 0; i < alpha->value.size(); ++i) {
      const float saved = alpha->value[i];
      alpha->value[i] = saved + 0x1p-9F;
      const double above = costs.expected(*net);
      alpha->value[i] = saved - 0x1p-9F;
      const double below = costs.expected(*net);
      alpha->value[i] = saved;
      CHECK(alpha->grad[i] == doctest::Approx((above - below) / 0x1p-8).epsilon(1e-4));
    }
  }
}

TEST_CASE("published networks: multiply-accumulates, starting penalty, average bits") {
  const Shape image{224, 224, 3};
  SUBCASE("ResNet-18") {
    const auto net = models::resnet_imagenet<PaperWidths>({.depth = 18});
    const SearchCosts costs = bit_operation_costs(*net, image);
    CHECK(costs.layers().size() == 19);
    CHECK(costs.of_equal_shares() == doctest::Approx(110.0).epsilon(1e-9));
    CHECK(costs.of(PrecisionPlan::uniform("w2a2")) == doctest::Approx(58.6666667).epsilon(1e-8));
    // Indices into {2, 3, 4} and {1, 2, 3, 4}: blocks, then the shortcut of a block.
    const std::vector<int> a{0, 0, 0, 0, 0, 0, 2, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 0, 0};
    const std::vector<int> w{0, 0, 0, 0, 2, 1, 3, 1, 0, 2, 1, 3, 1, 0, 2, 1, 3, 1, 1};
    std::vector<Precision> published{{8, 8}};
    for (std::size_t i = 0; i < a.size(); ++i) published.push_back({.w = w[i] + 1, .a = a[i] + 2});
    published.push_back({8, 8});
    const PrecisionPlan plan = PrecisionPlan::per_layer(published).value();
    CHECK(average_bits(*net, image, plan) == doctest::Approx(1.9924098).epsilon(1e-7));
    CHECK(average_bits(*net, image, PrecisionPlan::uniform("w3a3")) == doctest::Approx(3.0));
  }
  SUBCASE("ResNet-50") {
    const auto net = models::resnet_imagenet<PaperWidths>({.depth = 50});
    const SearchCosts costs = bit_operation_costs(*net, image);
    CHECK(costs.of_equal_shares() == doctest::Approx(2317.5).epsilon(1e-7));
    CHECK(costs.of(PrecisionPlan::uniform("w2a2")) == doctest::Approx(1236.0).epsilon(1e-7));
  }
  SUBCASE("GoogLeNet: 1463.634 million multiply-accumulates, 12.8451 of them in the first layer") {
    const auto net = models::googlenet<PaperWidths>({});
    const SearchCosts costs = bit_operation_costs(*net, image);
    CHECK(costs.of_equal_shares() == doctest::Approx(1463.634 / 12.8451 * 7.5).epsilon(1e-5));
  }
}

TEST_CASE("a plan within a budget: likely, affordable, and the argmax where that fits") {
  const auto net = resnet8();
  randomize(*net, 7);
  const SearchCosts costs = bit_operation_costs(*net, {12, 12, 3});
  const double argmax_cost = costs.of(chosen_plan(*net));
  CHECK(plan_within(*net, costs, argmax_cost) == chosen_plan(*net));
  CHECK(plan_within(*net, costs, 1e9) == chosen_plan(*net));

  const auto score = [&](const PrecisionPlan& plan) {
    double sum = 0.0;
    for (const auto& [name, layer] : searched_layers(*net)) {
      const Precision p = plan.at(static_cast<std::size_t>(layer->index()));
      for (const auto& [shares, bits] :
           {std::pair{layer->weight_shares(), p.w}, std::pair{layer->activation_shares(), p.a}}) {
        const auto at = std::ranges::find(shares.bits, bits) - shares.bits.begin();
        sum += std::log(shares.shares()[static_cast<std::size_t>(at)]);
      }
    }
    return sum;
  };
  const double cheapest = costs.of(PrecisionPlan::uniform("w1a2"));
  double last = -1e9;
  for (const double share : {0.0, 0.1, 0.3, 0.5, 0.7, 0.9}) {
    CAPTURE(share);
    const double budget = cheapest + share * (argmax_cost - cheapest);
    const PrecisionPlan plan = plan_within(*net, costs, budget);
    CHECK(costs.of(plan) <= budget);
    CHECK(score(plan) >= last);
    last = score(plan);
    // No single layer has a likelier pair that would still fit.
    for (const LayerCosts& layer : costs.layers()) {
      std::vector<Precision> changed;
      for (std::size_t i = 0; i < plan.size(); ++i) changed.push_back(plan.at(i));
      for (const int w : layer.weight_bits) {
        for (const int a : layer.activation_bits) {
          changed[layer.position] = {.w = w, .a = a};
          const PrecisionPlan other = PrecisionPlan::per_layer(changed).value();
          CHECK((costs.of(other) > budget || score(other) <= score(plan) + 1e-9));
        }
      }
    }
  }
  CHECK_THROWS_WITH_AS(static_cast<void>(plan_within(*net, costs, cheapest * 0.99)),
                       doctest::Contains("plan_within: the cheapest plan costs "), ConfigError);
}

TEST_CASE("a budget that is to be spent is spent, first where the shares ask for it") {
  const auto net = resnet8();
  randomize(*net, 9, 0.05F);
  const SearchCosts costs = bit_operation_costs(*net, {12, 12, 3});
  // A penalty has pulled everything to the cheapest widths.
  for (const auto& [name, layer] : searched_layers(*net)) {
    layer->weight_shares().alpha->value[3] = 1.0F;
    layer->activation_shares().alpha->value[2] = 1.0F;
  }
  // One layer would rather have eight times the weights.
  searched_layers(*net)[2].second->weight_shares().alpha->value[0] = 0.9F;
  const double budget = costs.of(PrecisionPlan::uniform("w2a2"));
  CHECK(plan_within(*net, costs, budget) == chosen_plan(*net));
  const PrecisionPlan spent = plan_within(*net, costs, budget, {.spend = true});
  CHECK(costs.of(spent) <= budget);
  CHECK(costs.of(spent) > 0.93 * budget);
  CHECK(spent.at(3).w == 4);
  const PrecisionPlan all = plan_within(*net, costs, 1e9, {.spend = true});
  CHECK(costs.of(all) == doctest::Approx(costs.of(PrecisionPlan::uniform("w4a4"))));
  // Where the argmax costs too much, spending changes nothing but the last single changes.
  randomize(*net, 7);
  const double tight = 0.8 * costs.of(chosen_plan(*net));
  CHECK(costs.of(plan_within(*net, costs, tight, {.spend = true})) <= tight);
}

TEST_CASE("errors say what is missing") {
  const auto switchable = models::resnet_cifar<BitList<4, 2>>({.depth = 8, .width = 4});
  CHECK_THROWS_WITH_AS(static_cast<void>(bit_operation_costs(*switchable, {12, 12, 3})),
                       doctest::Contains("the network has no searched layer"), ConfigError);
  const auto net = resnet8();
  const SearchCosts costs = bit_operation_costs(*net, {12, 12, 3});
  CHECK_THROWS_WITH_AS(static_cast<void>(costs.of(PrecisionPlan::uniform("w8a8"))),
                       "search: layer 'stage1.block1.conv1' has no cost at w8a8; its candidates "
                       "are weights 4, 3, 2, "
                       "1 and activations 4, 3, 2",
                       PrecisionError);
  CHECK_THROWS_AS(SearchCosts(*net, "ms", [](const std::string&, Precision) { return 0.0; }),
                  ConfigError);
  CHECK_THROWS_AS(
      static_cast<void>(average_bits(*net, {12, 12, 3}, PrecisionPlan::parse("w1a1,w2a2").value())),
      PrecisionError);
}
