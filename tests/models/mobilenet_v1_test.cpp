// SPDX-License-Identifier: Apache-2.0
#include <bitdial/models/mobilenet_v1.hpp>

#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/nn/cost.hpp>
#include <support/packed_outputs.hpp>

using namespace bitdial;

namespace {

using Bits = BitList<8, 4>;

std::unique_ptr<nn::Sequential> mobilenet(const models::MobileNetV1Options& options) {
  return models::mobilenet_v1<Bits>(options);
}

}  // namespace

TEST_CASE("published sizes at 224 x 224") {
  const struct {
    double width;
    std::int64_t parameters, multiply_accumulates;  ///< the second in millions, as in the paper
  } cases[] = {
      {1.0, 4'231'976, 569}, {0.75, 2'585'560, 325}, {0.5, 1'331'592, 149}, {0.25, 470'072, 41}};
  for (const auto& c : cases) {
    CAPTURE(c.width);
    const auto net = mobilenet({.width = c.width});
    const nn::NetworkCost cost = nn::cost(*net, {224, 224, 3});
    CHECK(cost.parameters() == c.parameters);
    CHECK((cost.multiply_accumulates() + 500'000) / 1'000'000 == c.multiply_accumulates);
  }
}

TEST_CASE("layers: a stem, thirteen pairs, a classifier") {
  const auto net = mobilenet({.width = 0.25, .stem_stride = 1, .classes = 7});
  const auto layers = nn::quantized_layers(*net);
  REQUIRE(layers.size() == 28);
  CHECK(layers[1].first == "pair1.depthwise");
  CHECK(layers[1].second->geometry().groups == 8);
  CHECK(layers[26].first == "pair13.pointwise");
  CHECK(layers[26].second->geometry().groups == 1);
  const nn::NetworkCost cost = nn::cost(*net, {64, 64, 3});
  CHECK(cost.layers.front().output == Shape{64, 64, 8});
  CHECK(cost.layers[26].output == Shape{4, 4, 256});
}

TEST_CASE("the quantization-friendly pair has nothing between its convolutions") {
  using models::SeparableOrder;
  const auto net = mobilenet({.order = SeparableOrder::nothing_between});
  // Thirteen normalisations less, behind 4,960 depthwise channels.
  CHECK(nn::cost(*net, {224, 224, 3}).parameters() == 4'231'976 - 2 * 4'960);
  const std::vector<PrecisionPlan> plans{Precision{8, 8}, Precision{4, 4}};
  const auto small = mobilenet(
      {.width = 0.2, .stem_stride = 1, .order = SeparableOrder::nothing_between, .classes = 5});
  nn::initialize(*small, 7);
  add_plans(*small, plans);
  for (const auto& named : nn::quantized_layers(*small)) {
    const std::string& name = named.first;
    CAPTURE(name);
    const bool reads_sums = name.ends_with("pointwise");
    CHECK((named.second->activation_levels(plans[1]).level(0) < 0) == reads_sums);
  }
  for (const float loss : test::train_step(*small, {17, 16, 3}, plans, 4, 8)) {
    CHECK(std::isfinite(loss));
  }
  test::check_packed_outputs(*small, {17, 16, 3}, plans, 2, 9);
}

TEST_CASE("a step of training, then packed as evaluated") {
  const std::vector<PrecisionPlan> plans{Precision{8, 8}, Precision{4, 4}};
  const auto net = mobilenet({.width = 0.2, .stem_stride = 1, .classes = 5});
  test::check_step_and_packing(*net, {19, 18, 3}, plans);
}

TEST_CASE("options out of range are refused with what was given") {
  CHECK(test::error_text<ConfigError>([] { static_cast<void>(mobilenet({.width = 0.0})); }) ==
        "mobilenet_v1: width must be above 0 and at most 64, got 0");
  CHECK_THROWS_AS(static_cast<void>(mobilenet({.width = -1.0})), ConfigError);
  CHECK_THROWS_AS(static_cast<void>(mobilenet({.width = NAN})), ConfigError);
  CHECK_THROWS_AS(static_cast<void>(mobilenet({.classes = 0})), ConfigError);
}
