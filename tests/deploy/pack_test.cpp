// SPDX-License-Identifier: Apache-2.0
// A packed network is the evaluated network: DoReFa policies at every pair of widths. Other
// policies are in pack_policies_test.cpp.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/data/loader.hpp>
#include <bitdial/deploy/pack.hpp>
#include <support/packed_comparison.hpp>

using namespace bitdial;

namespace {

using AllWidths = BitList<8, 7, 6, 5, 4, 3, 2, 1>;

const test::LayerFactory layers = test::watched_layers<AllWidths>();
const test::Zoo zoo{layers};

std::vector<PrecisionPlan> uniform_plans() {
  std::vector<PrecisionPlan> plans;
  for (int w = 1; w <= 8; ++w) {
    for (int a = 1; a <= 8; ++a) plans.emplace_back(Precision{w, a});
  }
  return plans;
}

/// Plans with a precision of its own for each of `count` layers.
std::vector<PrecisionPlan> mixed_plans(std::size_t count, std::uint64_t seed) {
  Random random(seed, 5);
  const auto width = [&] { return 1 + static_cast<int>(random.below(8)); };
  std::vector<PrecisionPlan> plans;
  for (int i = 0; i < 6; ++i) {
    std::vector<Precision> precisions;
    for (std::size_t layer = 0; layer < count; ++layer) {
      precisions.push_back({.w = width(), .a = width()});
    }
    plans.push_back(*PrecisionPlan::per_layer(std::move(precisions)));
  }
  return plans;
}

void check_all_widths(test::TestNetwork entry, std::uint64_t seed) {
  const std::vector<PrecisionPlan> plans{Precision{8, 8}, Precision{4, 4}, Precision{2, 3},
                                         Precision{1, 8}, Precision{8, 1}, Precision{1, 1}};
  test::settle(entry.modules, entry.image, plans, seed);
  const test::ByteImages images(5, entry.image, seed + 1);
  CHECK(test::lively_share(test::evaluate_plans(entry.modules, images, plans)) > 0.9);
  test::check_packed(entry.modules, entry.image, plans, images, test::all_ways());
}

}  // namespace

TEST_CASE("every network, every pair of widths, every kernel table: the same bits") {
  const std::vector<PrecisionPlan> plans = uniform_plans();
  auto networks = zoo.networks();
  for (test::TestNetwork& entry : networks) {
    CAPTURE(entry.name);
    const Shape& image = entry.image;
    nn::Sequential& network = entry.modules;
    test::settle(network, image, plans, 11);
    const test::ByteImages images(5, image, 12);
    CHECK(test::lively_share(test::evaluate_plans(network, images, plans)) > 0.9);
    test::check_packed(network, image, plans, images, test::all_ways());
  }
}

TEST_CASE("depthwise layers and groups") {
  check_all_widths(zoo.grouped(), 13);
}

TEST_CASE("dilated windows") {
  check_all_widths(zoo.dilated(), 18);
}

TEST_CASE("branches, rectangular kernels and pools beside convolutions") {
  std::vector<PrecisionPlan> plans{Precision{8, 8}, Precision{4, 4}, Precision{2, 3},
                                   Precision{1, 8}, Precision{8, 1}, Precision{1, 1}};
  test::TestNetwork entry = zoo.inception();
  for (const PrecisionPlan& plan : mixed_plans(nn::quantized_layers(entry.modules).size(), 15)) {
    plans.push_back(plan);
  }
  test::settle(entry.modules, entry.image, plans, 16);
  const test::ByteImages images(5, entry.image, 17);
  CHECK(test::lively_share(test::evaluate_plans(entry.modules, images, plans)) > 0.9);
  test::check_packed(entry.modules, entry.image, plans, images, test::all_ways());
}

TEST_CASE("plans with a precision per layer") {
  auto networks = zoo.networks();
  for (test::TestNetwork& entry : networks) {
    CAPTURE(entry.name);
    const Shape& image = entry.image;
    nn::Sequential& network = entry.modules;
    const std::vector<PrecisionPlan> plans = mixed_plans(nn::quantized_layers(network).size(), 21);
    test::settle(network, image, plans, 22);
    test::check_packed(network, image, plans, test::ByteImages(4, image, 23), test::all_ways());
  }
}

