// SPDX-License-Identifier: Apache-2.0
#include <bitdial/nn/cost.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/nn/frames.hpp>
#include <bitdial/switchable/switchable_batch_norm.hpp>
#include <support/networks.hpp>

using namespace bitdial;

namespace {

nn::Sequential small_network() {
  const test::LayerFactory layers = test::watched_layers<BitList<8>>();
  nn::Sequential body;
  layers.conv(body, "conv", {.in = 4, .out = 4, .kernel = 3, .padding = 1});
  nn::Sequential net;
  layers.conv(net, "stem", {.in = 3, .out = 4, .kernel = 3, .stride = 2});
  net.add<nn::Residual>("block", std::move(body));
  net.add<nn::MaxPool2d>("pool", ops::Window::square(2, {.stride = 2}));
  layers.head(net, "head", {.in = 3 * 2 * 4, .out = 5});
  nn::number_layers(net);
  return net;
}

}  // namespace

TEST_CASE("parameters and multiply-accumulates of every layer") {
  nn::Sequential net = small_network();
  const nn::NetworkCost cost = nn::cost(net, {13, 10, 3});
  REQUIRE(cost.layers.size() == 3);
  CHECK(cost.layers[0].name == "stem");
  CHECK(cost.layers[0].output == Shape{6, 4, 4});
  CHECK(cost.layers[0].parameters == 4 * 27 + 2 * 4);
  CHECK(cost.layers[0].multiply_accumulates == 6 * 4 * 4 * 27);
  CHECK(cost.layers[1].name == "block.conv");
  CHECK(cost.layers[1].multiply_accumulates == 6 * 4 * 4 * 36);
  CHECK(cost.layers[2].output == Shape{1, 1, 5});
  CHECK(cost.layers[2].parameters == 5 * 24 + 5);
  CHECK(cost.layers[2].multiply_accumulates == 5 * 24);
  CHECK(cost.multiply_accumulates() == 2592 + 3456 + 120);

  // The parameters of a network with one switch.
  const std::vector<PrecisionPlan> one{Precision{8, 8}};
  add_plans(net, one);
  CHECK(cost.parameters() == nn::parameter_count(net));
}

TEST_CASE("a dilated layer has the parameters of its taps and the outputs of its extent") {
  const test::LayerFactory layers = test::watched_layers<BitList<8>>();
  nn::Sequential net;
  layers.conv(net, "same", {.in = 3, .out = 4, .kernel = 3, .padding = 2, .dilation = 2});
  layers.conv(net, "less", {.in = 4, .out = 5, .kernel = 3, .stride = 2, .dilation = {2, 3}});
  nn::number_layers(net);
  const nn::NetworkCost cost = nn::cost(net, {13, 10, 3});
  CHECK(cost.layers[0].output == Shape{13, 10, 4});
  CHECK(cost.layers[0].parameters == 4 * 27 + 2 * 4);
  CHECK(cost.layers[0].multiply_accumulates == 13 * 10 * 4 * 27);
  CHECK(cost.layers[1].output == Shape{5, 2, 5});
  CHECK(cost.layers[1].parameters == 5 * 36 + 2 * 5);
  CHECK(cost.layers[1].multiply_accumulates == 5 * 2 * 5 * 36);
}

TEST_CASE("branches, and batch normalisations that stand alone") {
  using Place = nn::BatchNormPlace;
  const auto layers = [](Place place) {
    return test::watched_layers<BitList<8>>({.batch_norm_place = place});
  };
  nn::Sequential a, b;
  layers(Place::after_relu).conv(a, "conv", {.in = 3, .out = 5, .kernel = {1, 3}});
  layers(Place::none).conv(b, "conv", {.in = 3, .out = 2, .kernel = {2, 3}, .padding = {1, 0}});
  b.add<nn::MaxPool2d>("pool", ops::Window{.kernel_h = 2});
  nn::Concat branches;
  branches.add("a", std::move(a)).add("b", std::move(b));
  nn::Sequential net;
  net.add<nn::Concat>("mixed", std::move(branches));
  net.add<SwitchableBatchNorm<>>("norm", SwitchableBatchNormOptions{.channels = 7});
  layers(Place::after).conv(net, "last", {.in = 7, .out = 1, .kernel = 1});
  nn::number_layers(net);
  const nn::NetworkCost cost = nn::cost(net, {6, 5, 3});
  REQUIRE(cost.layers.size() == 3);
  CHECK(cost.layers[0].parameters == 5 * 9);
  CHECK(cost.layers[1].parameters == 2 * 18);
  CHECK(cost.layers[1].output == Shape{7, 3, 2});
  CHECK(cost.layers[2].output == Shape{6, 3, 1});
  CHECK(cost.layers[2].parameters == 7 + 2);
  CHECK(cost.normalisation_parameters == 2 * 5 + 2 * 7);
  CHECK(test::contains(cost.text(), "normalisation"));
  const std::vector<PrecisionPlan> one{Precision{8, 8}};
  add_plans(net, one);
  CHECK(cost.parameters() == nn::parameter_count(net));
}

