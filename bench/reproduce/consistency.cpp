// SPDX-License-Identifier: Apache-2.0
// Low modes agree with the 32-bit mode, or every mode learns from the labels alone.
#include "experiment.hpp"

namespace reproduce {
namespace {

void run(const Settings& settings, const Recorder& record) {
  compare(settings, record,
          {{.name = "labels alone"},
           {.name = "consistency loss", .teaching = bitdial::methods::quantizable()}});
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
