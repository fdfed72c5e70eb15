// SPDX-License-Identifier: Apache-2.0
// One network for all precisions against one network for each, with the same recipe and epochs.
#include "experiment.hpp"

namespace reproduce {
namespace {

/// What sharing costs is seen between the arms that learn from labels; a network alone has no
/// teacher, so the taught one shows what joint training gives on top.
void run_shared(const std::string& arm, const bitdial::Teaching& teaching, const Settings& settings,
                const Images& images, std::uint64_t seed, const Recorder& record) {
  const auto plans = joint_plans();
  const auto shared = resnet20(settings, plans, seed);
  auto options = recipe(settings, images, plans, seed);
  options.teaching = teaching;
  fit(*shared, images, options, bitdial::concat(arm, ", seed ", seed));
  record_plans(record, arm, seed, *shared, images, plans);
}

void run(const Settings& settings, const Recorder& record) {
  const Images images = read_images(settings);
  for (const std::uint64_t seed : settings.seeds) {
    run_shared("shared, labels", bitdial::methods::adabits(), settings, images, seed, record);
    run_shared("shared, taught", bitdial::methods::sp_nets(), settings, images, seed, record);
    for (const auto& plan : joint_plans()) {
      const auto alone = resnet20(settings, {plan}, seed);
      fit(*alone, images, recipe(settings, images, {plan}, seed),
          bitdial::concat("independent ", plan, ", seed ", seed));
      record_plans(record, "independent", seed, *alone, images, {plan});
    }
  }
}

std::string finding(const std::vector<Row>& rows) {
  return "minus independent: shared, labels " + gains(rows, "shared, labels", "independent") +
         "; shared, taught " + gains(rows, "shared, taught", "independent");
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
