// SPDX-License-Identifier: Apache-2.0
// The names of docs/policies.md are policies, their learned numbers have the names of the page.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "policy_laws.hpp"

using namespace bitdial;

namespace {

template <class... P>
constexpr bool are_policies = (QuantizationPolicy<P> && ...);
template <TensorRole Role, class... P>
constexpr bool are_for = ((P::role == Role) && ...);

template <class P>
std::vector<std::string> learned_names() {
  std::vector<std::string> names;
  for (const auto& parameter : P::parameters) names.emplace_back(parameter.name);
  return names;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("weights and activations") {
  static_assert(
      are_policies<DoReFaWeights, ScaledDoReFaWeights, AdaBitsWeights, ScaleAdjusted<>, SignWeights,
                   LogWeights, GaussianWeights, SawbWeights, TernaryWeights, TrainedTernaryWeights,
                   XnorWeights, BiRealWeights, PowerOfTwoWeights, DoubleRoundingWeights, LsqWeights,
                   LsqPlusWeights, LqNetsWeights, QilWeights>);
  static_assert(are_policies<DoReFaActivations, TanhActivations, TwoSidedActivations,
                             LogActivations, SignActivations, BiRealActivations, PactActivations,
                             CgPactActivations, HwgqActivations, LsqActivations, LsqPlusActivations,
                             LqNetsActivations, QilActivations>);
  static_assert(are_for<TensorRole::weights, LsqPlusWeights, LqNetsWeights, QilWeights>);
  static_assert(
      are_for<TensorRole::activations, LsqPlusActivations, LqNetsActivations, QilActivations>);
}

TEST_CASE("learned numbers") {
  CHECK(learned_names<PactActivations>() == Names{"alpha"});
  CHECK(learned_names<CgPactActivations>() == Names{"alpha"});
  CHECK(learned_names<LsqWeights>() == Names{"step"});
  CHECK(learned_names<LsqActivations>() == Names{"step"});
  CHECK(learned_names<LsqPlusWeights>() == Names{"step"});
  CHECK(learned_names<LsqPlusActivations>() == Names{"step", "beta"});
  CHECK(learned_names<DoubleRoundingWeights>() == Names{"step"});
  CHECK(learned_names<TrainedTernaryWeights>() == Names{"positive", "negative"});
  CHECK(learned_names<LqNetsWeights>() == Names{"basis"});
  CHECK(learned_names<LqNetsActivations>() == Names{"basis"});
  CHECK(learned_names<QilWeights>() == Names{"centre", "distance", "gamma"});
  CHECK(learned_names<QilActivations>() == Names{"centre", "distance"});
}

TEST_CASE("which run on integer kernels with their own codes") {
  static_assert(!AffinePolicy<LsqPlusActivations>);
  static_assert(!AffinePolicy<LqNetsWeights>);
  static_assert(!AffinePolicy<LqNetsActivations>);
  static_assert(!AffinePolicy<LogWeights>);
  static_assert(!AffinePolicy<LogActivations>);
  static_assert(!AffinePolicy<PowerOfTwoWeights>);
  static_assert(!AffinePolicy<TrainedTernaryWeights>);
  static_assert(AffinePolicy<QilWeights> && AffinePolicy<QilActivations>);
  static_assert(AffinePolicy<LsqPlusWeights> && AffinePolicy<ScaleAdjusted<>>);
  static_assert(AffinePolicy<BiRealWeights> && AffinePolicy<XnorWeights>);
}
