// SPDX-License-Identifier: Apache-2.0
// The command line of the quickstart.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include <bitdial/core/text.hpp>
#include <bitdial/data/fashion_mnist.hpp>

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
Options parse_options(int argc, char** argv);

}  // namespace quickstart