TEST_CASE("clips: frames count, and a convolution over time sees them as rows") {
  const test::LayerFactory layers = test::watched_layers<BitList<8>>();
  const auto over_time = [&](const nn::Conv2dOptions& options) {
    auto inner = std::make_unique<nn::Sequential>();
    layers.conv(*inner, "conv", options);
    return inner;
  };
  nn::Sequential net;
  net.add<nn::SplitFrames>("split", 7);
  layers.conv(net, "space", {.in = 3, .out = 2, .kernel = 3});
  net.add<nn::AcrossFrames>("time", 7,
                            over_time({.in = 2, .out = 5, .kernel = {3, 1}, .stride = {2, 1}}));
  net.add<nn::GlobalAveragePool>("pool");
  net.add<nn::MeanOverFrames>("mean", 3);
  layers.head(net, "head", {.in = 5, .out = 4});
  nn::number_layers(net);
  const nn::NetworkCost cost = nn::cost(net, {6, 4, 3});
  REQUIRE(cost.layers.size() == 3);
  CHECK(cost.layers[0].multiply_accumulates == 7 * 4 * 2 * (27 * 2));
  CHECK(cost.layers[1].frames == 3);
  CHECK(cost.layers[1].output == Shape{4, 2, 5});
  CHECK(cost.layers[1].multiply_accumulates == 3 * 4 * 2 * (3 * 2 * 5));
  CHECK(cost.layers[2].multiply_accumulates == 5 * 4);

  nn::Sequential wide;
  wide.add<nn::SplitFrames>("split", 7);
  wide.add<nn::AcrossFrames>("time", 7, over_time({.in = 3, .out = 5, .kernel = 3}));
  CHECK(test::error_text<ShapeError>([&] {
          static_cast<void>(nn::cost(wide, {6, 4, 3}));
        }) == "cost: node 1 lies across frames, its width 24 must stay, it becomes 22");

  auto backbone = std::make_unique<nn::Sequential>();
  layers.conv(*backbone, "conv", {.in = 3, .out = 2, .kernel = 3});
  nn::TemporalSegments segments(std::move(backbone), 7);
  CHECK(nn::cost(segments, {6, 4, 3}).multiply_accumulates() == 7 * 4 * 2 * (27 * 2));
}

TEST_CASE("the table has a line per layer and the sums") {
  nn::Sequential net = small_network();
  CHECK(nn::cost(net, {13, 10, 3}).text() ==
        "layer       kernel     output  parameters  multiply-accumulates\n"
        "stem         3 x 3  [6, 4, 4]         116                  2592\n"
        "block.conv   3 x 3  [6, 4, 4]         152                  3456\n"
        "head         1 x 1  [1, 1, 5]         125                   120\n"
        "sum                                   393                  6168\n");
}

TEST_CASE("an image that does not fit is refused with both sides") {
  nn::Sequential net = small_network();
  const auto text = [&](const Shape& image) {
    return test::error_text<ShapeError>([&] { static_cast<void>(nn::cost(net, image)); });
  };
  CHECK(text({13, 10}) == "cost: the image must be [H, W, C], it is [13, 10]");
  CHECK(text({13, 10, 2}) ==
        "cost: layer 'stem' takes 3 channels through a window of 3 x 3, its input is [13, 10, 2]");
  CHECK(text({2, 10, 3}) ==
        "cost: layer 'stem' takes 3 channels through a window of 3 x 3, its input is [2, 10, 3]");
  CHECK(text({13, 20, 3}) ==
        "cost: layer 'head' takes 24 features through a window of 1 x 1, its input is [3, 4, 4]");
}
