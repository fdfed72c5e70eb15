// SPDX-License-Identifier: Apache-2.0
// Whether what makes a training step faster costs accuracy: the same joint training with the
// default options, with all products in f32, and with bf16 products in the derivatives, from
// several seeds; accuracy on the test images of Fashion-MNIST.
//
//   bench_training_accuracy [--data DIR] [--seeds N] [--epochs N] [--images N] [--test-images N]
//                           [--threads N]
#include <CLI/CLI.hpp>
#include <algorithm>
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

const std::vector<PrecisionPlan>& plans() {
  static const std::vector<PrecisionPlan> all{Precision{32, 32}, Precision{8, 8}, Precision{4, 4},
                                              Precision{2, 2}, Precision{1, 1}};
  return all;
}

struct Images {
  bitdial::data::Dataset train, test;
};

/// The accuracy of each plan in per cent, and the seconds that training took.
struct Outcome {
  std::vector<double> accuracies;
  double seconds = 0.0;
};

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
  const double begin = bench::wall_seconds();
  while (!trainer.done()) trainer.step();
  Outcome outcome{.accuracies = {}, .seconds = bench::wall_seconds() - begin};
  for (const PrecisionPlan& plan : plans()) {
    const auto logits = train::evaluate(*network, images.test, plan);
    const auto correct = train::top_k_correct(logits.view(), images.test.labels(), 1);
    outcome.accuracies.push_back(100.0 * static_cast<double>(correct) /
                                 static_cast<double>(images.test.size()));
  }
  return outcome;
}

/// "mean +- standard deviation" of the samples, two digits after the point.
std::string summary(const std::vector<double>& samples) {
  const auto count = static_cast<double>(samples.size());
  double mean = 0.0, squares = 0.0;
  for (const double sample : samples) mean += sample / count;
  for (const double sample : samples) squares += (sample - mean) * (sample - mean);
  char text[64];
  std::snprintf(text, sizeof text, "%.2f +- %.2f", mean,
                samples.size() < 2 ? 0.0 : std::sqrt(squares / (count - 1.0)));
  return text;
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
  std::vector<bitdial::train::TableColumn> columns{
      {.title = "step", .align = bitdial::train::Align::left}};
  for (const PrecisionPlan& plan : plans()) columns.push_back({.title = plan.text()});
  columns.push_back({.title = "seconds"});
  bitdial::train::Table table(columns);
  for (const Variant& variant : variants) {
    std::vector<std::vector<double>> of_plan(plans().size() + 1);
    for (int seed = 1; seed <= options.seeds; ++seed) {
      const Outcome outcome = train(options, variant, static_cast<std::uint64_t>(seed), images);
      for (std::size_t p = 0; p < outcome.accuracies.size(); ++p) {
        of_plan[p].push_back(outcome.accuracies[p]);
      }
      of_plan.back().push_back(outcome.seconds);
    }
    std::vector<std::string> cells{std::string{variant.name}};
    for (const auto& samples : of_plan) cells.push_back(summary(samples));
    table.add_row(cells);
  }
  std::printf(
      "ResNet-8 on Fashion-MNIST, %d seeds, %lld epochs of %lld images: accuracy on %lld test "
      "images in %%, mean +- standard deviation\n\n%s\n",
      options.seeds, static_cast<long long>(options.epochs),
      static_cast<long long>(images.train.size()), static_cast<long long>(images.test.size()),
      bitdial::train::to_text(table).c_str());
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
