// SPDX-License-Identifier: Apache-2.0
// Every sentence of the network check, each from a network that is right but for one thing.
#include <bitdial/deploy/network_check.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "reference_network.hpp"

namespace {

using namespace bitdial;
using ops::NodeKind;

PackedNetwork good() {
  reference::Network net{{4, 4, 2}, {.seed = 2}};
  const int conv = net.conv(0, 3, ops::Window::square(3, {.padding = 1}));
  const int sum = net.add(net.relu(conv), conv);
  static_cast<void>(net.linear(net.global_average_pool(sum), 2));
  net.draw_weights({2, 3});
  net.add_plan(PrecisionPlan::uniform("w3a2"));
  net.add_plan(PrecisionPlan::uniform("w2a2"));
  return net.packed;
}

std::string error_of(const PackedNetwork& network) {
  std::vector<std::size_t> sizes;
  for (const auto& plane : network.planes) sizes.push_back(plane.size());
  const auto shapes = check_network(network, sizes);
  return shapes ? "" : shapes.error();
}

template <class Change>
std::string error_after(Change change) {
  PackedNetwork network = good();
  change(network);
  return error_of(network);
}

TEST_CASE("a good network passes and knows its shapes") {
  const PackedNetwork network = good();
  std::vector<std::size_t> sizes;
  for (const auto& plane : network.planes) sizes.push_back(plane.size());
  const auto shapes = check_network(network, sizes);
  REQUIRE_MESSAGE(shapes.ok(), shapes.error());
  CHECK(*shapes ==
        std::vector<ImageShape>{{4, 4, 2}, {4, 4, 3}, {4, 4, 3}, {4, 4, 3}, {1, 1, 3}, {1, 1, 2}});
}

TEST_CASE("graph") {
  using N = PackedNetwork;
  CHECK(error_after([](N& n) {
          n.graph.nodes[4] = {.kind = NodeKind::concat, .inputs = {3, -1}};
        }) == "graph: node 4 (concat): input 1 is -1, expected an earlier node");
  CHECK(error_after([](N& n) {
          n.graph.nodes[4] = {
              .kind = NodeKind::max_pool2d, .inputs = {3, -1}, .window = ops::Window::square(2)};
          n.graph.nodes[5] = {.kind = NodeKind::concat, .inputs = {3, 4}};
        }) == "graph: node 5 (concat): joins [4, 4, 3] and [3, 3, 3]");
  CHECK(error_after([](N& n) { n.graph.nodes.resize(1); }) ==
        "graph: has 1 nodes, expected 2 to 4096");
  CHECK(error_after([](N& n) { n.graph.nodes[2].kind = static_cast<NodeKind>(99); }) ==
        "graph: node 2 (unknown): kind 99 is unknown to this build");
  CHECK(error_after([](N& n) { n.graph.nodes[2] = {}; }) ==
        "graph: node 2 (input): the input is node 0, and only node 0");
  CHECK(error_after([](N& n) { n.graph.nodes[2].inputs[0] = 2; }) ==
        "graph: node 2 (relu): input 0 is 2, expected an earlier node");
  CHECK(error_after([](N& n) { n.graph.nodes[2].inputs[0] = -2; }) ==
        "graph: node 2 (relu): input 0 is -2, expected an earlier node");
  CHECK(error_after([](N& n) { n.graph.nodes[2].inputs[1] = 0; }) ==
        "graph: node 2 (relu): input 1 is 0, expected none (-1)");
  CHECK(error_after([](N& n) { n.graph.nodes[3].inputs[0] = 0; }) ==
        "graph: node 3 (add): adds [4, 4, 2] and [4, 4, 3]");
  CHECK(error_after([](N& n) { n.graph.nodes[3].inputs[0] = 1; }) ==
        "graph: node 2 feeds no other node");
  CHECK(error_after([](N& n) { n.graph.nodes[1].layer = 2; }) ==
        "graph: node 1 (conv2d): names layer 2, the network has 2");
  CHECK(error_after([](N& n) { n.graph.nodes[1].layer = 1; }) ==
        "graph: node 1 (conv2d): names layer 1, which is a linear");
  CHECK(error_after([](N& n) { n.graph.nodes[2].layer = 0; }) ==
        "graph: node 2 (relu): names layer 0, expected none (-1)");
  CHECK(error_after([](N& n) { n.graph.nodes[1].window.stride_h = 0; }) ==
        "graph: node 1 (conv2d): kernel, stride and dilation must be positive, padding not "
        "negative");
  CHECK(error_after([](N& n) { n.graph.nodes[1].window.padding_w = 70'000; }) ==
        "graph: node 1 (conv2d): a window of 70000 is out of range");
  CHECK(error_after([](N& n) { n.graph.nodes[1].window.kernel_w = 2; }) ==
        "graph: node 1 (conv2d): layer 0 has weights [3, 3, 3, 2], the window is 3 x 2 and x is "
        "[4, 4, 2]");
  CHECK(error_after([](N& n) { n.graph.nodes[1].window.dilation_h = 9; }) ==
        "graph: node 1 (conv2d): its value would be [0, 4, 3], out of range");
  CHECK(error_after([](N& n) {
          n.graph.nodes[1].window.padding_h = 65'000;
        }).find("out of range") != std::string::npos);
  CHECK(error_after([](N& n) {
          n.input_shape = {4, 4};
        }) == "graph: node 0 (input): the input shape is [4, 4], expected [H, W, C]");
  CHECK(error_after([](N& n) {
          n.input_shape = {65'536, 65'536, 2};
        }) == "graph: node 0 (input): its value would be [65536, 65536, 2], out of range");
  CHECK(error_after([](N& n) { n.graph.nodes[5].inputs[0] = 3; }) ==
        "graph: node 5 (linear): layer 1 takes 3 features, x is [4, 4, 3]");
  CHECK(error_after([](N& n) { n.labels = {"one"}; }) ==
        "labels: there are 1, the output has 2 values");
}

TEST_CASE("layers and weight planes") {
  using N = PackedNetwork;
  CHECK(error_after([](N& n) { n.layers[0].kind = NodeKind::relu; }) ==
        "layer 0 (conv0): is a relu, which has no weights");
  CHECK(error_after([](N& n) { n.layers[0].cout = 0; }) ==
        "layer 0 (conv0): an extent of 0 is out of range");
  CHECK(error_after([](N& n) { n.layers[0].cin = 60'000; }) ==
        "layer 0 (conv0): more than 65536 weights per output channel");
  CHECK(error_after([](N& n) { n.layers[1].kernel_h = 2; }) ==
        "layer 1 (linear1): a linear layer has a 1 x 1 kernel");
  CHECK(error_after([](N& n) { n.layers[0].packs[0].bits = 9; }) ==
        "layer 0 (conv0): a pack of 9 bits, expected 1 to 8");
  CHECK(error_after([](N& n) { n.layers[1].packs[1].first_plane = 8; }) ==
        "layer 1 (linear1): plane 10 does not exist, there are 10");
  CHECK(error_after([](N& n) { n.layers[1].packs[1].first_plane = -1; }) ==
        "layer 1 (linear1): plane -1 does not exist, there are 10");
  CHECK(error_after([](N& n) { n.planes[1].pop_back(); }) ==
        "layer 0 (conv0): plane 1 has 8 bytes, expected 9");
}

TEST_CASE("groups") {
  const auto grouped = [](auto change) {
    reference::Network net{{4, 4, 6}, {.seed = 2}};
    static_cast<void>(net.grouped_conv(0, 9, 3, ops::Window::square(3, {.padding = 1})));
    net.draw_weights({2});
    net.add_plan(PrecisionPlan::uniform("w2a2"));
    change(net.packed);
    return error_of(net.packed);
  };
  using N = PackedNetwork;
  CHECK(grouped([](N&) {}).empty());
  CHECK(grouped([](N& n) { n.layers[0].groups = 2; }) ==
        "layer 0 (conv0): a grouped_conv2d of 6 to 9 channels cannot have 2 groups");
  CHECK(grouped([](N& n) { n.layers[0].groups = 1; }) ==
        "layer 0 (conv0): a grouped_conv2d of 6 to 9 channels cannot have 1 groups");
  CHECK(grouped([](N& n) { n.layers[0].groups = 0; }) ==
        "layer 0 (conv0): a grouped_conv2d of 6 to 9 channels cannot have 0 groups");
  CHECK(grouped([](N& n) { n.layers[0].groups = -3; }) ==
        "layer 0 (conv0): a grouped_conv2d of 6 to 9 channels cannot have -3 groups");
  CHECK(grouped([](N& n) { n.layers[0].groups = 4'000'000'000; }) ==
        "layer 0 (conv0): a grouped_conv2d of 6 to 9 channels cannot have 4000000000 groups");
  CHECK(grouped([](N& n) { n.layers[0].kind = NodeKind::conv2d; }) ==
        "layer 0 (conv0): a conv2d of 6 to 9 channels cannot have 3 groups");
  CHECK(grouped([](N& n) { n.graph.nodes[1].kind = NodeKind::conv2d; }) ==
        "graph: node 1 (conv2d): names layer 0, which is a grouped_conv2d");
  CHECK(grouped([](N& n) {
          n.input_shape = {4, 4, 2};
        }).find("x is [4, 4, 2]") != std::string::npos);
  CHECK(grouped([](N& n) { n.planes[1].pop_back(); }) ==
        "layer 0 (conv0): plane 1 has 26 bytes, expected 27");
}

TEST_CASE("encoders") {
  using N = PackedNetwork;
  CHECK(error_after([](N& n) { n.encoders[0].bits = 0; }) ==
        "encoder 0: has 0 bits, expected 1 to 8");
  CHECK(error_after([](N& n) { n.encoders[0].thresholds.push_back(9.0F); }) ==
        "encoder 0: has 4 thresholds, too many for 2 bits");
  CHECK(error_after([](N& n) { n.encoders[0].thresholds[1] = std::nanf(""); }) ==
        "encoder 0: threshold 1 is not a number");
  CHECK(error_after([](N& n) { n.encoders[0].thresholds[2] = 0.0F; }) ==
        "encoder 0: threshold 2 is below threshold 1");
  CHECK(error_after([](N& n) { n.encoders[0].thresholds[1] += 0.01F; }) ==
        "encoder 0: its uniform form differs from its thresholds");
}

TEST_CASE("plans") {
  using N = PackedNetwork;
  const float infinity = std::numeric_limits<float>::infinity();
  CHECK(error_after([](N& n) { n.plans.clear(); }) == "the network has no plan");
  CHECK(error_after([](N& n) { n.plans[1].requested = n.plans[0].requested; }) ==
        "plan 1 (w3a2): appears twice");
  CHECK(error_after([](N& n) { n.plans[1].layers.pop_back(); }) ==
        "plan 1 (w2a2): has 1 precisions and 1 layer states, the network has 2 layers");
  CHECK(error_after([](N& n) {
          n.plans[0].requested = *PrecisionPlan::per_layer({{2, 2}, {2, 2}, {2, 2}});
        }) ==
        "plan 0 (w2a2,w2a2,w2a2): has 3 precisions and 2 layer states, the network has 2 layers");
  CHECK(error_after([](N& n) {
          n.plans[0].layers[0].executed = {32, 2};
        }) == "plan 0 (w3a2): layer 0 (conv0): runs at w32a2, expected 1 to 8 bits");
  CHECK(error_after([](N& n) {
          n.plans[0].layers[0].executed = {4, 2};
        }) == "plan 0 (w3a2): layer 0 (conv0): runs at w4a2, no packed weights serve 4 bits");
  for (const std::int32_t pack : {1, 65'535, -1}) {
    CHECK(error_after([&](N& n) { n.plans[0].layers[0].pack = pack; }) ==
          concat("plan 0 (w3a2): layer 0 (conv0): runs at w3a2, no packed weights serve 3 bits as "
                 "number ",
                 pack, ", there are 1"));
  }
  CHECK(error_after([](N& n) { n.plans[0].layers[0].encoder = 1; }) ==
        "plan 0 (w3a2): layer 0 (conv0): names encoder 1, there are 1");
  CHECK(error_after([](N& n) {
          n.plans[0].layers[1].executed = {3, 3};
        }) == "plan 0 (w3a2): layer 1 (linear1): runs at w3a3, its encoder has 2 bits");
  CHECK(error_after([](N& n) { n.plans[0].layers[1].bias.pop_back(); }) ==
        "plan 0 (w3a2): layer 1 (linear1): has 2 multipliers and 1 biases for 2 channels");
  CHECK(error_after([&](N& n) { n.plans[0].layers[1].bias[0] = infinity; }) ==
        "plan 0 (w3a2): layer 1 (linear1): has a multiplier or bias that is not finite");
  CHECK(error_after([](N& n) { n.plans[0].layers[0].weight_levels.offset = 70'000; }) ==
        "plan 0 (w3a2): layer 0 (conv0): sums of 18 products of levels up to 70014 and 3 leave "
        "the range of 32-bit integers");
  const auto edge = [](std::int32_t offset) {
    return error_after([offset](N& n) {
      // 3 inputs, activation levels up to 2^15, weight levels up to offset: 3 * 2^15 * offset.
      n.plans[0].layers[1].activation_levels = {1.0F, 0, 32'768};
      n.plans[0].layers[1].weight_levels = {1.0F, 0, offset};
    });
  };
  CHECK(edge(21'845) == "");  // 2^31 - 2^15
  CHECK(edge(21'846) != "");  // 2^31 + 2^16
}

TEST_CASE("a nested pack serves narrower widths, any other only its own") {
  CHECK(WeightPack{.bits = 8, .nested = true}.serves(1));
  CHECK(WeightPack{.bits = 8, .nested = true}.serves(8));
  CHECK_FALSE(WeightPack{.bits = 4, .nested = true}.serves(5));
  CHECK_FALSE(WeightPack{.bits = 4, .nested = true}.serves(0));
  CHECK(WeightPack{.bits = 4, .nested = false}.serves(4));
  CHECK_FALSE(WeightPack{.bits = 4, .nested = false}.serves(3));
}

TEST_CASE("packs that serve a width have numbers") {
  PackedLayer layer;
  layer.packs = {{.bits = 6}, {.bits = 8}, {.bits = 7, .nested = true}, {.bits = 8}};
  const WeightPack* const packs = layer.packs.data();
  CHECK(layer.pack_count(8) == 2);
  CHECK(layer.pack_count(1) == 1);
  CHECK(layer.pack_for(8) == packs + 1);
  CHECK(layer.pack_for(8, 1) == packs + 3);
  CHECK(layer.pack_for(8, 2) == nullptr);
  CHECK(layer.pack_for(8, -1) == nullptr);
  CHECK(layer.pack_for(6, 0) == packs);
  CHECK(layer.pack_for(6, 1) == packs + 2);
  CHECK(layer.pack_for(5, 0) == packs + 2);
}

}  // namespace
