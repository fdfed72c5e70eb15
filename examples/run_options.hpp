// SPDX-License-Identifier: Apache-2.0
// The part of the command line that quickstart and search have in common.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <bitdial/data/fashion_mnist.hpp>
#include <bitdial/train/progress.hpp>

namespace examples {

struct RunOptions {
  std::string data = "fashion-mnist";
  std::string data_directory{bitdial::data::fashion_mnist_debian_directory};
  std::string network = "resnet8";
  std::int64_t epochs = 3;
  std::string out;
  std::uint64_t seed = 1;
  int threads = 0;  // 0: all
  bool resume = false;
  bool quiet = false;

  [[nodiscard]] bool synthetic() const { return data == "synthetic"; }
  [[nodiscard]] int depth() const { return std::atoi(network.c_str() + 6); }  // after "resnet"
  [[nodiscard]] bitdial::train::ProgressOptions progress() const {
    return quiet ? bitdial::train::ProgressOptions{} : bitdial::train::progress_on(stdout);
  }
};

// Where the images come from, one of `sources`, and where their files are.
inline void add_data(CLI::App& app, RunOptions& options, const std::vector<std::string>& sources,
                     const std::string& directory) {
  app.add_option("--data", options.data, "the images to learn")
      ->check(CLI::IsMember(sources))
      ->capture_default_str();
  app.add_option("--data-directory", options.data_directory, directory)->capture_default_str();
}

inline void add_network(CLI::App& app, RunOptions& options) {
  app.add_option("--network", options.network, "the residual network and its depth")
      ->check(CLI::IsMember({"resnet8", "resnet14", "resnet20"}))
      ->capture_default_str();
}

inline void add_epochs(CLI::App& app, RunOptions& options, const std::string& meaning) {
  app.add_option("--epochs", options.epochs, meaning)
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
}

// Where the results go, and what else a run depends on.
inline void add_run(CLI::App& app, RunOptions& options) {
  app.add_option("--out", options.out, "the folder for all results")->capture_default_str();
  app.add_option("--seed", options.seed, "of weights, order and augmentation")
      ->capture_default_str();
  app.add_option("--threads", options.threads, "0 takes all")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_flag("--resume", options.resume, "continue from the checkpoint in the folder of --out");
  app.add_flag("--quiet", options.quiet, "no progress, only the result");
}

// Exits with CLI11's message when the arguments make no sense.
inline void parse(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
}

}  // namespace examples
