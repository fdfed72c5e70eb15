// SPDX-License-Identifier: Apache-2.0
// The command line of the quickstart.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <bitdial/core/parallel.hpp>
#include <bitdial/core/text.hpp>

#include "../run_options.hpp"

namespace quickstart {

struct Options : examples::RunOptions {
  std::vector<int> bits{8, 4, 2, 1};
  std::int64_t checkpoint_every = 100;

  // What makes two runs the same run; a checkpoint remembers it. Threads and paths do not matter.
  [[nodiscard]] std::string configuration() const {
    return bitdial::concat("data=", data, " network=", network, " bits=", bitdial::join(bits, ","),
                           " epochs=", epochs, " seed=", seed);
  }
};

// Exits with CLI11's message when the arguments make no sense.
inline Options parse_options(int argc, char** argv) {
  Options options{{.out = "quickstart-out"}};
  CLI::App app{
      "Trains one network for several precisions, packs it into one file, reloads the file and\n"
      "compares the packed integer network with the trained one on every test image."};
  examples::add_data(app, options, {"fashion-mnist", "synthetic"},
                     "where the Fashion-MNIST files are");
  examples::add_network(app, options);
  app.add_option("--bits", options.bits, "the precisions, weights and activations alike")
      ->delimiter(',')
      ->check(CLI::Range(1, 8))
      ->capture_default_str();
  examples::add_epochs(app, options, "passes over the training images");
  app.add_option("--checkpoint-every", options.checkpoint_every, "steps between two checkpoints")
      ->check(CLI::Range(1, 1000000000))
      ->capture_default_str();
  examples::add_run(app, options);
  examples::parse(app, argc, argv);
  std::ranges::sort(options.bits, std::greater{});
  options.bits.erase(std::unique(options.bits.begin(), options.bits.end()), options.bits.end());
  if (options.threads == 0) options.threads = bitdial::available_threads();
  return options;
}

}  // namespace quickstart
