// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/models/resnet_cifar.hpp>
#include <bitdial/switchable/plan_mixture.hpp>
#include <support/tensors.hpp>

using namespace bitdial;

namespace {

template <class Key>
auto network() {
  return models::resnet_cifar<BitList<8, 4, 2>, DoReFaWeights, DoReFaActivations, Key>(
      {.depth = 8, .width = 2, .in_channels = 1, .classes = 3});
}

const std::vector<PrecisionPlan> plans{Precision{8, 8}, Precision{4, 4}, Precision{2, 2}};

/// The keys of the bank of one layer, by the names of its batch normalisation.
std::vector<std::string> keys_of(nn::Module& network, const std::string& layer) {
  std::vector<std::string> keys;
  const std::string prefix = layer + ".bn.";
  const std::string suffix = ".gamma";
  for (const auto& [name, parameter] : nn::parameters(network)) {
    if (!name.starts_with(prefix) || !name.ends_with(suffix)) continue;
    keys.push_back(name.substr(prefix.size(), name.size() - prefix.size() - suffix.size()));
  }
  return keys;
}

}  // namespace

TEST_CASE("a uniform list is the uniform plan") {
  CHECK(plan_of({{4, 4}, {4, 4}}) == PrecisionPlan{Precision{4, 4}});
  CHECK(plan_of({{4, 4}, {2, 4}}).text() == "w4a4,w2a4");
  CHECK(layer_precisions(Precision{4, 2}, 3) == std::vector<Precision>(3, Precision{4, 2}));
  CHECK(layer_precisions(plan_of({{4, 4}, {2, 4}}), 2)[1] == Precision{2, 4});
  CHECK(test::error_text<PrecisionError>([] {
          static_cast<void>(layer_precisions(plan_of({{4, 4}, {2, 4}}), 3));
        }) == "plan: w4a4,w2a4 has 2 entries, the network has 3 quantized layers");
}

TEST_CASE("every layer of a random mixture is drawn from the plans, with equal chances") {
  std::vector<int> seen(9);
  for (std::uint64_t step = 0; step < 200; ++step) {
    const PrecisionPlan mixed = random_mixture(plans, 30, {7, step});
    CHECK(mixed == random_mixture(plans, 30, {7, step}));
    for (std::size_t layer = 0; layer < 30; ++layer) {
      ++seen[static_cast<std::size_t>(mixed.at(layer).w)];
    }
  }
  // 6000 draws: the standard deviation of each count is 37.
  for (const int bits : {8, 4, 2})
    CHECK(std::abs(seen[static_cast<std::size_t>(bits)] - 2000) < 185);
  CHECK(random_mixture(plans, 30, {7, 0}) != random_mixture(plans, 30, {7, 1}));
  CHECK(random_mixture(plans, 30, {7, 0}) != random_mixture(plans, 30, {8, 0}));
  CHECK_THROWS_AS(static_cast<void>(random_mixture({}, 3, {1, 1})), ConfigError);
}

TEST_CASE("with transitional keys mixtures need a state per pair of precisions") {
  const auto net = network<KeyByTransition>();
  add_mixtures(*net, plans);
  // The image comes into the pinned stem; the first block reads the pinned stem.
  CHECK(keys_of(*net, "stem") == std::vector<std::string>{"w32a32-w8a8"});
  CHECK(keys_of(*net, "stage1.block1.conv1") ==
        std::vector<std::string>{"w8a8-w8a8", "w8a8-w4a4", "w8a8-w2a2"});
  const std::vector<std::string> keys = keys_of(*net, "stage1.block1.conv2");
  CHECK(keys.size() == 9);
  CHECK(std::set<std::string>(keys.begin(), keys.end()).size() == 9);
  // The plans themselves come first.
  CHECK(std::vector<std::string>(keys.begin(), keys.begin() + 3) ==
        std::vector<std::string>{"w8a8-w8a8", "w4a4-w4a4", "w2a2-w2a2"});
}

TEST_CASE("any mixture runs after add_mixtures, also one that no step has seen") {
  const auto net = network<KeyByTransition>();
  nn::initialize(*net, 1);
  const std::size_t layers = nn::quantized_layers(*net).size();
  const Tensor<float> x = test::random_images({2, 8, 8, 1}, 3);
  const PrecisionPlan mixed = random_mixture(plans, layers, {1, 2});
  const auto run = [&] {
    Tape tape;
    return net->forward(tape.borrow(x), {.plan = mixed, .mode = nn::Mode::training}).value();
  };
  add_plans(*net, plans);
  const std::string text = test::error_text<PrecisionError>([&] { static_cast<void>(run()); });
  CHECK(test::contains(text, "call add_plans (or add_mixtures) before training"));
  add_mixtures(*net, plans);
  for (std::uint64_t i = 0; i < 20; ++i) {
    const PrecisionPlan other = random_mixture(plans, layers, {2, i});
    Tape tape;
    CHECK_NOTHROW(static_cast<void>(
        net->forward(tape.borrow(x), {.plan = other, .mode = nn::Mode::training})));
  }
  CHECK(run().shape() == Shape{2, 3});
}

TEST_CASE("keys that do not look at the layer before need no more than the plans") {
  const auto with_mixtures = network<KeyByPair>();
  const auto with_plans = network<KeyByPair>();
  add_mixtures(*with_mixtures, plans);
  add_plans(*with_plans, plans);
  CHECK(nn::parameters(*with_mixtures).size() == nn::parameters(*with_plans).size());
  const auto shared = network<KeyShared>();
  add_mixtures(*shared, plans);
  CHECK(keys_of(*shared, "stage1.block1.conv2") == std::vector<std::string>{"shared"});
}
