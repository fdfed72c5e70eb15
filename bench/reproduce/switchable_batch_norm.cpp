// SPDX-License-Identifier: Apache-2.0
// Batch normalisation private to each switch, or one for all of them.
#include "experiment.hpp"

namespace reproduce {
namespace {

void run(const Settings& settings, const Recorder& record) {
  compare(settings, record,
          {{.name = "one per switch", .teaching = bitdial::methods::sp_nets()},
           {.name = "one for all",
            .build = [](const Settings& s) { return resnet20(s, Quantization::shared_state); },
            .teaching = bitdial::methods::sp_nets()}});
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
