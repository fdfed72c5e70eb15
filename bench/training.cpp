// SPDX-License-Identifier: Apache-2.0
// Images per second and peak memory of one optimizer step on random images, as `train::Trainer`
// does it: loading the batch, forward and backward of every switch, update.
//
//   bench_training [--network NAME]... [--step NAME]... [--threads N]... [--batch N]...
//                  [--products f32|bf16]... [--seconds S] [--json FILE]
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <bitdial/data/dataset.hpp>
#include <bitdial/train/sgd.hpp>
#include <bitdial/train/trainer.hpp>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bystanders.hpp"
#include "networks.hpp"
#include "record.hpp"
#include "sampling.hpp"

namespace {

using bitdial::Precision;

/// One kind of optimizer step: which switches it trains.
struct StepKind {
  std::string_view name;
  std::vector<int> bits;
  Precision first_and_last;
};

const std::vector<StepKind>& step_kinds() {
  static const std::vector<StepKind> all{
      {"joint", {32, 8, 4, 2, 1}, bench::eight_bits},  // distilled from the first
      {"dorefa-w4a4", {4}, bench::eight_bits},
      {"plain", {32}, Precision{}},
  };
  return all;
}

struct Options {
  std::vector<std::string> networks;
  std::vector<std::string> steps;
  std::vector<int> threads{1, 2};
  std::vector<std::int64_t> batches{};
  std::vector<std::string> products{"f32", "bf16"};
  double seconds = 5.0;
  std::string json;
};

Options parse_options(int argc, char** argv) {
  Options options;
  for (const auto& network : bench::training_networks()) {
    options.networks.emplace_back(network.name);
  }
  for (const StepKind& kind : step_kinds()) options.steps.emplace_back(kind.name);
  CLI::App app{"Images per second and peak memory of training steps on random images."};
  app.add_option("--network", options.networks, "what to train")
      ->check(CLI::IsMember(options.networks))
      ->capture_default_str();
  app.add_option("--step", options.steps, "which switches a step trains")
      ->check(CLI::IsMember(options.steps))
      ->capture_default_str();
  app.add_option("--threads", options.threads, "numbers of threads")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--batch", options.batches,
                 "images per step; default: 128 for images of 32 pixels, 64 for larger ones")
      ->check(CLI::Range(1, 65536));
  app.add_option("--products", options.products, "what derivatives of convolutions multiply")
      ->check(CLI::IsMember({"f32", "bf16"}))
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "time for each line of the table, at least 3 steps")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--json", options.json, "write one JSON object per line to this file");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
  return options;
}

struct Case {
  const bench::NetworkCase* network = nullptr;
  const StepKind* kind = nullptr;
  int threads = 1;
  std::int64_t batch = 1;
  bitdial::ops::Products products = bitdial::ops::Products::f32;
  double seconds = 5.0;
};

/// What a child process sends back.
struct Outcome {
  double images_per_second = 0.0;
  double spread = 0.0;
  double peak_mib = 0.0;
  bool busy = false;
};

bitdial::data::Dataset random_images(const bench::NetworkCase& network, std::int64_t count) {
  const bitdial::Shape& image = network.image;
  bitdial::Tensor<std::uint8_t> bytes({count, image[0], image[1], image[2]});
  std::vector<std::int32_t> labels;
  bitdial::Random random{5, 0};
  for (std::uint8_t& byte : bytes.span()) byte = static_cast<std::uint8_t>(random.next() >> 24);
  for (std::int64_t i = 0; i < count; ++i) {
    labels.push_back(
        static_cast<std::int32_t>(random.below(static_cast<std::uint32_t>(network.classes))));
  }
  return {"random", std::move(bytes), std::move(labels),
          bitdial::data::numbered_classes(network.classes)};
}

