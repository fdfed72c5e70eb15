// SPDX-License-Identifier: Apache-2.0
// The command line of the search.
#pragma once

#include <cstdint>
#include <string>

#include <bitdial/core/text.hpp>

#include "../run_options.hpp"

namespace search {

struct Options : examples::RunOptions {
  std::int64_t images = 0;  // 0: all
  std::int64_t width = 16;
  double bits = 2.0;
  std::string latency{};      // a table; empty: bit operations
  double milliseconds = 0.0;  // 0: what `bits` bits everywhere take
  double complexity_weight = -1.0;
  std::int64_t train_epochs = 0;

  // What makes two searches the same search.
  [[nodiscard]] std::string configuration() const {
    return bitdial::concat("data=", data, " images=", images, " network=", network,
                           " width=", width, " epochs=", epochs, " latency=", latency,
                           " complexity_weight=", complexity_weight, " seed=", seed);
  }
};

// Exits with CLI11's message when the arguments make no sense.
inline Options parse_options(int argc, char** argv) {
  Options options{{.out = "search-out"}};
  CLI::App app{
      "Searches the weight and activation bits of every layer of a ResNet, prints what it found,\n"
      "and writes the plan within a budget of bit operations or of measured milliseconds."};
  examples::add_data(app, options, {"fashion-mnist", "cifar10", "synthetic"},
                     "where the files of Fashion-MNIST or CIFAR-10 (binary version) are");
  app.add_option("--images", options.images, "training images, the first ones; 0 takes all")
      ->check(CLI::Range(0, 100000000))
      ->capture_default_str();
  examples::add_network(app, options);
  app.add_option("--width", options.width, "channels of the first stage")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  examples::add_epochs(app, options, "passes of the search over the training images");
  app.add_option("--bits", options.bits,
                 "the budget: bit operations of the network with so many bits everywhere")
      ->check(CLI::Range(1.0, 8.0))
      ->capture_default_str();
  app.add_option("--latency", options.latency,
                 "a table of bench_layer_latency; the search then counts milliseconds")
      ->check(CLI::ExistingFile);
  app.add_option("--milliseconds", options.milliseconds,
                 "the budget with --latency; 0 takes the time of 2 bits everywhere")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--complexity-weight", options.complexity_weight,
                 "of the penalty; below 0: 0.36 by the cost at equal shares")
      ->capture_default_str();
  app.add_option("--train", options.train_epochs,
                 "then train at the plan from scratch for so many epochs, and pack")
      ->check(CLI::Range(0, 100000))
      ->capture_default_str();
  examples::add_run(app, options);
  examples::parse(app, argc, argv);
  return options;
}

}  // namespace search
