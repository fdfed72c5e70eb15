// SPDX-License-Identifier: Apache-2.0
// One network for all precisions against one network for each, with the same recipe and epochs.
#include "experiment.hpp"

namespace reproduce {
namespace {

/// What sharing costs is seen between the arms that learn from labels; a network alone has no
/// teacher, so the taught one shows what joint training gives on top.
void run(const Settings& settings, const Recorder& record) {
  const Images images = read_images(settings);
  for (const std::uint64_t seed : settings.seeds) {
    run_arm(settings, images, {.name = "shared, labels"}, seed, record);
    run_arm(settings, images, {.name = "shared, taught", .teaching = bitdial::methods::sp_nets()},
            seed, record);
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
