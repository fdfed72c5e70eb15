// SPDX-License-Identifier: Apache-2.0
// Plans that no training step has run as such: per-layer precision of a network with transitional
// batch normalisation, packed.
#include <cstddef>
#include <cstdint>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/deploy/model.hpp>
#include <bitdial/deploy/model_format.hpp>
#include <bitdial/deploy/pack.hpp>
#include <bitdial/deploy/session.hpp>
#include <bitdial/models/resnet_cifar.hpp>
#include <bitdial/switchable/plan_mixture.hpp>
#include <support/packed_comparison.hpp>

using namespace bitdial;

namespace {

const std::vector<PrecisionPlan> switches{Precision{8, 8}, Precision{4, 4}, Precision{2, 2}};
const Shape image{8, 8, 3};

/// Moves the running statistics of all states by training passes under random mixtures.
void run_mixtures(nn::Module& network, std::size_t layers) {
  for (std::uint64_t step = 0; step < 24; ++step) {
    Tape tape;
    const test::ByteImages images(4, image, step + 10);
    static_cast<void>(network
                          .forward(tape.borrow(images.values),
                                   {.plan = random_mixture(switches, layers, {1, step}),
                                    .mode = nn::Mode::training})
                          .value());
  }
}

}  // namespace

TEST_CASE(
    "a plan that was never trained as such packs, and gives the bits of the trained network") {
  const auto network =
      models::resnet_cifar<BitList<8, 4, 2>, DoReFaWeights, DoReFaActivations, KeyByTransition>(
          {.depth = 8, .width = 4, .classes = 5});
  nn::initialize(*network, 2);
  add_mixtures(*network, switches);
  const std::size_t layers = nn::quantized_layers(*network).size();
  run_mixtures(*network, layers);
  std::vector<PrecisionPlan> plans = switches;
  for (std::uint64_t other = 0; other < 3; ++other) {
    plans.push_back(random_mixture(switches, layers, {2, other}));
    CHECK(plans.back().size() == layers);
  }
  const auto bytes = model_bytes(pack(*network, {.plans = plans, .input_shape = image}));
  REQUIRE(bytes);
  const auto model = Model::from_bytes(*bytes);
  REQUIRE(model);
  auto session = Session::create(*model);
  REQUIRE(session);
  const test::ByteImages images(3, image, 5);
  std::vector<float> outputs(15);
  for (const PrecisionPlan& plan : plans) {
    CAPTURE(plan.text());
    Tape tape;
    const Tensor<float> expected =
        network->forward(tape.borrow(images.values), {.plan = plan}).value();
    REQUIRE(session->run(images.bytes, outputs, plan));
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      CHECK(outputs[i] == expected[static_cast<std::int64_t>(i)]);
    }
  }
}

TEST_CASE("without the states of the transitions packing says which one is missing") {
  const auto network =
      models::resnet_cifar<BitList<8, 4, 2>, DoReFaWeights, DoReFaActivations, KeyByTransition>(
          {.depth = 8, .width = 4, .classes = 5});
  nn::initialize(*network, 2);
  add_plans(*network, switches);
  const PrecisionPlan mixed =
      random_mixture(switches, nn::quantized_layers(*network).size(), {2, 0});
  const std::string text = test::error_text<PrecisionError>(
      [&] { static_cast<void>(pack(*network, {.plans = {mixed}, .input_shape = image})); });
  CHECK(test::contains(text, "switchable layer "));
  CHECK(test::contains(text, "): no private state for w"));
  CHECK(test::contains(text, "call add_plans (or add_mixtures) before training"));
}