TEST_CASE("pinned layers run at their own precision under every plan") {
  const test::LayerFactory pinned =
      test::watched_layers<AllWidths>({.pinned = Precision{.w = 8, .a = 8}});
  nn::Sequential net;
  pinned.conv(net, "stem", {.in = 3, .out = 6, .kernel = 3, .padding = 1});
  net.add<nn::Relu>("relu");
  layers.conv(net, "middle", {.in = 6, .out = 5, .kernel = 3, .padding = 1});
  net.add<nn::GlobalAveragePool>("mean");
  pinned.head(net, "head", {.in = 5, .out = 3});
  nn::number_layers(net);
  const std::vector<PrecisionPlan> plans{Precision{8, 8}, Precision{2, 3}, Precision{1, 1}};
  test::settle(net, {7, 6, 3}, plans, 31);
  test::check_packed(net, {7, 6, 3}, plans, test::ByteImages(3, {7, 6, 3}, 32), test::all_ways());

  const PackedNetwork packed = pack(net, {.plans = plans, .input_shape = {7, 6, 3}});
  CHECK(packed.plans[2].layers[0].executed == Precision{8, 8});
  CHECK(packed.plans[2].layers[1].executed == Precision{1, 1});
  CHECK(packed.layers[0].packs.size() == 1);
  CHECK(packed.layers[1].packs.size() == 3);
}

TEST_CASE("the largest sums, beyond 2^24, round once") {
  // All weights at the ends of their range, all pixels at 255: |I| up to 27 * 27 * 255 * 255.
  nn::Sequential net;
  layers.conv(net, "a", {.in = 27, .out = 4, .kernel = 5, .padding = 2});
  net.add<nn::GlobalAveragePool>("mean");
  nn::number_layers(net);
  const Shape image{6, 6, 27};
  const std::vector<PrecisionPlan> plans{Precision{8, 8}, Precision{1, 8}, Precision{8, 1}};
  test::settle(net, image, plans, 41);
  Tensor<float>& weight = nn::parameters(net)[0].second->value;
  for (std::int64_t i = 0; i < weight.size(); ++i) {
    weight[i] = i < weight.size() / 2 || i % 11 != 0 ? 1.0F : -1.0F;
  }
  test::ByteImages images(2, image, 42);
  for (std::size_t i = 0; i < images.bytes.size() / 2; ++i) {
    images.bytes[i] = i % 37 == 0 ? 254 : 255;
    images.values[static_cast<std::int64_t>(i)] = unit_value(images.bytes[i]);
  }
  test::check_packed(net, image, plans, images, test::all_ways());
}

TEST_CASE("enough work to wake several threads") {
  nn::Sequential body;
  layers.conv(body, "b", {.in = 24, .out = 24, .kernel = 3, .padding = 1});
  nn::Sequential net;
  layers.conv(net, "a", {.in = 5, .out = 24, .kernel = 3, .padding = 1});
  net.add<nn::Residual>("block", std::move(body));
  net.add<nn::Relu>("relu");
  net.add<nn::MaxPool2d>("pool", ops::Window::square(2, {.stride = 2}));
  layers.conv(net, "c", {.in = 24, .out = 10, .kernel = 1});
  nn::number_layers(net);
  const Shape image{26, 22, 5};
  const std::vector<PrecisionPlan> plans{Precision{8, 8}, Precision{3, 5}, Precision{1, 1}};
  test::settle(net, image, plans, 43);
  test::check_packed(net, image, plans, test::ByteImages(3, image, 44), test::all_ways());
}

TEST_CASE("a layer whose weights are all zero, a channel without scale") {
  nn::Sequential net = zoo.plain();
  nn::number_layers(net);
  const std::vector<PrecisionPlan> plans{Precision{8, 8}, Precision{2, 2}, Precision{1, 1}};
  test::settle(net, {9, 7, 3}, plans, 45);
  for (const auto& [name, parameter] : nn::parameters(net)) {
    if (name == "b.weight") parameter->value.fill(0.0F);
    if (name.starts_with("a.bn") && name.ends_with("gamma")) parameter->value[1] = 0.0F;
  }
  test::check_packed(net, {9, 7, 3}, plans, test::ByteImages(3, {9, 7, 3}, 46), test::all_ways());
}

