// SPDX-License-Identifier: Apache-2.0
// The teacher chosen per batch, and blocks borrowed from it, against the highest switch as teacher.
#include "experiment.hpp"

namespace reproduce {
namespace {

void run(const Settings& settings, const Recorder& record) {
  compare(settings, record,
          {{.name = "fixed teacher",
            .configure =
                [](bitdial::train::TrainerOptions& options, std::int64_t) {
                  options.teaching = bitdial::methods::coquant(1.0F, bitdial::Teacher::highest);
                }},
           {.name = "chosen teacher, swapped blocks",
            .configure = [](bitdial::train::TrainerOptions& options, std::int64_t steps) {
              options.teaching = bitdial::methods::coquant(1.0F, bitdial::Teacher::best);
              // Inferred: a ramp from 0.1 to 0; the paper's shape is not known.
              options.block_swap.probability =
                  bitdial::train::PiecewiseLinearSchedule({{0, 0.1F}, {steps, 0.0F}});
            }}});
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
