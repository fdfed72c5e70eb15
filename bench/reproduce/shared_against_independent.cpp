// SPDX-License-Identifier: Apache-2.0
// One network for all precisions against one network for each, with the same recipe and epochs.
#include "experiment.hpp"

namespace reproduce {
namespace {

void run(const Settings& settings, const Recorder& record) {
  const Images images = read_images(settings);
  for (const std::uint64_t seed : settings.seeds) {
    const auto plans = joint_plans();
    const auto shared = resnet20(settings, plans, seed);
    auto options = recipe(settings, images, plans, seed);
    options.teaching = bitdial::methods::sp_nets();
    fit(*shared, images, options, bitdial::concat("shared, seed ", seed));
    record_plans(record, "shared", seed, *shared, images, plans);
    for (const auto& plan : plans) {
      const auto alone = resnet20(settings, {plan}, seed);
      fit(*alone, images, recipe(settings, images, {plan}, seed),
          bitdial::concat("independent ", plan, ", seed ", seed));
      record({.arm = "independent",
              .seed = seed,
              .precision = plan.text(),
              .top1 = test(*alone, images, plan)});
    }
  }
}

std::string finding(const std::vector<Row>& rows) {
  return "shared minus independent: " + gains(rows, "shared", "independent");
}

}  // namespace

Claim shared_against_independent() {
  return {.name = "shared-against-independent",
          .source = "SP-Nets, 2002.02815; Any-Precision, 1911.07346",
          .text = "One network for all precisions is about as accurate as a network for each.",
          .run = run,
          .finding = finding};
}

}  // namespace reproduce
