// SPDX-License-Identifier: Apache-2.0
// Weights on a floor grid, whose 8-bit store holds every width, against a pack of codes per width.
#include <algorithm>
#include <bitdial/train/format.hpp>

#include "experiment.hpp"

namespace reproduce {
namespace {

void run_arm(const std::string& arm, Quantization quantization, const Settings& settings,
             const Images& images, std::uint64_t seed, const Recorder& record) {
  const auto plans = uniform_plans({{8, 8}, {4, 4}, {2, 2}});
  const auto network = resnet20(settings, plans, seed, quantization);
  fit(*network, images, recipe(settings, images, plans, seed),
      bitdial::concat(arm, ", seed ", seed));
  const double bytes = stored_bytes(*network, images, plans);
  for (const auto& plan : plans) {
    record({.arm = arm,
            .seed = seed,
            .precision = plan.text(),
            .top1 = test(*network, images, plan),
            .bytes = bytes});
  }
}

void run(const Settings& settings, const Recorder& record) {
  const Images images = read_images(settings);
  for (const std::uint64_t seed : settings.seeds) {
    run_arm("nested store", Quantization::adabits, settings, images, seed, record);
    run_arm("pack per width", Quantization::dorefa, settings, images, seed, record);
  }
}

double bytes_of(const std::vector<Row>& rows, std::string_view arm) {
  const auto found = std::ranges::find(rows, arm, &Row::arm);
  return found == rows.end() ? 0.0 : found->bytes;
}

std::string finding(const std::vector<Row>& rows) {
  const double nested = bytes_of(rows, "nested store"), apart = bytes_of(rows, "pack per width");
  return bitdial::concat("the nested store takes x ", bitdial::train::fixed(nested / apart, 2),
                         " of the bytes; its accuracy minus that of a pack per width: ",
                         gains(rows, "nested store", "pack per width"));
}

}  // namespace

Claim nested_store() {
  return {.name = "nested-store",
          .source = "AdaBits, 1912.09666",
          .text =
              "One 8-bit store on a floor grid serves every width, at about the accuracy of "
              "codes made for each.",
          .run = run,
          .finding = finding};
}

}  // namespace reproduce