TEST_CASE("exact evaluation is fake-quantization with folded statistics, to f32 accuracy") {
  // At 8 bits the training graph differs from evaluation by the order of rounding only, as long as
  // no activation lies so near a threshold that it takes the other code: a single layer has none.
  auto networks = zoo.networks();
  for (test::TestNetwork& entry : networks) {
    CAPTURE(entry.name);
    const Shape& image = entry.image;
    nn::Sequential& network = entry.modules;
    const std::vector<PrecisionPlan> plans{Precision{8, 8}};
    test::settle(network, image, plans, 51);
    const test::ByteImages images(4, image, 52);
    const auto exact = test::evaluate_plans(network, images, plans);

    // The same network with the running statistics set to those of this very batch.
    nn::Sequential* const net = &network;
    Tape tape;
    for (int pass = 0; pass < 40; ++pass) {
      static_cast<void>(
          net->forward(tape.borrow(images.values), {.plan = plans[0], .mode = nn::Mode::training}));
    }
    const Var training =
        net->forward(tape.borrow(images.values), {.plan = plans[0], .mode = nn::Mode::training});
    const auto evaluated = test::evaluate_plans(network, images, plans);
    const Tensor<float>& outputs = evaluated[0].outputs;
    double largest = 0.0;
    double difference = 0.0;
    for (std::int64_t i = 0; i < outputs.size(); ++i) {
      largest = std::max(largest, std::abs(static_cast<double>(outputs[i])));
      difference = std::max(difference, std::abs(static_cast<double>(outputs[i]) -
                                                 static_cast<double>(training.value()[i])));
    }
    CAPTURE(largest);
    CHECK(difference < 0.05 * largest);
  }
}

TEST_CASE("what does not pack is refused with a reason") {
  const auto network = [] {
    nn::Sequential net;
    layers.conv(net, "a", {.in = 2, .out = 3, .kernel = 1});
    layers.conv(net, "b", {.in = 3, .out = 3, .kernel = 1});
    return net;
  };
  const Shape image{4, 4, 2};
  nn::Sequential net = network();
  const std::vector<PrecisionPlan> plans{Precision{8, 8}, Precision{32, 32}};
  nn::number_layers(net);
  add_plans(net, plans);
  const auto text = [&](nn::Module& module, const std::vector<PrecisionPlan>& chosen) {
    return test::error_text<Error>(
        [&] { static_cast<void>(pack(module, {.plans = chosen, .input_shape = image})); });
  };
  CHECK(text(net, {}) == "pack: expected at least one plan, got none");
  CHECK(text(net, {Precision{8, 8}, Precision{8, 8}}) ==
        "pack: every plan must be given once, w8a8 is there twice");
  CHECK(test::contains(text(net, {Precision{4, 4}}),
                       "switchable layer 0 (a): no private state for w4a4; it has w8a8"));
  CHECK(test::contains(text(net, {Precision{32, 32}}), "no integer form"));
  const Precision p{8, 8};
  CHECK(text(net, {*PrecisionPlan::per_layer({p, p, p})}) ==
        "pack: plan w8a8,w8a8,w8a8 has 3 entries, the network has 2 quantized layers");

  nn::Sequential unnumbered = network();
  CHECK(test::contains(text(unnumbered, {Precision{8, 8}}), "call nn::number_layers"));
  nn::Sequential real;
  real.add<nn::Linear>("a", nn::LinearOptions{.in = 2, .out = 3});
  CHECK(test::contains(text(real, {Precision{8, 8}}), "does not pack"));
}

TEST_CASE("equal networks give equal bytes, and every plan adds only its own state") {
  const auto bytes_at = [](const std::vector<PrecisionPlan>& plans) {
    nn::Sequential net = zoo.residual();
    nn::number_layers(net);
    test::settle(net, {9, 7, 3}, {Precision{8, 8}, Precision{2, 8}}, 61);
    return *model_bytes(pack(net, {.plans = plans, .input_shape = {9, 7, 3}}));
  };
  CHECK(bytes_at({Precision{8, 8}}) == bytes_at({Precision{8, 8}}));
  CHECK(bytes_at({Precision{8, 8}}).size() < bytes_at({Precision{8, 8}, Precision{2, 8}}).size());
}
