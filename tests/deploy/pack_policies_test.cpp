// SPDX-License-Identifier: Apache-2.0
// A packed network is the evaluated network: nested weights, one-bit layers, layers whose padding
// is not a code.
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/deploy/pack.hpp>
#include <bitdial/quant/policies/adabits.hpp>
#include <bitdial/quant/policies/sign.hpp>
#include <bitdial/quant/policies/tanh.hpp>
#include <support/packed_comparison.hpp>

using namespace bitdial;

namespace {

/// Packs every network of the zoo at `plans` and compares it in every way.
void check_policies(const test::LayerFactory& layers, const std::vector<PrecisionPlan>& plans) {
  auto networks = test::Zoo{layers}.networks();
  networks.push_back(test::Zoo{layers}.grouped());
  for (test::TestNetwork& entry : networks) {
    CAPTURE(entry.name);
    test::settle(entry.modules, entry.image, plans, 71);
    const test::ByteImages images(4, entry.image, 72);
    CHECK(test::lively_share(test::evaluate_plans(entry.modules, images, plans)) > 0.4);
    test::check_packed(entry.modules, entry.image, plans, images, test::all_ways());
  }
}

}  // namespace

TEST_CASE("AdaBits weights, both grids: one nested store serves every width") {
  using Bits = BitList<8, 5, 4, 3, 2, 1>;
  std::vector<PrecisionPlan> plans;
  for (const int bits : Bits::values) plans.emplace_back(Precision{bits, bits});
  plans.emplace_back(Precision{3, 8});
  plans.emplace_back(Precision{8, 2});
  for (const AdaBitsGrid grid : {AdaBitsGrid::modified, AdaBitsGrid::centred}) {
    const int number = static_cast<int>(grid);
    CAPTURE(number);
    check_policies(test::watched_layers<Bits, AdaBitsWeights>({.weights = {.grid = grid}}), plans);
  }

  nn::Sequential net = test::Zoo{test::watched_layers<Bits, AdaBitsWeights>()}.plain();
  nn::number_layers(net);
  add_plans(net, plans);
  const PackedNetwork packed = pack(net, {.plans = plans, .input_shape = {9, 7, 3}});
  CHECK(packed.planes.size() == 3 * 8);
  for (const PackedLayer& layer : packed.layers) {
    REQUIRE(layer.packs.size() == 1);
    CHECK(layer.packs[0].nested);
    CHECK(layer.packs[0].bits == 8);
  }
}

TEST_CASE("one bit, -1 and 1 on both sides: padding is neither") {
  check_policies(test::watched_layers<BitList<1>, SignWeights, SignActivations>(),
                 {Precision{1, 1}});
}

TEST_CASE("weights of every width with binary activations") {
  check_policies(test::watched_layers<BitList<8, 4, 3, 1>, DoReFaWeights, SignActivations>(),
                 {Precision{8, 1}, Precision{4, 1}, Precision{3, 1}, Precision{1, 1}});
}

TEST_CASE("binary weights with activations of every width") {
  check_policies(test::watched_layers<BitList<8, 4, 3, 1>, SignWeights, DoReFaActivations>(),
                 {Precision{1, 8}, Precision{1, 4}, Precision{1, 3}, Precision{1, 1}});
}

TEST_CASE("AdaBits weights with binary activations") {
  check_policies(test::watched_layers<BitList<8, 3, 1>, AdaBitsWeights, SignActivations>(),
                 {Precision{8, 1}, Precision{3, 1}, Precision{1, 1}});
}

TEST_CASE("two-sided tanh activations: their running range is frozen in the file") {
  check_policies(test::watched_layers<BitList<8, 4, 3, 1>, DoReFaWeights, TanhActivations>(),
                 {Precision{8, 8}, Precision{4, 4}, Precision{8, 3}, Precision{3, 1}});
}

TEST_CASE("batch normalisation behind the ReLU, and nowhere") {
  using Bits = BitList<8, 4, 1>;
  const std::vector<PrecisionPlan> plans{Precision{8, 8}, Precision{4, 1}, Precision{1, 4}};
  check_policies(test::watched_layers<Bits, DoReFaWeights, TanhActivations>(
                     {.batch_norm_place = nn::BatchNormPlace::after_relu}),
                 plans);
  check_policies(test::watched_layers<Bits, DoReFaWeights, TanhActivations>(
                     {.batch_norm_place = nn::BatchNormPlace::none}),
                 plans);
}
