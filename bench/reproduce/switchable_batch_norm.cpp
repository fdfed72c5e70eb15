// SPDX-License-Identifier: Apache-2.0
// Batch normalisation private to each switch, or one for all of them.
#include "experiment.hpp"

namespace reproduce {
namespace {

void run(const Settings& settings, const Recorder& record) {
  const Images images = read_images(settings);
  const auto plans = joint_plans();
  for (const std::uint64_t seed : settings.seeds) {
    for (const Quantization quantization :
         {Quantization::dorefa, Quantization::dorefa_shared_state}) {
      const std::string arm =
          quantization == Quantization::dorefa ? "one per switch" : "one for all";
      const auto network = resnet20(settings, plans, seed, quantization);
      auto options = recipe(settings, images, plans, seed);
      options.teaching = bitdial::methods::sp_nets();
      fit(*network, images, options, bitdial::concat(arm, ", seed ", seed));
      record_plans(record, arm, seed, *network, images, plans);
    }
  }
}

std::string finding(const std::vector<Row>& rows) {
  return "one batch normalisation per switch minus one for all: " +
         gains(rows, "one per switch", "one for all");
}

}  // namespace

Claim switchable_batch_norm() {
  return {.name = "switchable-batch-norm",
          .source = "SP-Nets, 2002.02815",
          .text = "Switches need batch normalisation of their own; with one for all they collapse.",
          .run = run,
          .finding = finding};
}

}  // namespace reproduce
