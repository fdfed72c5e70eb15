// SPDX-License-Identifier: Apache-2.0
#include <bitdial/models/mobilenet_v2.hpp>

#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/nn/cost.hpp>
#include <support/packed_outputs.hpp>

using namespace bitdial;

namespace {

using Bits = BitList<8, 4>;

std::unique_ptr<nn::Sequential> mobilenet(const models::MobileNetV2Options& options) {
  return models::mobilenet_v2<Bits>(options);
}

}  // namespace

TEST_CASE("published sizes at 224 x 224") {
  const struct {
    double width;
    std::int64_t parameters, millions;  ///< of multiply-accumulates
  } cases[] = {{1.0, 3'504'872, 301}, {1.4, 6'108'776, 582}, {0.5, 1'968'680, 97}};
  for (const auto& c : cases) {
    CAPTURE(c.width);
    const auto net = mobilenet({.width = c.width});
    const nn::NetworkCost cost = nn::cost(*net, {224, 224, 3});
    CHECK(cost.parameters() == c.parameters);
    CHECK((cost.multiply_accumulates() + 500'000) / 1'000'000 == c.millions);
  }
}

TEST_CASE("layers that read a bottleneck see negative values, the others do not") {
  const auto net = mobilenet({.width = 0.25, .stem_stride = 1, .classes = 7});
  const std::vector<PrecisionPlan> plans{Precision{4, 4}};
  add_plans(*net, plans);
  const auto layers = nn::quantized_layers(*net);
  REQUIRE(layers.size() == 1 + 2 + 16 * 3 + 1 + 1);
  for (const auto& named : layers) {
    const std::string& name = named.first;
    CAPTURE(name);
    const bool reads_bottleneck = name.ends_with("expand") || name == "last";
    CHECK((named.second->activation_levels(plans[0]).level(0) < 0) == reads_bottleneck);
  }
}

TEST_CASE("a step of training, then packed as evaluated") {
  const std::vector<PrecisionPlan> plans{Precision{8, 8}, Precision{4, 4}};
  const auto net = mobilenet({.width = 0.1, .stem_stride = 1, .classes = 5});
  test::check_step_and_packing(*net, {19, 18, 3}, plans);
}

TEST_CASE("options out of range are refused with what was given") {
  CHECK(test::error_text<ConfigError>([] { static_cast<void>(mobilenet({.width = 0.0})); }) ==
        "mobilenet_v2: width must be above 0 and at most 64, got 0");
  CHECK_THROWS_AS(static_cast<void>(mobilenet({.width = NAN})), ConfigError);
  CHECK_THROWS_AS(static_cast<void>(mobilenet({.classes = 0})), ConfigError);
}
