// SPDX-License-Identifier: Apache-2.0
// What every quantized layer of a network takes on this machine at every candidate precision: the
// table for a search under measured latency.
//
//   bench_layer_latency [--network NAME] [--image SIZE] [--channels N] [--classes N] [--width N]
//                       [--weights BITS,...] [--activations BITS,...] [--threads N] [--seconds S]
//                       [--out FILE]
#include <CLI/CLI.hpp>
#include <algorithm>
#include <bitdial/deploy/linux_sensors.hpp>
#include <bitdial/quant/policies/hwgq.hpp>
#include <bitdial/search/latency_table.hpp>
#include <cstdio>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "layer_times.hpp"
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
      ->check(CLI::IsMember({"resnet8", "resnet14", "resnet20", "resnet18", "resnet50"}))
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
  const int depth = std::stoi(o.network.substr(6));                     // after "resnet"
  if (depth == 18 || depth == 50) {
    return bitdial::models::resnet_imagenet<Widths, W, A>(
        {.depth = depth, .order = order, .in_channels = o.channels, .classes = o.classes});
  }
  return bitdial::models::resnet_cifar<Widths, W, A>({.depth = depth,
                                                      .width = o.width,
                                                      .in_channels = o.channels,
                                                      .classes = o.classes,
                                                      .order = order});
}

void measure(const Options& options) {
  std::vector<bitdial::PrecisionPlan> plans;
  for (const int w : options.weights) {
    for (const int a : options.activations) plans.emplace_back(bitdial::Precision{w, a});
  }
  const bench::NetworkPtr network = build(options);
  bitdial::nn::initialize(*network, 1);
  bitdial::add_plans(*network, plans);
  bitdial::PackedNetwork packed = bitdial::pack(
      *network, {.plans = plans, .input_shape = {options.image, options.image, options.channels}});
  bench::set_plausible_statistics(packed, *network);
  const auto bytes = bitdial::model_bytes(packed).value();
  const auto model = bitdial::Model::from_bytes(bytes).value();
  auto session = bitdial::Session::create(model, {.threads = options.threads}).value();

  const auto milliseconds = bench::layer_milliseconds(session, options.seconds);

  bitdial::LatencyTable table{
      .machine = bitdial::LinuxSensors{}.cpu_model(),
      .kernels = std::string{session.kernels().name},
      .threads = bitdial::concat(options.threads),
      .network = bitdial::concat(options.network, ", ", options.image, " x ", options.image, " x ",
                                 options.channels, ", width ", options.width)};
  std::printf("%-30s", "ms per image");
  for (const auto& plan : plans) std::printf(" %8s", plan.text().c_str());
  std::printf("\n");
  const auto layers = bitdial::nn::quantized_layers(*network);
  for (std::size_t l = 0; l < layers.size(); ++l) {
    std::printf("%-30s", layers[l].first.c_str());
    for (std::size_t p = 0; p < plans.size(); ++p) {
      const double ms = milliseconds[p].at(layers[l].first);
      std::printf(" %8.4f", ms);
      const bitdial::Precision executed = layers[l].second->executed(plans[p]);
      if (layers[l].second->is_pinned() && p > 0) continue;
      table.rows.push_back({layers[l].first, executed, ms});
    }
    std::printf("\n");
  }
  bitdial::write_latency_table(options.out, table).value();
  std::printf("wrote %s: %s, %s, threads %d\n", options.out.c_str(), table.machine.c_str(),
              table.kernels.c_str(), options.threads);
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
