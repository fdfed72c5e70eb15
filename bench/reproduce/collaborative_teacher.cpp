// SPDX-License-Identifier: Apache-2.0
// The teacher chosen per batch, and blocks borrowed from it, against the highest switch as teacher.
#include "experiment.hpp"

namespace reproduce {
namespace {

void run(const Settings& settings, const Recorder& record) {
  const Images images = read_images(settings);
  const auto plans = joint_plans();
  for (const std::uint64_t seed : settings.seeds) {
    for (const bool collaborative : {false, true}) {
      const std::string arm = collaborative ? "chosen teacher, swapped blocks" : "fixed teacher";
      const auto network = resnet20(settings, plans, seed);
      auto options = recipe(settings, images, plans, seed);
      options.teaching = bitdial::methods::coquant(
          1.0F, collaborative ? bitdial::Teacher::best : bitdial::Teacher::highest);
      if (collaborative) {
        // Inferred: a ramp from 0.1 to 0; the paper's shape is not known.
        const std::int64_t steps = settings.epochs * (images.train.size() / settings.batch);
        options.block_swap.probability =
            bitdial::train::PiecewiseLinearSchedule({{0, 0.1F}, {steps, 0.0F}});
      }
      fit(*network, images, options, bitdial::concat(arm, ", seed ", seed));
      record_plans(record, arm, seed, *network, images, plans);
    }
  }
}

std::string finding(const std::vector<Row>& rows) {
  return "chosen teacher and swapped blocks minus fixed teacher: " +
         gains(rows, "chosen teacher, swapped blocks", "fixed teacher");
}

}  // namespace

Claim collaborative_teacher() {
  return {.name = "collaborative-teacher",
          .source = "CoQuant, 2103.01435",
          .text =
              "A teacher chosen per batch, with blocks swapped in from it, teaches better than "
              "the highest switch alone.",
          .run = run,
          .finding = finding};
}

}  // namespace reproduce
