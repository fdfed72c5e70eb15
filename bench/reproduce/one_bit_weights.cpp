// SPDX-License-Identifier: Apache-2.0
// One network with weights of one bit, from BinaryConnect (real activations) to BNN (one bit).
#include <bitdial/train/format.hpp>

#include "experiment.hpp"

namespace reproduce {
namespace {

std::vector<bitdial::PrecisionPlan> family() {
  return uniform_plans({{1, 32}, {1, 8}, {1, 4}, {1, 2}, {1, 1}});
}

void run(const Settings& settings, const Recorder& record) {
  const Images images = read_images(settings);
  const auto plans = family();
  for (const std::uint64_t seed : settings.seeds) {
    const auto network = resnet20(settings, plans, seed);
    auto options = recipe(settings, images, plans, seed);
    options.teaching = bitdial::methods::sp_nets();
    fit(*network, images, options, bitdial::concat("one-bit weights, seed ", seed));
    record_plans(record, "one-bit weights", seed, *network, images, plans);
  }
}

std::string finding(const std::vector<Row>& rows) {
  std::vector<std::string> parts;
  for (const auto& plan : family()) {
    parts.push_back(plan.text() + ' ' +
                    bitdial::train::percent(mean_top1(rows, "one-bit weights", plan.text()), 2));
  }
  return "from BinaryConnect to BNN: " + bitdial::join(parts);
}

}  // namespace

Claim one_bit_weights() {
  return {.name = "one-bit-weights",
          .source = "SP-Nets, 2002.02815",
          .text =
              "One network with one-bit weights serves every activation width, from "
              "BinaryConnect to BNN.",
          .run = run,
          .finding = finding};
}

}  // namespace reproduce