Outcome train(const Case& c) {
  bitdial::set_thread_count(c.threads);
  const auto network = c.network->build(c.kind->first_and_last);
  bitdial::nn::initialize(*network, 1);
  std::vector<bitdial::PrecisionPlan> plans;
  for (const int bits : c.kind->bits) plans.emplace_back(Precision{.w = bits, .a = bits});
  bitdial::add_plans(*network, plans);
  const auto images = random_images(*c.network, 2 * c.batch);
  bitdial::train::Sgd optimizer(bitdial::nn::parameters(*network),
                                {.momentum = 0.9F, .nesterov = false, .weight_decay = 1e-4F});
  bitdial::train::Trainer trainer(*network, images, optimizer,
                                  {.plans = plans,
                                   .epochs = 1,
                                   .batch_size = c.batch,
                                   .gradient_products = c.products,
                                   .learning_rate = bitdial::train::ConstantSchedule{.rate = 0.01F},
                                   .teaching = {.teacher = bitdial::Teacher::highest}});

  const auto step = [&] { trainer.step(); };
  step();  // the first one fills caches of memory
  const double once = bench::seconds_per_call(1, step);
  const int steps = std::max(3, static_cast<int>(c.seconds / once));
  bench::Samples rates;
  double rate = 0.0;
  const bool busy = bench::collect_undisturbed(
      steps, [&] { rate = static_cast<double>(c.batch) / bench::seconds_per_call(1, step); },
      [&] { rates.add(rate); });
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return {rates.median(), rates.spread(), static_cast<double>(usage.ru_maxrss) / 1024.0, busy};
}

/// Peak memory belongs to a process: each case is trained in one of its own.
Outcome train_in_child(const Case& c) {
  int ends[2];
  if (pipe(ends) != 0) throw bitdial::Error("cannot create a pipe");
  std::fflush(stdout);
  const pid_t child = fork();
  if (child < 0) throw bitdial::Error("cannot start a process");
  if (child == 0) {
    int code = 1;
    try {
      const Outcome outcome = train(c);
      code = write(ends[1], &outcome, sizeof outcome) == sizeof outcome ? 0 : 1;
    } catch (const std::exception& error) {
      std::fprintf(stderr, "bench_training: %s\n", error.what());
    }
    _exit(code);
  }
  close(ends[1]);
  Outcome outcome;
  const bool complete = read(ends[0], &outcome, sizeof outcome) == sizeof outcome;
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (!complete || status != 0) {
    throw bitdial::Error(bitdial::concat(c.network->name, " ", c.kind->name, ", batch ", c.batch,
                                         ", ", c.threads, " threads: training ended early"));
  }
  return outcome;
}

void measure(const Case& c, bench::RecordWriter& writer) {
  const Outcome outcome = train_in_child(c);
  bench::Record record{.kind = "training",
                       .name = bitdial::concat(c.network->name, "/", c.kind->name),
                       .precision = c.products == bitdial::ops::Products::bf16 ? "bf16" : "default",
                       .threads = c.threads,
                       .batch = c.batch,
                       .value = outcome.images_per_second,
                       .unit = "images/s",
                       .spread = outcome.spread,
                       .note = outcome.busy ? bench::busy_note : ""};
  writer.write(record);
  record.name += "/peak-memory";
  record.value = outcome.peak_mib;
  record.unit = "MiB";
  record.spread = 0.0;
  writer.write(record);
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse_options(argc, argv);
  try {
    bench::RecordWriter writer{options.json};
    writer.header();
    for (const bench::NetworkCase& network : bench::training_networks()) {
      if (std::ranges::count(options.networks, network.name) == 0) continue;
      auto batches = options.batches;
      if (batches.empty()) batches = {network.image[0] <= 32 ? 128 : 64};
      for (const StepKind& kind : step_kinds()) {
        if (std::ranges::count(options.steps, kind.name) == 0) continue;
        for (const std::int64_t batch : batches) {
          for (const int threads : options.threads) {
            for (const std::string& products : options.products) {
              measure(
                  {&network, &kind, threads, batch,
                   products == "bf16" ? bitdial::ops::Products::bf16 : bitdial::ops::Products::f32,
                   options.seconds},
                  writer);
            }
          }
        }
      }
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_training: %s\n", error.what());
    return 1;
  }
  return 0;
}
