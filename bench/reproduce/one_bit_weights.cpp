// SPDX-License-Identifier: Apache-2.0
// One network with signs as weights, from BinaryConnect (real activations) to BNN (signs).
#include <bitdial/train/adam.hpp>
#include <bitdial/train/binary_connect.hpp>

#include "experiment.hpp"

namespace reproduce {
namespace {

std::vector<bitdial::PrecisionPlan> family() {
  return uniform_plans({{1, 32}, {1, 8}, {1, 4}, {1, 2}, {1, 1}});
}

/// Adam, whose steps do not depend on the size of gradients: real-valued weights have to cross 0.
void run(const Settings& settings, const Recorder& record) {
  const Images images = read_images(settings);
  const auto plans = family();
  for (const std::uint64_t seed : settings.seeds) {
    const auto network = resnet20(settings, plans, seed, Quantization::binary);
    auto options = recipe(settings, images, plans, seed);
    options.teaching = bitdial::methods::sp_nets();
    bitdial::train::Adam adam(bitdial::nn::parameters(*network), {});
    bitdial::train::BinaryConnectUpdate update(adam);
    fit(*network, images, options, bitdial::concat("signs as weights, seed ", seed), update);
    record_plans(record, "signs as weights", seed, *network, images, plans);
  }
}

std::string finding(const std::vector<Row>& rows) {
  std::vector<std::string> parts;
  for (const auto& plan : family()) {
    parts.push_back(plan.text() + ' ' +
                    shares_text(top1_by_seed(rows, "signs as weights", plan.text())));
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
          .defaults = {.rate = 0.005},
          .chooses_quantizers = false,
          .run = run,
          .finding = finding};
}

}  // namespace reproduce
