// SPDX-License-Identifier: Apache-2.0
// Whether what makes a training step faster costs accuracy: the same joint training with the
// default options, with all products in f32, and with bf16 products in the derivatives, from
// several seeds; accuracy on the test images of Fashion-MNIST, at the end and on the way.
//
//   bench_training_accuracy [--data DIR] [--seeds N] [--epochs N] [--images N] [--test-images N]
//                           [--points N] [--threads N]
#include <CLI/CLI.hpp>
#include <algorithm>
#include <bitdial/core/text.hpp>
#include <bitdial/data/fashion_mnist.hpp>
#include <bitdial/data/gzip.hpp>
#include <bitdial/models/resnet_cifar.hpp>
#include <bitdial/train/evaluate.hpp>
#include <bitdial/train/sgd.hpp>
#include <bitdial/train/table.hpp>
#include <bitdial/train/trainer.hpp>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sampling.hpp"

namespace {

using bitdial::Precision, bitdial::PrecisionPlan;
using Widths = bitdial::BitList<8, 4, 2, 1>;

struct Options {
  std::string directory{bitdial::data::fashion_mnist_debian_directory};
  int seeds = 3;
  std::int64_t epochs = 2;
  std::int64_t images = 60000;
  std::int64_t test_images = 10000;
  std::int64_t points = 8;
  int threads = 0;
};

Options parse_options(int argc, char** argv) {
  Options options;
  CLI::App app{"Accuracy of faster training steps against all products in f32."};
  app.add_option("--data", options.directory, "where the files of Fashion-MNIST are")
      ->capture_default_str();
  app.add_option("--seeds", options.seeds, "trainings of each kind")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  app.add_option("--epochs", options.epochs, "passes over the images")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--images", options.images, "images to train on")
      ->check(CLI::Range(64, 60000))
      ->capture_default_str();
  app.add_option("--test-images", options.test_images, "images to test with")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  app.add_option("--points", options.points, "points of each learning curve")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--threads", options.threads, "0: as many as the machine has")
      ->check(CLI::Range(0, 1024));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
  return options;
}

/// One way to compute the same step.
struct Variant {
  std::string_view name;
  bool integer_forward = true;
  bitdial::ops::Products products = bitdial::ops::Products::f32;
};

constexpr Variant variants[] = {
    {.name = "default"},
    {.name = "all in f32", .integer_forward = false},
    {.name = "bf16 derivatives", .products = bitdial::ops::Products::bf16},
};
constexpr std::size_t baseline = 1;  // what the others are compared with

const std::vector<PrecisionPlan>& plans() {
  static const std::vector<PrecisionPlan> all{Precision{32, 32}, Precision{8, 8}, Precision{4, 4},
                                              Precision{2, 2}, Precision{1, 1}};
  return all;
}

struct Images {
  bitdial::data::Dataset train, test;
};

/// The accuracy of each plan in per cent, at each point of the learning curve, and the seconds that
/// training took.
struct Outcome {
  std::vector<std::vector<double>> curve;
  double seconds = 0.0;
};

/// The accuracy of each plan on the test images in per cent.
std::vector<double> accuracies_of(bitdial::nn::Module& network, const Images& images) {
  std::vector<double> accuracies;
  for (const PrecisionPlan& plan : plans()) {
    const auto logits = bitdial::train::evaluate(network, images.test, plan);
    const auto correct = bitdial::train::top_k_correct(logits.view(), images.test.labels(), 1);
    accuracies.push_back(100.0 * static_cast<double>(correct) /
                         static_cast<double>(images.test.size()));
  }
  return accuracies;
}

Outcome train(const Options& options, const Variant& variant, std::uint64_t seed,
              const Images& images) {
  namespace train = bitdial::train;
  const auto network =
      bitdial::models::resnet_cifar<Widths, bitdial::DoReFaWeights, bitdial::DoReFaActivations>(
          {.depth = 8, .stem_stride = 2, .in_channels = 1});
  bitdial::nn::initialize(*network, seed);
  bitdial::add_plans(*network, plans());
  constexpr std::int64_t batch = 64;
  const std::int64_t steps = options.epochs * (images.train.size() / batch);
  train::Sgd optimizer(bitdial::nn::parameters(*network),
                       {.momentum = 0.9F, .nesterov = true, .weight_decay = 1e-4F});
  train::Trainer trainer(
      *network, images.train, optimizer,
      {.plans = plans(),
       .epochs = options.epochs,
       .batch_size = batch,
       .gradient_products = variant.products,
       .integer_forward = variant.integer_forward,
       .learning_rate = train::CosineSchedule({.rate = 0.1F, .steps = steps, .warmup = steps / 20}),
       .teaching = {.teacher = bitdial::Teacher::highest},
       .augment = {.shift = 1, .flip = true},
       .seed = seed});
  Outcome outcome;
  std::int64_t done = 0;
  for (std::int64_t point = 1; point <= options.points; ++point) {
    const double begin = bench::wall_seconds();
    const bool is_last = point == options.points;
    for (; !trainer.done() && (is_last || done < steps * point / options.points); ++done) {
      trainer.step();
    }
    outcome.seconds += bench::wall_seconds() - begin;
    outcome.curve.push_back(accuracies_of(*network, images));
  }
  return outcome;
}

/// The mean of some samples, and their standard deviation.
struct Summary {
  double mean = 0.0, deviation = 0.0;
};
Summary summary_of(const std::vector<double>& samples) {
  const auto count = static_cast<double>(samples.size());
  double mean = 0.0, squares = 0.0;
  for (const double sample : samples) mean += sample / count;
  for (const double sample : samples) squares += (sample - mean) * (sample - mean);
  return {mean, samples.size() < 2 ? 0.0 : std::sqrt(squares / (count - 1.0))};
}
std::string text_of(double value, double error) {
  char text[64];
  std::snprintf(text, sizeof text, "%.2f +- %.2f", value, error);
  return text;
}
double mean_of(const std::vector<double>& samples) {
  return summary_of(samples).mean;
}

/// What the seeds gave, variant by variant.
using Outcomes = std::vector<std::vector<Outcome>>;

/// Accuracy at the end, and the seconds.
bitdial::train::Table final_table(const Outcomes& outcomes) {
  std::vector<bitdial::train::TableColumn> columns{
      {.title = "step", .align = bitdial::train::Align::left}};
  for (const PrecisionPlan& plan : plans()) columns.push_back({.title = plan.text()});
  columns.push_back({.title = "seconds"});
  bitdial::train::Table table(columns);
  const auto add_row = [&](std::string name, auto&& cell, std::string seconds) {
    std::vector<std::string> cells{std::move(name)};
    for (std::size_t p = 0; p < plans().size(); ++p) cells.push_back(cell(p));
    cells.push_back(std::move(seconds));
    table.add_row(cells);
  };
  const auto samples_of = [&](std::size_t v, auto&& value) {
    std::vector<double> samples;
    for (std::size_t s = 0; s < outcomes[v].size(); ++s)
      samples.push_back(value(outcomes[v][s], s));
    return samples;
  };
  for (std::size_t v = 0; v < outcomes.size(); ++v) {
    const auto cell = [&](std::size_t p) {
      const Summary all = summary_of(
          samples_of(v, [p](const Outcome& o, std::size_t) { return o.curve.back()[p]; }));
      return text_of(all.mean, all.deviation);
    };
    const Summary seconds =
        summary_of(samples_of(v, [](const Outcome& o, std::size_t) { return o.seconds; }));
    add_row(std::string{variants[v].name}, cell, text_of(seconds.mean, seconds.deviation));
  }
  // From the same seed, so that what the seeds differ in does not count.
  for (std::size_t v = 0; v < outcomes.size(); ++v) {
    if (v == baseline) continue;
    const auto cell = [&](std::size_t p) {
      const Summary all = summary_of(samples_of(v, [&](const Outcome& o, std::size_t s) {
        return o.curve.back()[p] - outcomes[baseline][s].curve.back()[p];
      }));
      return text_of(all.mean, all.deviation / std::sqrt(static_cast<double>(outcomes[v].size())));
    };
    add_row(bitdial::concat(variants[v].name, " - ", variants[baseline].name), cell, "");
  }
  return table;
}

/// Learning curves: the mean accuracy of all plans and seeds.
bitdial::train::Table curve_table(const Options& options, const Outcomes& outcomes) {
  std::vector<bitdial::train::TableColumn> columns{{.title = "trained"}};
  for (const Variant& variant : variants) columns.push_back({.title = std::string{variant.name}});
  bitdial::train::Table table(columns);
  for (std::int64_t point = 0; point < options.points; ++point) {
    std::vector<std::string> cells{bitdial::concat(100 * (point + 1) / options.points, " %")};
    for (const std::vector<Outcome>& seeds : outcomes) {
      std::vector<double> means;
      for (const Outcome& outcome : seeds) {
        means.push_back(mean_of(outcome.curve[static_cast<std::size_t>(point)]));
      }
      char text[32];
      std::snprintf(text, sizeof text, "%.2f", mean_of(means));
      cells.emplace_back(text);
    }
    table.add_row(cells);
  }
  return table;
}

void run(const Options& options) {
  namespace data = bitdial::data;
  bitdial::set_thread_count(options.threads);
  const auto part = [&](data::FashionMnistPart which, std::int64_t count) {
    const auto all = data::read_fashion_mnist(options.directory, which, data::read_file_or_gzip);
    return all.subset(0, std::min(count, all.size()));
  };
  const Images images{part(data::FashionMnistPart::train, options.images),
                      part(data::FashionMnistPart::test, options.test_images)};
  Outcomes outcomes;
  for (const Variant& variant : variants) {
    outcomes.emplace_back();
    for (int seed = 1; seed <= options.seeds; ++seed) {
      outcomes.back().push_back(train(options, variant, static_cast<std::uint64_t>(seed), images));
    }
  }
  std::printf(
      "ResNet-8 on Fashion-MNIST, %d seeds, %lld epochs of %lld images: accuracy on %lld test "
      "images in %%, mean +- standard deviation; differences seed by seed, mean +- standard "
      "error\n\n%s\nOn the way, mean of all precisions:\n\n%s\n",
      options.seeds, static_cast<long long>(options.epochs),
      static_cast<long long>(images.train.size()), static_cast<long long>(images.test.size()),
      bitdial::train::to_text(final_table(outcomes)).c_str(),
      bitdial::train::to_text(curve_table(options, outcomes)).c_str());
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse_options(argc, argv);
  try {
    run(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_training_accuracy: %s\n", error.what());
    return 1;
  }
  return 0;
}
