// SPDX-License-Identifier: Apache-2.0
// The teacher chosen per batch, and blocks borrowed from it, against the highest switch as teacher.
#include "experiment.hpp"

namespace reproduce {
namespace {

void run(const Settings& settings, const Recorder& record) {
  compare(settings, record,
          {{.name = "fixed teacher",
            .teaching = bitdial::methods::coquant(1.0F, bitdial::Teacher::highest)},
           {.name = "chosen teacher, swapped blocks",
            .teaching = bitdial::methods::coquant(1.0F, bitdial::Teacher::best),
            .swaps_blocks = true}});
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
