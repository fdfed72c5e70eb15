// SPDX-License-Identifier: Apache-2.0
// The command line of the search.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>

#include <CLI/CLI.hpp>

#include <bitdial/core/text.hpp>
#include <bitdial/data/fashion_mnist.hpp>

namespace search {

struct Options {
  std::string data = "fashion-mnist";
  std::string data_directory{bitdial::data::fashion_mnist_debian_directory};
  std::int64_t images = 0;  // 0: all
  std::string network = "resnet8";
  std::int64_t width = 16;
  std::int64_t epochs = 3;
  double bits = 2.0;
  std::string latency;        // a table; empty: bit operations
  double milliseconds = 0.0;  // 0: what `bits` bits everywhere take
  double complexity_weight = -1.0;
  std::int64_t train_epochs = 0;
  std::string out = "search-out";
  std::uint64_t seed = 1;
  int threads = 0;  // 0: all
  bool resume = false;
  bool quiet = false;

  [[nodiscard]] int depth() const { return std::atoi(network.c_str() + 6); }  // after "resnet"

  // What makes two searches the same search.
  [[nodiscard]] std::string configuration() const {
    return bitdial::concat("data=", data, " images=", images, " network=", network,
                           " width=", width, " epochs=", epochs, " latency=", latency,
                           " complexity_weight=", complexity_weight, " seed=", seed);
  }
};

// Exits with CLI11's message when the arguments make no sense.
inline Options parse_options(int argc, char** argv) {
  Options options;
  CLI::App app{
      "Searches the weight and activation bits of every layer of a ResNet, prints what it found,\n"
      "and writes the plan within a budget of bit operations or of measured milliseconds."};
  app.add_option("--data", options.data, "the images to learn")
      ->check(CLI::IsMember({"fashion-mnist", "cifar10", "synthetic"}))
      ->capture_default_str();
  app.add_option("--data-directory", options.data_directory,
                 "where the files of Fashion-MNIST or CIFAR-10 (binary version) are")
      ->capture_default_str();
  app.add_option("--images", options.images, "training images, the first ones; 0 takes all")
      ->check(CLI::Range(0, 100000000))
      ->capture_default_str();
  app.add_option("--network", options.network, "the residual network and its depth")
      ->check(CLI::IsMember({"resnet8", "resnet14", "resnet20"}))
      ->capture_default_str();
  app.add_option("--width", options.width, "channels of the first stage")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--epochs", options.epochs, "passes of the search over the training images")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
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
  app.add_option("--out", options.out, "the folder for all results")->capture_default_str();
  app.add_option("--seed", options.seed, "of weights, order and augmentation")
      ->capture_default_str();
  app.add_option("--threads", options.threads, "0 takes all")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_flag("--resume", options.resume, "continue from the checkpoint in the folder of --out");
  app.add_flag("--quiet", options.quiet, "no progress, only the result");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
  return options;
}

}  // namespace search
