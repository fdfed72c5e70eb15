// SPDX-License-Identifier: Apache-2.0
// A packed network is the evaluated network: learned clipping levels and steps, values that are
// looked up.
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/deploy/pack.hpp>
#include <bitdial/quant/policies/bi_real.hpp>
#include <bitdial/quant/policies/cg_pact.hpp>
#include <bitdial/quant/policies/double_rounding.hpp>
#include <bitdial/quant/policies/gaussian.hpp>
#include <bitdial/quant/policies/hwgq.hpp>
#include <bitdial/quant/policies/logarithmic.hpp>
#include <bitdial/quant/policies/lq_nets.hpp>
#include <bitdial/quant/policies/lsq.hpp>
#include <bitdial/quant/policies/lsq_plus.hpp>
#include <bitdial/quant/policies/pact.hpp>
#include <bitdial/quant/policies/power_of_two.hpp>
#include <bitdial/quant/policies/qil.hpp>
#include <bitdial/quant/policies/sawb.hpp>
#include <bitdial/quant/policies/scale_adjusted.hpp>
#include <bitdial/quant/policies/scaled_dorefa.hpp>
#include <bitdial/quant/policies/sign.hpp>
#include <bitdial/quant/policies/ttq.hpp>
#include <bitdial/quant/policies/twn.hpp>
#include <bitdial/quant/policies/xnor.hpp>
#include <support/packed_comparison.hpp>

using namespace bitdial;

namespace {

/// Settles a network at `plans`, packs it and compares it in every way.
void check_network(test::TestNetwork& entry, const std::vector<PrecisionPlan>& plans) {
  CAPTURE(entry.name);
  test::settle(entry.modules, entry.image, plans, 71);
  const test::ByteImages images(3, entry.image, 72);
  CHECK(test::lively_share(test::evaluate_plans(entry.modules, images, plans)) > 0.4);
  test::check_packed(entry.modules, entry.image, plans, images, test::all_ways());
}

/// Packs a network of the zoo at `plans` and compares it in every way.
template <class Bits, class Weights, class Activations>
void check_policies(const std::vector<PrecisionPlan>& plans,
                    const SwitchableOptions<Weights, Activations>& options = {}) {
  CAPTURE(Weights::name);
  CAPTURE(Activations::name);
  const test::LayerFactory layers = test::watched_layers<Bits, Weights, Activations>(options);
  auto networks = test::Zoo{layers}.networks();
  check_network(networks[plans.size() % 2 == 0 ? 3 : 0], plans);
}

/// Packs two networks, one of them of groups and depthwise layers, at uniform plans of `Bits`.
template <class Weights, int... Bits>
void check_shared_widths(BitList<Bits...> bits) {
  const std::vector<PrecisionPlan> plans{Precision{Bits, Bits}...};
  check_policies<BitList<Bits...>, Weights, PactActivations>(plans);
  test::TestNetwork grouped =
      test::Zoo{test::watched_layers<decltype(bits), Weights, PactActivations>()}.grouped();
  check_network(grouped, plans);
}

}  // namespace

TEST_CASE("learned clipping levels and steps") {
  const std::vector<PrecisionPlan> plans{Precision{8, 8}, Precision{4, 3}, Precision{2, 2}};
  using Bits = BitList<8, 4, 3, 2>;
  check_policies<Bits, LsqWeights, LsqActivations>(plans);
  check_policies<Bits, LsqWeights, LsqActivations>(
      plans, {.activations = {.signs = GridSigns::signed_values}});
  check_policies<Bits, LsqWeights, PactActivations>(plans);
  check_policies<Bits, LsqWeights, CgPactActivations>(plans);
}

TEST_CASE("learned offsets, intervals and bases") {
  const std::vector<PrecisionPlan> plans{Precision{4, 8}, Precision{3, 3}, Precision{2, 2}};
  using Bits = BitList<8, 4, 3, 2>;
  check_policies<Bits, LsqPlusWeights, LsqPlusActivations>(plans);
  check_policies<Bits, LsqPlusWeights, LsqPlusActivations>(
      plans, {.activations = {.signs = GridSigns::signed_values}});
  check_policies<Bits, QilWeights, QilActivations>(plans);
  check_policies<Bits, LqNetsWeights, LqNetsActivations>(plans);
  check_policies<BitList<2, 1>, LqNetsWeights, LqNetsActivations>(
      {Precision{2, 2}, Precision{1, 1}});
}

TEST_CASE("scales that are measured on the weights") {
  const std::vector<PrecisionPlan> plans{Precision{8, 4}, Precision{3, 3}, Precision{1, 2}};
  using Bits = BitList<8, 4, 3, 2, 1>;
  check_policies<Bits, GaussianWeights, HwgqActivations>(plans);
  check_policies<Bits, SawbWeights, PactActivations>(plans);
  check_policies<Bits, ScaledDoReFaWeights, HwgqActivations>(
      plans, {.activations = {.rule = HwgqRule::positive_step}});
}

