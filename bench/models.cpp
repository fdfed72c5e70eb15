// SPDX-License-Identifier: Apache-2.0
// Latency of whole packed networks with random weights, as a program that uses bitdial sees it:
// bytes of an image in, logits out, per plan, number of threads and batch size. With --layers, and
// for convolutions that are no part of a network: the rate of every layer.
//
//   bench_models [--network NAME]... [--conv SHAPE]... [--plan PLAN]... [--threads N]...
//                [--batch N]... [--seconds S] [--json FILE] [--layers | --profile | --explain]
#include <CLI/CLI.hpp>
#include <algorithm>
#include <bitdial/runtime.hpp>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "bystanders.hpp"
#include "convolution.hpp"
#include "layer_rates.hpp"
#include "layers.hpp"
#include "networks.hpp"
#include "peak_rates.hpp"
#include "record.hpp"
#include "sampling.hpp"

namespace {

struct Options {
  std::vector<std::string> networks;
  std::vector<std::string> convolutions{};
  std::vector<std::string> plans{"w8a8", "w4a4", "w2a2", "w1a1", "w1a2", "w1a4", "w1a8"};
  std::vector<int> threads{1, 2};
  std::vector<std::int64_t> batches{1};
  double seconds = 0.5;
  std::string json;
  bool layers = false;
  bool profile = false;
  bool explain = false;
};

/// Empty, or why `text` is no plan of packed layers.
std::string plan_error(const std::string& text) {
  const auto plan = bitdial::PrecisionPlan::parse(text);
  if (!plan) return plan.error();
  const bool packs = plan->is_uniform() && plan->at(0).w <= 8 && plan->at(0).a <= 8;
  return packs ? "" : bitdial::concat("plan ", text, ": expected one precision of 1 to 8 bits");
}

Options parse_options(int argc, char** argv) {
  Options options;
  for (const auto& network : bench::inference_networks()) {
    options.networks.emplace_back(network.name);
  }
  CLI::App app{
      "Latency of packed networks with random weights: medians, and the share of the\n"
      "machine's peak that the same run measures."};
  app.add_option("--network", options.networks, "what to run")
      ->check(CLI::IsMember(options.networks))
      ->capture_default_str();
  app.add_option("--conv", options.convolutions,
                 "one convolution, for example 17x48,k5,s2,d2,56x56: channels in and out, kernel, "
                 "stride, dilation, padding (p), groups (g), height and width of the image")
      ->check(CLI::Validator(bench::convolution_error, "SHAPE"));
  app.add_option("--plan", options.plans, "precisions of 1 to 8 bits, for example w2a4")
      ->check(CLI::Validator(plan_error, "PLAN"))
      ->capture_default_str();
  app.add_option("--threads", options.threads, "numbers of threads")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--batch", options.batches, "images per call")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "time for each line of the table")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--json", options.json, "write one JSON object per line to this file");
  auto* const layers =
      app.add_flag("--layers", options.layers,
                   "the rate of every convolution of the networks, in the place of latency");
  auto* const profile = app.add_flag(
      "--profile", options.profile,
      "what every step takes, with the first number of threads, in the place of latency");
  app.add_flag("--explain", options.explain,
               "which kernel every layer runs on and why, in the place of latency")
      ->excludes(layers)
      ->excludes(profile);
  profile->excludes(layers);
  try {
    app.parse(argc, argv);
    if (!options.convolutions.empty() && app.count("--network") == 0) options.networks.clear();
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
  return options;
}

/// One line of the table while it is measured.
struct Case {
  std::size_t plan = 0;
  int threads = 1;
  std::int64_t batch = 1;
  std::shared_ptr<bitdial::Session> session;
  std::int64_t calls = 0;
  double last = 0.0;  ///< seconds per call in this round
  bench::Samples seconds{};
};

std::vector<std::uint8_t> random_images(std::int64_t bytes) {
  std::vector<std::uint8_t> images(static_cast<std::size_t>(bytes));
  bitdial::Random random{3, 0};
  for (std::uint8_t& byte : images) byte = static_cast<std::uint8_t>(random.next() >> 24);
  return images;
}

/// Dead activations would make a network cheap: two images must differ in most of their logits.
void require_alive(const std::vector<float>& first, const std::vector<float>& second,
                   const std::string& what) {
  std::size_t different = 0;
  for (std::size_t i = 0; i < first.size(); ++i) different += first[i] != second[i] ? 1 : 0;
  if (2 * different < first.size()) {
    throw bitdial::Error(bitdial::concat(what, ": two images differ in ", different, " of ",
                                         first.size(), " outputs; the random network is dead"));
  }
}

std::vector<bitdial::PrecisionPlan> plans_of(const Options& options) {
  std::vector<bitdial::PrecisionPlan> plans;
  for (const std::string& plan : options.plans) {
    plans.push_back(bitdial::PrecisionPlan::parse(plan).value());
  }
  return plans;
}

/// Tables for people instead of numbers. Returns false when none was asked for.
bool print_tables(const std::string& name, const bitdial::Model& model, const Options& options) {
  if (!options.profile && !options.explain) return false;
  auto session = bitdial::Session::create(model, {.threads = options.threads.front()}).value();
  std::printf("%s, %d thread%s\n", name.c_str(), session.threads(),
              session.threads() > 1 ? "s" : "");
  if (options.profile) {
    const auto profiles = bitdial::profile(session, {.seconds = options.seconds}).value();
    std::printf("%s\n", bitdial::profile_table(profiles).c_str());
  } else {
    for (std::size_t plan = 0; plan < options.plans.size(); ++plan) {
      std::printf("plan %s\n%s\n", options.plans[plan].c_str(), session.explain(plan).c_str());
    }
  }
  return true;
}

void measure_convolution(const bench::Convolution& convolution, const Options& options,
                         bench::RecordWriter& writer) {
  const std::vector<std::byte> bytes = bench::random_convolution(convolution, plans_of(options));
  const auto model = bitdial::Model::from_bytes(bytes).value();
  if (print_tables(convolution.text(), model, options)) return;
  bench::measure_layers(model, {options.threads, options.batches, options.seconds}, writer,
                        convolution.text());
}

void measure_network(const bench::NetworkCase& network, const Options& options,
                     bench::RecordWriter& writer) {
  const std::vector<bitdial::PrecisionPlan> plans = plans_of(options);
  const bench::RandomModel random = bench::random_model(network, plans);
  const auto model = bitdial::Model::from_bytes(random.bytes).value();
  if (print_tables(std::string{network.name}, model, options)) return;
  if (options.layers) {
    bench::measure_layers(model, {options.threads, options.batches, options.seconds}, writer);
    return;
  }
  const std::int64_t image = model.input_shape().size();
  const std::int64_t most = *std::ranges::max_element(options.batches);
  const std::vector<std::uint8_t> images = random_images(2 * most * image);
  std::vector<float> outputs(static_cast<std::size_t>(most * model.output_size()));

  const auto call = [&](Case& c) {
    c.session
        ->run(std::span{images}.first(static_cast<std::size_t>(c.batch * image)),
              std::span{outputs}.first(static_cast<std::size_t>(c.batch * model.output_size())),
              c.plan)
        .value();
  };

  std::vector<Case> cases;
  for (const std::int64_t batch : options.batches) {
    for (const int threads : options.threads) {
      const auto session = std::make_shared<bitdial::Session>(
          bitdial::Session::create(model, {.threads = threads, .max_batch = batch}).value());
      for (std::size_t plan = 0; plan < plans.size(); ++plan) {
        cases.push_back({.plan = plan, .threads = threads, .batch = batch, .session = session});
      }
    }
  }
  const auto logits_of = [&](std::size_t plan, std::int64_t at) {
    std::vector<float> logits(static_cast<std::size_t>(model.output_size()));
    cases.front()
        .session
        ->run(std::span{images}.subspan(static_cast<std::size_t>(at * image),
                                        static_cast<std::size_t>(image)),
              logits, plan)
        .value();
    return logits;
  };
  for (std::size_t plan = 0; plan < plans.size(); ++plan) {
    require_alive(logits_of(plan, 0), logits_of(plan, 1),
                  bitdial::concat(network.name, " ", options.plans[plan]));
  }

  // The cases take turns, so that a slow second of the machine hits all of them alike.
  constexpr int rounds = 11;
  bench::PeakRates peaks{cases.front().session->kernels().name};
  const bool busy = bench::collect_undisturbed(
      rounds,
      [&] {
        peaks.sample();
        for (Case& c : cases) {
          const auto run = [&] { call(c); };
          run();
          if (c.calls == 0) c.calls = bench::calls_for(options.seconds / rounds, run);
          c.last = bench::seconds_per_call(c.calls, run);
        }
      },
      [&] {
        for (Case& c : cases) c.seconds.add(c.last);
      });

  for (const Case& c : cases) {
    const double per_image = c.seconds.median() / static_cast<double>(c.batch);
    const double gmacs = random.macs / per_image * 1e-9;
    const double peak = peaks.of(plans[c.plan].at(0)) * c.threads;
    writer.write({.kind = "network",
                  .name = std::string{network.name},
                  .precision = options.plans[c.plan],
                  .threads = c.threads,
                  .batch = c.batch,
                  .value = per_image * 1e3,
                  .unit = "ms/image",
                  .spread = c.seconds.spread(),
                  .peak_share = peak > 0.0 ? gmacs / peak : -1.0,
                  .gmacs = gmacs,
                  .note = busy ? bench::busy_note : ""});
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse_options(argc, argv);
  try {
    bench::RecordWriter writer{options.json};
    if (!options.profile && !options.explain) writer.header();
    for (const std::string& text : options.convolutions) {
      measure_convolution(bench::Convolution::parse(text), options, writer);
    }
    for (const bench::NetworkCase& network : bench::inference_networks()) {
      if (std::ranges::count(options.networks, network.name) > 0) {
        measure_network(network, options, writer);
      }
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_models: %s\n", error.what());
    return 1;
  }
  return 0;
}
