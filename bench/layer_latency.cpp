// SPDX-License-Identifier: Apache-2.0
// What every quantized layer of a network takes on this machine at every candidate precision: the
// table for a search under measured latency.
//
//   bench_layer_latency [--network NAME] [--image SIZE] [--channels N] [--classes N] [--width N]
//                       [--weights BITS,...] [--activations BITS,...] [--threads N] [--seconds S]
//                       [--out FILE]
#include <CLI/CLI.hpp>
#include <algorithm>
#include <bitdial/models/googlenet.hpp>
#include <bitdial/models/inception_v3.hpp>
#include <bitdial/quant/policies/gaussian.hpp>
#include <bitdial/quant/policies/hwgq.hpp>
#include <bitdial/search/latency_table.hpp>
#include <bitdial/search/measure_latency.hpp>
#include <cstdio>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "networks.hpp"

namespace {

struct Options {
  std::string network = "resnet20";
  std::int64_t image = 32;
  std::int64_t channels = 3;
  std::int64_t classes = 10;
  std::int64_t width = 16;
  std::vector<int> weights{4, 3, 2, 1};
  std::vector<int> activations{4, 3, 2};
  int threads = 1;
  double seconds = 10.0;
  std::string out = "latency.csv";
};

Options parse_options(int argc, char** argv) {
  Options options;
  CLI::App app{
      "Measures every quantized layer of a packed network with random weights at every pair of\n"
      "candidate widths, one image at a time, and writes the table that a search reads."};
  app.add_option("--network", options.network, "what to measure")
      ->check(CLI::IsMember({"resnet8", "resnet14", "resnet20", "resnet18", "resnet50", "googlenet",
                             "inception-v3", "mobilenet-v1", "mobilenet-v2"}))
      ->capture_default_str();
  app.add_option("--image", options.image, "height and width of the image in pixels")
      ->check(CLI::Range(8, 1024))
      ->capture_default_str();
  app.add_option("--channels", options.channels, "of the image")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--classes", options.classes, "of the classifier")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  app.add_option("--width", options.width, "channels of the first stage of a small ResNet")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--weights", options.weights, "candidate widths of weights")
      ->delimiter(',')
      ->check(CLI::Range(1, 8))
      ->capture_default_str();
  app.add_option("--activations", options.activations, "candidate widths of activations")
      ->delimiter(',')
      ->check(CLI::Range(1, 8))
      ->capture_default_str();
  app.add_option("--threads", options.threads, "of the session")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "time for all plans together; medians are written")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--out", options.out, "the CSV file")->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
  return options;
}

/// The policies of the search; the integer kernels are those of every policy with integer levels.
bench::NetworkPtr build(const Options& o) {
  using Widths = bitdial::BitList<8, 7, 6, 5, 4, 3, 2, 1>;
  using W = bitdial::GaussianWeights;
  using A = bitdial::HwgqActivations;
  constexpr auto order = bitdial::models::ResidualOrder::preactivated;  // that of the search
  const auto sized = [&](auto options) {
    options.in_channels = o.channels;
    options.classes = o.classes;
    return options;
  };
  namespace models = bitdial::models;
  if (o.network == "googlenet") {
    return models::googlenet<Widths, W, A>(sized(models::GoogLeNetOptions{}));
  }
  if (o.network == "inception-v3") {
    return models::inception_v3<Widths, W, A>(sized(models::InceptionV3Options{}));
  }
  if (o.network == "mobilenet-v1") {
    return models::mobilenet_v1<Widths, W, A>(sized(models::MobileNetV1Options{}));
  }
  if (o.network == "mobilenet-v2") {
    return models::mobilenet_v2<Widths, W, A>(sized(models::MobileNetV2Options{}));
  }
  const int depth = std::stoi(o.network.substr(6));  // after "resnet"
  if (depth == 18 || depth == 50) {
    return bitdial::models::resnet_imagenet<Widths, W, A>(
        {.depth = depth, .order = order, .in_channels = o.channels, .classes = o.classes});
  }
  return bitdial::models::resnet_cifar<Widths, W, A>({.depth = depth,
                                                      .width = o.width,
                                                      .order = order,
                                                      .in_channels = o.channels,
                                                      .classes = o.classes});
}

/// One line per layer, one column per precision; pinned layers have one number.
void print(const bitdial::LatencyTable& table) {
  std::string layer;
  std::printf("ms per image");
  for (const auto& row : table.rows) {
    if (row.layer != layer) std::printf("\n%-30s", row.layer.c_str());
    layer = row.layer;
    std::printf("  %s %8.4f", row.precision.text().c_str(), row.milliseconds);
  }
  std::printf("\n");
}

void measure(const Options& options) {
  const bench::NetworkPtr network = build(options);
  bitdial::nn::initialize(*network, 1);
  const auto table = bitdial::measure_latency(
      *network, {options.image, options.image, options.channels},
      {.weights = options.weights,
       .activations = options.activations,
       .threads = options.threads,
       .seconds = options.seconds,
       .network = bitdial::concat(options.network, ", ", options.image, " x ", options.image, " x ",
                                  options.channels, ", width ", options.width)});
  print(table);
  bitdial::write_latency_table(options.out, table).value();
  std::printf("wrote %s: %s, %s, threads %s\n", options.out.c_str(), table.machine.c_str(),
              table.kernels.c_str(), table.threads.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse_options(argc, argv);
  try {
    measure(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_layer_latency: %s\n", error.what());
    return 1;
  }
  return 0;
}
