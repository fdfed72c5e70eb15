// SPDX-License-Identifier: Apache-2.0
// Low modes agree with the 32-bit mode, or every mode learns from the labels alone.
#include "experiment.hpp"

namespace reproduce {
namespace {

void run(const Settings& settings, const Recorder& record) {
  const Images images = read_images(settings);
  const auto plans = joint_plans();
  for (const std::uint64_t seed : settings.seeds) {
    for (const bool consistent : {false, true}) {
      const std::string arm = consistent ? "consistency loss" : "labels alone";
      const auto network = resnet20(settings, plans, seed);
      auto options = recipe(settings, images, plans, seed);
      if (consistent) options.teaching = bitdial::methods::quantizable();
      fit(*network, images, options, bitdial::concat(arm, ", seed ", seed));
      record_plans(record, arm, seed, *network, images, plans);
    }
  }
}

std::string finding(const std::vector<Row>& rows) {
  return "consistency loss minus labels alone: " + gains(rows, "consistency loss", "labels alone");
}

}  // namespace

Claim consistency() {
  return {
      .name = "consistency",
      .source = "Quantizable DNNs, 2004.05284",
      .text = "A loss that makes low modes agree with the 32-bit mode makes them more accurate.",
      .run = run,
      .finding = finding};
}

}  // namespace reproduce
