// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/switchable/plan_sampling.hpp>
#include <support/tensors.hpp>

using namespace bitdial;

namespace {

const std::vector<PrecisionPlan> plans{Precision{8, 8}, Precision{4, 4}, Precision{2, 2}};

BitMixerPlans three_stages() {
  return {.plans = plans, .layers = 12, .switches_from = 10, .mixtures_from = 20, .mixtures = 2};
}

}  // namespace

TEST_CASE("the highest plan, then all, then mixtures as well") {
  const BitMixerPlans sampler = three_stages();
  for (const std::int64_t step : {0, 9}) {
    CHECK(sampler(step) == std::vector<PrecisionPlan>{plans[0]});
  }
  for (const std::int64_t step : {10, 19}) CHECK(sampler(step) == plans);
  for (const std::int64_t step : {20, 1000}) {
    const std::vector<PrecisionPlan> running = sampler(step);
    REQUIRE(running.size() == 5);
    CHECK(std::vector<PrecisionPlan>(running.begin(), running.begin() + 3) == plans);
    CHECK(running[3].size() == 12);
    CHECK(running[3] != running[4]);
  }
}

TEST_CASE("mixtures are a function of seed and step") {
  BitMixerPlans sampler = three_stages();
  CHECK(sampler(20) == sampler(20));
  CHECK(sampler(20) != sampler(21));
  const std::vector<PrecisionPlan> before = sampler(20);
  sampler.seed = 2;
  CHECK(sampler(20) != before);
}

TEST_CASE("the last stage without the switches keeps the highest as a teacher") {
  BitMixerPlans sampler = three_stages();
  sampler.keep_switches = false;
  const std::vector<PrecisionPlan> running = sampler(20);
  CHECK(running.size() == 3);
  CHECK(running[0] == plans[0]);
  // A run may begin with mixtures.
  sampler.switches_from = sampler.mixtures_from = 0;
  CHECK(sampler(0).size() == 3);
  sampler.plans.clear();
  CHECK(test::error_text<ConfigError>([&] { static_cast<void>(sampler(0)); }) ==
        "BitMixerPlans: expected at least one plan, got none");
}
