// SPDX-License-Identifier: Apache-2.0
// The highest switch teaches the others, or nobody does.
#include "experiment.hpp"

namespace reproduce {
namespace {

void run(const Settings& settings, const Recorder& record) {
  const Images images = read_images(settings);
  const auto plans = joint_plans();
  for (const std::uint64_t seed : settings.seeds) {
    for (const bool taught : {false, true}) {
      const std::string arm = taught ? "self-distillation" : "labels alone";
      const auto network = resnet20(settings, plans, seed);
      auto options = recipe(settings, images, plans, seed);
      if (taught) options.teaching = bitdial::methods::sp_nets();
      fit(*network, images, options, bitdial::concat(arm, ", seed ", seed));
      record_plans(record, arm, seed, *network, images, plans);
    }
  }
}

std::string finding(const std::vector<Row>& rows) {
  return "self-distillation minus labels alone: " +
         gains(rows, "self-distillation", "labels alone");
}

}  // namespace

Claim self_distillation() {
  return {.name = "self-distillation",
          .source = "SP-Nets, 2002.02815",
          .text = "Switches that learn from the highest switch are more accurate.",
          .run = run,
          .finding = finding};
}

}  // namespace reproduce