TEST_CASE("scale-adjusted weights, with and without the factor in evaluation; two-sided clipping") {
  const std::vector<PrecisionPlan> plans{Precision{8, 8}, Precision{4, 4}, Precision{2, 2}};
  using Bits = BitList<8, 4, 2>;
  CgPactActivations two_sided;
  two_sided.sides = ClipSides::two;
  for (const ScaleUse use : {ScaleUse::always, ScaleUse::training}) {
    check_policies<Bits, ScaleAdjusted<AdaBitsWeights>, CgPactActivations>(
        plans, {.weights = {.use = use}, .activations = two_sided});
  }
  check_policies<Bits, AdaBitsWeights, PactActivations>(plans, {.learned = LearnedSharing::all});
}

TEST_CASE("one-bit weights from 8-bit to one-bit activations") {
  check_policies<BitList<8, 4, 2, 1>, SignWeights, DoReFaActivations>(
      {Precision{1, 8}, Precision{1, 4}, Precision{1, 2}, Precision{1, 1}},
      {.weights = {.magnitude = 0.5F}, .activations = {.one_bit = OneBitActivations::sign}});
  check_policies<BitList<1>, BiRealWeights, BiRealActivations>({Precision{1, 1}});
}

TEST_CASE("logarithmic values are looked up") {
  const std::vector<PrecisionPlan> plans{Precision{4, 8}, Precision{3, 4}, Precision{2, 2},
                                         Precision{1, 1}};
  using Bits = BitList<8, 4, 3, 2, 1>;
  check_policies<Bits, LogWeights, LogActivations>(plans);
  check_policies<Bits, LogWeights, LogActivations>(plans, {.activations = {.one_sided = false}});
}

TEST_CASE("one scale per filter, three values, powers of two") {
  check_policies<BitList<1>, XnorWeights, BiRealActivations>({Precision{1, 1}});
  check_policies<BitList<2>, TernaryWeights, HwgqActivations>({Precision{2, 2}});
  check_policies<BitList<3, 2>, TrainedTernaryWeights, HwgqActivations>(
      {Precision{2, 3}}, {.activations = {.rule = HwgqRule::positive_step}});
  check_policies<BitList<4, 3>, PowerOfTwoWeights, PactActivations>({Precision{3, 4}});
  check_policies<BitList<4, 3>, PaperPowerOfTwoWeights, PactActivations>({Precision{3, 4}});
  check_policies<BitList<4, 2>, DoubleRoundingWeights, LsqActivations>({Precision{2, 4}});
}

TEST_CASE("looked-up weights of several widths with codes of 8 bits share a file") {
  check_shared_widths<LogWeights>(BitList<8, 4>{});
  check_shared_widths<LogWeights>(BitList<8, 6, 5, 4, 3, 2, 1>{});
  check_shared_widths<LqNetsWeights>(BitList<8, 4>{});
  check_shared_widths<LqNetsWeights>(BitList<8, 5, 4, 2, 1>{});
  check_shared_widths<PowerOfTwoWeights>(BitList<6, 4>{});
  check_shared_widths<PowerOfTwoWeights>(BitList<6, 5, 4, 2, 1>{});
  check_shared_widths<PaperPowerOfTwoWeights>(BitList<6, 4>{});
  check_shared_widths<PaperPowerOfTwoWeights>(BitList<6, 5, 4, 2, 1>{});
}

TEST_CASE("plans say which of the packs with codes of 8 bits they read") {
  using Bits = BitList<8, 6, 4, 2>;
  nn::Sequential net = test::Zoo{test::watched_layers<Bits, LogWeights, LogActivations>()}.plain();
  nn::number_layers(net);
  const std::vector<PrecisionPlan> plans{Precision{8, 8}, Precision{2, 4}, Precision{4, 4},
                                         Precision{6, 4}, Precision{4, 8}};
  test::settle(net, {9, 7, 3}, plans, 73);
  const PackedNetwork packed = pack(net, {.plans = plans, .input_shape = {9, 7, 3}});
  for (std::size_t i = 0; i < packed.layers.size(); ++i) {
    std::vector<int> bits;
    for (const WeightPack& pack : packed.layers[i].packs) bits.push_back(pack.bits);
    CHECK(bits == std::vector<int>{6, 8, 8, 8});
    const std::vector<std::int32_t> expected{2, 0, 0, 1, 0};
    for (std::size_t p = 0; p < plans.size(); ++p) {
      CHECK(packed.plans[p].layers[i].executed.w == (p == 1 ? 6 : 8));
      CHECK(packed.plans[p].layers[i].pack == expected[p]);
    }
  }
  CHECK(detail::minor_version_of(packed) == 4);
  const std::vector<PrecisionPlan> two{Precision{8, 8}, Precision{2, 4}};
  CHECK(detail::minor_version_of(pack(net, {.plans = two, .input_shape = {9, 7, 3}})) == 0);
}
