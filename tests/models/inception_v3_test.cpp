// SPDX-License-Identifier: Apache-2.0
#include <bitdial/models/inception_v3.hpp>

#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/nn/cost.hpp>
#include <support/packed_outputs.hpp>

using namespace bitdial;
using models::InceptionStem;

namespace {

using Bits = BitList<8, 2>;

std::unique_ptr<nn::Sequential> inception(const models::InceptionV3Options& options) {
  return models::inception_v3<Bits>(options);
}

}  // namespace

TEST_CASE("published sizes at 299 x 299: torchvision without the auxiliary classifier") {
  const auto net = inception({});
  const nn::NetworkCost cost = nn::cost(*net, {299, 299, 3});
  CHECK(cost.parameters() == 23'834'568);  // Keras has 23,851,784: no gammas, and 34,432 statistics
  CHECK((cost.multiply_accumulates() + 500'000) / 1'000'000 == 5713);
}

TEST_CASE("the blocks have the paper's sizes") {
  const auto net = inception({});
  const nn::NetworkCost cost = nn::cost(*net, {299, 299, 3});
  REQUIRE(cost.layers.size() == 95);
  std::string before;
  std::vector<Shape> outputs;  // of the first layer of each block
  for (const nn::LayerCost& layer : cost.layers) {
    const std::string block = layer.name.substr(0, layer.name.find('.'));
    if (block != before && block.starts_with("mixed")) outputs.push_back(layer.output);
    before = block;
  }
  REQUIRE(outputs.size() == 11);
  CHECK(outputs[0] == Shape{35, 35, 64});
  CHECK(outputs[3] == Shape{17, 17, 384});
  CHECK(outputs[7] == Shape{17, 17, 192});
  CHECK(outputs[10] == Shape{8, 8, 320});
  CHECK(cost.layers.back().geometry.in_channels == 2048);
  int rows = 0, columns = 0;
  for (const nn::LayerCost& layer : cost.layers) {
    const ops::Window& window = layer.geometry.window;
    rows += window.kernel_h == 1 && window.kernel_w > 1 ? 1 : 0;
    columns += window.kernel_w == 1 && window.kernel_h > 1 ? 1 : 0;
  }
  CHECK(rows == 4 * 3 + 1 + 2 * 2);
  CHECK(columns == rows);
}

TEST_CASE("a step of training, then packed as evaluated") {
  const std::vector<PrecisionPlan> plans{Precision{8, 8}, Precision{2, 2}};
  const struct {
    models::InceptionV3Options options;
    Shape image;
  } cases[] = {
      {{.width = 1.0 / 32, .classes = 5}, {76, 75, 3}},
      {{.width = 1.0 / 40, .stem = InceptionStem::conv3, .in_channels = 1, .classes = 3},
       {16, 15, 1}},
  };
  for (const auto& c : cases) {
    CAPTURE(c.options.width);
    const auto net = inception(c.options);
    test::check_step_and_packing(*net, c.image, plans);
  }
}

TEST_CASE("options out of range are refused with what was given") {
  CHECK(test::error_text<ConfigError>([] { static_cast<void>(inception({.width = 0.0})); }) ==
        "inception_v3: width must be above 0 and at most 64, got 0");
  CHECK_THROWS_AS(static_cast<void>(inception({.classes = 0})), ConfigError);
}
