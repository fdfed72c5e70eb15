// SPDX-License-Identifier: Apache-2.0
// The highest switch teaches the others, or nobody does.
#include "experiment.hpp"

namespace reproduce {
namespace {

void run(const Settings& settings, const Recorder& record) {
  compare(settings, record,
          {{.name = "labels alone"},
           {.name = "self-distillation", .teaching = bitdial::methods::sp_nets()}});
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
