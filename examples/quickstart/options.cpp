// SPDX-License-Identifier: Apache-2.0
#include "options.hpp"

#include <algorithm>
#include <cstdlib>
#include <functional>

#include <CLI/CLI.hpp>

#include <bitdial/core/parallel.hpp>

namespace quickstart {

Options parse_options(int argc, char** argv) {
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
