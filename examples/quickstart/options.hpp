// SPDX-License-Identifier: Apache-2.0
// The command line of the quickstart.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <bitdial/core/parallel.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/data/fashion_mnist.hpp>
#include <bitdial/quant/precision.hpp>

namespace quickstart {

struct Options {
  std::string data = "fashion-mnist";
  std::string data_directory{bitdial::data::fashion_mnist_debian_directory};
  std::string network = "resnet8";
  std::vector<int> bits{8, 4, 2, 1};
  std::int64_t epochs = 3;
  std::string out = "quickstart-out";
  std::uint64_t seed = 1;
  int threads = 0;  // 0: all
  std::int64_t checkpoint_every = 100;
  bool resume = false;
  bool quiet = false;

  [[nodiscard]] bool synthetic() const { return data == "synthetic"; }
  [[nodiscard]] int depth() const { return std::atoi(network.c_str() + 6); }  // after "resnet"

  // What makes two runs the same run; a checkpoint remembers it. Threads and paths do not matter.
  [[nodiscard]] std::string configuration() const {
    return bitdial::concat("data=", data, " network=", network, " bits=", bitdial::join(bits, ","),
                           " epochs=", epochs, " seed=", seed);
  }
};

// Exits with CLI11's message when the arguments make no sense.
inline Options parse_options(int argc, char** argv) {
  Options options;
  CLI::App app{
      "Trains one network for several precisions, packs it into one file, reloads the file and\n"
      "compares the packed integer network with the trained one on every test image."};
  app.add_option("--data", options.data, "the images to learn")
      ->check(CLI::IsMember({"fashion-mnist", "synthetic"}))
      ->capture_default_str();
  app.add_option("--data-directory", options.data_directory, "where the Fashion-MNIST files are")
      ->capture_default_str();
  app.add_option("--network", options.network, "the residual network and its depth")
      ->check(CLI::IsMember({"resnet8", "resnet14", "resnet20"}))
      ->capture_default_str();
  app.add_option("--bits", options.bits, "the precisions, weights and activations alike")
      ->delimiter(',')
      ->check(CLI::Range(1, 8))
      ->capture_default_str();
  app.add_option("--epochs", options.epochs, "passes over the training images")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  app.add_option("--out", options.out, "the folder for all results")->capture_default_str();
  app.add_option("--seed", options.seed, "of weights, order and augmentation")
      ->capture_default_str();
  app.add_option("--threads", options.threads, "0 takes all")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_option("--checkpoint-every", options.checkpoint_every, "steps between two checkpoints")
      ->check(CLI::Range(1, 1000000000))
      ->capture_default_str();
  app.add_flag("--resume", options.resume, "continue from the checkpoint in the folder of --out");
  app.add_flag("--quiet", options.quiet, "no progress, only the result");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
  std::ranges::sort(options.bits, std::greater{});
  const auto repeats = std::ranges::unique(options.bits);
  options.bits.erase(repeats.begin(), repeats.end());
  if (options.threads == 0) options.threads = bitdial::available_threads();
  return options;
}

}  // namespace quickstart
