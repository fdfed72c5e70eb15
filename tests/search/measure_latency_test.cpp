// SPDX-License-Identifier: Apache-2.0
// The table of a network: a row per layer and pair of widths, with times that a search can use.
#include <bitdial/search/measure_latency.hpp>

#include <string>

#include <doctest/doctest.h>
#include <bitdial/models/resnet_cifar.hpp>
#include <bitdial/nn/init.hpp>
#include <bitdial/quant/policies/gaussian.hpp>
#include <bitdial/quant/policies/hwgq.hpp>
#include <bitdial/quant/policies/power_of_two.hpp>
#include <bitdial/search/candidates.hpp>
#include <bitdial/search/composite_layer.hpp>
#include <bitdial/search/costs.hpp>
#include <support/tensors.hpp>

using namespace bitdial;

namespace {

const models::ResNetCifarOptions tiny{.depth = 8, .width = 4, .in_channels = 1, .classes = 3};
const MeasureLatencyOptions quick{
    .weights = {2, 1}, .activations = {4, 2}, .seconds = 0.05, .network = "tiny"};

template <class Bits, class Weights = GaussianWeights>
auto network() {
  auto net = models::resnet_cifar<Bits, Weights, HwgqActivations>(tiny);
  nn::initialize(*net, 1);
  return net;
}

}  // namespace

TEST_CASE("every layer has a time above 0 for every pair, pinned ones one time") {
  const auto net = network<BitList<4, 2, 1>>();
  const LatencyTable table = measure_latency(*net, {12, 12, 1}, quick);
  std::size_t row = 0;
  for (const auto& [name, layer] : nn::quantized_layers(*net)) {
    for (const int w : quick.weights) {
      for (const int a : quick.activations) {
        if (layer->is_pinned() && Precision{w, a} != Precision{2, 4}) continue;
        REQUIRE(row < table.rows.size());
        CHECK(table.rows[row].layer == name);
        CHECK(table.rows[row].precision ==
              (layer->is_pinned() ? Precision{8, 8} : Precision{w, a}));
        CHECK(table.rows[row].milliseconds > 0.0);
        ++row;
      }
    }
  }
  CHECK(row == table.rows.size());
  CHECK(table.network == "tiny");
  CHECK(table.threads == "1");
  CHECK_FALSE(table.kernels.empty());
  CHECK(LatencyTable::parse(table.text()).value() == table);
}

TEST_CASE("a search takes the table of the same network") {
  const auto measured = network<BitList<4, 2, 1>>();
  const LatencyTable table = measure_latency(*measured, {12, 12, 1}, quick);
  const auto searched = network<Candidates<BitList<2, 1>, BitList<4, 2>>>();
  const SearchCosts costs = latency_costs(*searched, table);
  CHECK(costs.layers().size() == nn::quantized_layers(*searched).size() - 2);
}

TEST_CASE("weights that are looked up are measured at every width") {
  const auto net = network<BitList<6, 5, 4>, PowerOfTwoWeights>();
  const LatencyTable table = measure_latency(
      *net, {12, 12, 1}, {.weights = {6, 5, 4}, .activations = {4}, .seconds = 0.05});
  CHECK(table.rows.size() == 3 * (nn::quantized_layers(*net).size() - 2) + 2);
}

TEST_CASE("nothing to measure is an error that says so") {
  const auto net = network<BitList<4, 2, 1>>();
  CHECK(test::error_text<ConfigError>([&] {
          static_cast<void>(measure_latency(*net, {12, 12, 1}, {.weights = {}, .seconds = 0.5}));
        }) ==
        "measure_latency: 0 widths of weights, 3 of activations and 0.5 seconds; expected at least "
        "one width of each and a time above 0");
  CHECK_THROWS_AS(
      static_cast<void>(measure_latency(*net, {12, 12, 1}, {.weights = {3}, .seconds = 0.01})),
      PrecisionError);
}
