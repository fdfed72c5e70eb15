// SPDX-License-Identifier: Apache-2.0
// What a change of plan costs between two calls of `run`, in nanoseconds, on a network so small
// that nothing hides it; and how large a program that classifies an image is.
//
//   bench_switch [--json FILE]
#include <algorithm>
#include <bitdial/core/random.hpp>
#include <bitdial/deploy/model.hpp>
#include <bitdial/deploy/session.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "record.hpp"
#include "sampling.hpp"

namespace {

using namespace bitdial;

/// 64 features, 16 classes, one plan per width, random weights.
std::vector<std::byte> tiny_model(const std::vector<int>& widths) {
  constexpr std::int64_t features = 64, classes = 16;
  Random random{5, 0};
  PackedNetwork network;
  network.input_shape = {1, 1, features};
  network.graph.nodes = {
      {.kind = ops::NodeKind::input},
      {.kind = ops::NodeKind::linear, .inputs = {0, -1}, .layer = 0},
  };
  network.layers = {{.name = "classifier",
                     .kind = ops::NodeKind::linear,
                     .cout = classes,
                     .cin = features,
                     .packs = {}}};
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(classes * features));
  for (std::uint8_t& code : codes) code = static_cast<std::uint8_t>(random.below(256));
  network.add_weights(0, codes, {.bits = 8, .nested = true});
  for (const int width : widths) {
    const auto largest = static_cast<float>((1 << width) - 1);
    const auto encode = [&](float x) {
      return static_cast<int>(std::clamp(x, 0.0F, 1.0F) * largest + 0.5F);
    };
    LayerState state{.executed = {width, width},
                     .weight_levels = {1.0F, 2, 1 - (1 << width)},
                     .activation_levels = {1.0F / largest, 1, 0},
                     .encoder = network.add_encoder(make_activation_encoder(encode, width)),
                     .multiplier = std::vector<float>(classes, 1e-3F),
                     .bias = std::vector<float>(classes, 0.0F)};
    network.plans.push_back(
        {.requested = PrecisionPlan{Precision{width, width}}, .layers = {std::move(state)}});
  }
  return model_bytes(network).value();
}

void measure(const std::string& json) {
  bench::RecordWriter writer{json};
  const std::vector<std::byte> bytes = tiny_model({8, 4, 2, 1});
  const Model model = Model::from_bytes(bytes).value();
  Session session = Session::create(model).value();
  const std::vector<std::uint8_t> image(static_cast<std::size_t>(model.input_shape().size()), 99);
  std::vector<float> outputs(static_cast<std::size_t>(model.output_size()));
  const auto nanoseconds = [&](std::size_t first, std::size_t second) {
    constexpr std::int64_t calls = 2000;
    return bench::seconds_per_call(calls / 2,
                                   [&] {
                                     session.run(image, outputs, first).value();
                                     session.run(image, outputs, second).value();
                                   }) *
           0.5e9;
  };
  writer.header();
  for (std::size_t other = 1; other < model.plans().size(); ++other) {
    bench::Samples first, second, turns;
    for (int round = 0; round < 200; ++round) {
      first.add(nanoseconds(0, 0));
      second.add(nanoseconds(other, other));
      turns.add(nanoseconds(0, other));
    }
    // The shortest of many rounds each: what the machine does beside only makes them longer.
    const double same = (first.least() + second.least()) / 2;
    const auto write = [&](const char* name, double value, double spread) {
      writer.write({.kind = "switch",
                    .name = name,
                    .precision = concat(model.plans()[0].name(), ' ', model.plans()[other].name()),
                    .value = value,
                    .unit = "ns/call",
                    .spread = spread});
    };
    write("same plan", same, std::max(first.spread(), second.spread()));
    write("in turns", turns.least(), turns.spread());
    std::printf("a switch: %.1f ns\n", turns.least() - same);
  }
  writer.write({.kind = "program",
                .name = "classify_image",
                .precision = {},
                .value = static_cast<double>(std::filesystem::file_size(BITDIAL_CLASSIFY_IMAGE)),
                .unit = "bytes"});
}

}  // namespace

int main(int argc, char** argv) {
  const bool has_file = argc == 3 && std::string_view{argv[1]} == "--json";
  if (argc != 1 && !has_file) {
    std::fprintf(stderr, "usage: bench_switch [--json FILE]\n");
    return 2;
  }
  try {
    measure(has_file ? argv[2] : "");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_switch: %s\n", error.what());
    return 1;
  }
  return 0;
}
