// SPDX-License-Identifier: Apache-2.0
#include <bitdial/models/googlenet.hpp>

#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/nn/cost.hpp>
#include <support/packed_outputs.hpp>

using namespace bitdial;
using models::InceptionStem;

namespace {

using Bits = BitList<8, 2>;

std::unique_ptr<nn::Sequential> googlenet(const models::GoogLeNetOptions& options) {
  return models::googlenet<Bits>(options);
}

}  // namespace

TEST_CASE("published sizes at 224 x 224") {
  SUBCASE("the paper's kernels") {
    const auto net = googlenet({});
    const nn::NetworkCost cost = nn::cost(*net, {224, 224, 3});
    // Caffe's network has 6,998,552 parameters: biases in the place of batch normalisation.
    std::int64_t channels = 0;
    for (const nn::LayerCost& layer : cost.layers) {
      if (layer.name != "classifier") channels += layer.geometry.out_channels;
    }
    CHECK(cost.parameters() - channels == 6'998'552);
    // EdMIPS counts its quantized layers, all but the first and the last, in millions: 1463.634,
    // of which the first one has 12.8451.
    const std::int64_t edges =
        cost.layers.front().multiply_accumulates + cost.layers.back().multiply_accumulates;
    CHECK((cost.multiply_accumulates() - edges + 500) / 1000 == 1'463'634);
    CHECK((cost.layers[1].multiply_accumulates + 50) / 100 == 128'451);
  }
  SUBCASE("torchvision's kernels, without auxiliary classifiers") {
    const auto net = googlenet({.large_kernel = 3});
    const nn::NetworkCost cost = nn::cost(*net, {224, 224, 3});
    CHECK(cost.parameters() == 6'624'904);
    CHECK((cost.multiply_accumulates() + 500'000) / 1'000'000 == 1498);
  }
}

TEST_CASE("layers: three in the stem, nine blocks of six, a classifier") {
  const auto net = googlenet({});
  const auto layers = nn::quantized_layers(*net);
  REQUIRE(layers.size() == 3 + 9 * 6 + 1);
  CHECK(layers[1].first == "stem2.conv2");
  CHECK(layers[3].first == "inception3a.one.conv");
  CHECK(layers[7].first == "inception3a.five.conv");
  CHECK(layers[7].second->geometry().window.kernel_h == 5);
  CHECK(layers[56].first == "inception5b.pool.conv");
  const nn::NetworkCost cost = nn::cost(*net, {224, 224, 3});
  CHECK(cost.layers[3].output == Shape{28, 28, 64});
  CHECK(cost.layers[15].output == Shape{14, 14, 192});
  CHECK(cost.layers[56].output == Shape{7, 7, 128});
  const auto small = googlenet({.stem = InceptionStem::conv3});
  CHECK(nn::cost(*small, {32, 32, 3}).layers.back().geometry.in_channels == 1024);
  CHECK(nn::cost(*small, {32, 32, 3}).layers[54].output == Shape{8, 8, 128});
}

TEST_CASE("a step of training, then packed as evaluated") {
  const std::vector<PrecisionPlan> plans{Precision{8, 8}, Precision{2, 2}};
  const struct {
    models::GoogLeNetOptions options;
    Shape image;
  } cases[] = {
      {{.width = 1.0 / 24, .classes = 5}, {41, 38, 3}},
      {{.width = 1.0 / 32, .stem = InceptionStem::conv3, .in_channels = 1, .classes = 3},
       {12, 11, 1}},
  };
  for (const auto& c : cases) {
    CAPTURE(c.options.width);
    const auto net = googlenet(c.options);
    test::check_step_and_packing(*net, c.image, plans);
  }
}

TEST_CASE("options out of range are refused with what was given") {
  CHECK(test::error_text<ConfigError>([] { static_cast<void>(googlenet({.width = 0.0})); }) ==
        "googlenet: width must be above 0 and at most 64, got 0");
  CHECK(test::error_text<ConfigError>([] { static_cast<void>(googlenet({.large_kernel = 4})); }) ==
        "googlenet: large_kernel must be odd, for example 5 or 3, got 4");
  CHECK_THROWS_AS(static_cast<void>(googlenet({.width = NAN})), ConfigError);
  CHECK_THROWS_AS(static_cast<void>(googlenet({.classes = 0})), ConfigError);
}
