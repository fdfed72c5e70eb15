// SPDX-License-Identifier: Apache-2.0
// A searched plan against two bits everywhere: at equal bit operations, and at equal milliseconds
// of this machine.
#include <algorithm>
#include <bitdial/nn/cost.hpp>
#include <bitdial/quant/plan_file.hpp>
#include <bitdial/quant/policies/gaussian.hpp>
#include <bitdial/quant/policies/hwgq.hpp>
#include <bitdial/search/composite_layer.hpp>
#include <bitdial/search/latency_table.hpp>
#include <bitdial/search/measure_latency.hpp>
#include <bitdial/search/mixed_precision_search.hpp>
#include <bitdial/search/plan_within.hpp>
#include <bitdial/train/format.hpp>
#include <chrono>
#include <cstdio>
#include <utility>

#include "packed.hpp"

namespace reproduce {
namespace {

using bitdial::PrecisionPlan;
using WeightBits = bitdial::BitList<4, 3, 2, 1>;
using ActivationBits = bitdial::BitList<4, 3, 2>;

/// Batch normalisation stands before every quantizer: the steps of HWGQ suit unit variance.
template <class Bits>
NetworkPtr build(const Settings& settings, std::uint64_t seed) {
  auto options = resnet20_options(settings);
  options.order = bitdial::models::ResidualOrder::preactivated;
  auto network =
      bitdial::models::resnet_cifar<Bits, bitdial::GaussianWeights, bitdial::HwgqActivations>(
          options);
  bitdial::nn::initialize(*network, seed);
  return network;
}

std::string network_text(const Settings& settings, const Images& images) {
  return bitdial::concat("pre-activated ResNet-20, width ", settings.width, ", ",
                         images.test.image_shape());
}

NetworkPtr switchable(const Settings& settings, const std::vector<PrecisionPlan>& plans,
                      std::uint64_t seed) {
  auto network = build<WeightBits>(settings, seed);
  bitdial::add_plans(*network, plans);
  return network;
}

NetworkPtr searchable(const Settings& settings, std::uint64_t seed) {
  return build<bitdial::Candidates<WeightBits, ActivationBits>>(settings, seed);
}

/// Milliseconds of every searched layer at every pair of candidate widths, on this machine.
bitdial::LatencyTable measured_latency(const Settings& settings, const Images& images) {
  return bitdial::measure_latency(
      *build<WeightBits>(settings, 1), images.test.image_shape(),
      {.weights = {WeightBits::values.begin(), WeightBits::values.end()},
       .activations = {ActivationBits::values.begin(), ActivationBits::values.end()},
       .network = network_text(settings, images)});
}

/// The table that the settings name, or a new one that is left beside the results.
bitdial::LatencyTable latency_of(const Settings& settings, const Images& images) {
  if (!settings.latency.empty()) return bitdial::read_latency_table(settings.latency).value();
  auto table = measured_latency(settings, images);
  bitdial::write_latency_table(settings.out + "/searched-plan-latency.csv", table).value();
  return table;
}

/// Leaves a plan beside the results, as a file that packs and trains.
void write_plan(const Settings& settings, const Images& images, bitdial::nn::Module& network,
                const bitdial::SearchCosts& costs, const PrecisionPlan& plan, std::uint64_t seed) {
  std::vector<std::string> names;
  for (const auto& [name, layer] : bitdial::nn::quantized_layers(network)) names.push_back(name);
  bitdial::PlanFile file = bitdial::PlanFile::of(plan, names).value();
  const std::string unit = costs.unit() == "ms" ? "milliseconds" : "bit-operations";
  file.network = network_text(settings, images);
  file.cost = bitdial::concat(bitdial::train::fixed(costs.of(plan), 4), " ", costs.unit());
  bitdial::write_plan_file(
      bitdial::concat(settings.out, "/searched-plan-", unit, "-seed", seed, ".txt"), file)
      .value();
}

/// The most likely plan that costs no more than two bits everywhere.
PrecisionPlan searched_plan(const Settings& settings, const Images& images, std::uint64_t seed,
                            bitdial::nn::Module& network, const bitdial::SearchCosts& costs,
                            const std::string& label) {
  std::printf("--- search under %s, seed %llu\n", label.c_str(),
              static_cast<unsigned long long>(seed));
  bitdial::MixedPrecisionSearch search(network, images.train, costs,
                                       {.training = recipe(settings, images, {}, seed)});
  bitdial::train::RunningMean loss;
  static_cast<void>(search.run([&](const bitdial::SearchReport& report) {
    loss.add(static_cast<double>(report.training.losses.front()));
    if (search.position() % search.steps_per_epoch() == 0) {
      std::printf("epoch %lld: loss %.3f, expected cost %.4f\n",
                  static_cast<long long>(report.training.epoch + 1), loss.mean(), report.cost);
      loss = {};
    }
    return true;
  }));
  const PrecisionPlan plan = bitdial::plan_within(
      network, costs, costs.of(PrecisionPlan::uniform("w2a2")), {.spend = true});
  std::printf("plan %s\n", plan.text().c_str());
  write_plan(settings, images, network, costs, plan, seed);
  return plan;
}

struct Arm {
  std::string name;
  PrecisionPlan plan;
  double top1 = 0.0;
  Packed target{};
  std::vector<double> milliseconds{};
};

/// The arms take turns, so that a slow second of the machine hits all of them alike.
void measure_together(std::vector<Arm>& arms, const Images& images) {
  using Clock = std::chrono::steady_clock;
  std::vector<float> logits(
      static_cast<std::size_t>(arms[0].target.session->model().output_size()));
  for (int round = 0; round < 501; ++round) {
    for (Arm& arm : arms) {
      const auto begin = Clock::now();
      arm.target.session->run(images.test.image(round % images.test.size()), logits, 0).value();
      arm.milliseconds.push_back(
          std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
    }
  }
  for (Arm& arm : arms) std::ranges::nth_element(arm.milliseconds, arm.milliseconds.begin() + 250);
}

/// Those of one layer for one image: bit operations are counted in units of the first searched one.
double multiply_accumulates(bitdial::nn::Module& network, const Images& images,
                            const std::string& layer) {
  const auto cost = bitdial::nn::cost(network, images.train.image_shape());
  return static_cast<double>(
      std::ranges::find(cost.layers, layer, &bitdial::nn::LayerCost::name)->multiply_accumulates);
}

void run(const Settings& settings, const Recorder& record) {
  const Images images = read_images(settings);
  const NetworkPtr any = searchable(settings, 1);
  const auto bit_costs = bitdial::bit_operation_costs(*any, images.train.image_shape());
  const auto time_costs = bitdial::latency_costs(*any, latency_of(settings, images));
  const double first = multiply_accumulates(*any, images, bit_costs.layers().front().name);
  for (const std::uint64_t seed : settings.seeds) {
    const NetworkPtr by_bits = searchable(settings, seed);
    const NetworkPtr by_time = searchable(settings, seed);
    std::vector<Arm> arms;
    arms.push_back({.name = "two bits", .plan = PrecisionPlan::uniform("w2a2")});
    arms.push_back(
        {.name = "searched under bit operations",
         .plan = searched_plan(settings, images, seed, *by_bits, bit_costs, "bit operations")});
    arms.push_back(
        {.name = "searched under milliseconds",
         .plan = searched_plan(settings, images, seed, *by_time, time_costs, "milliseconds")});
    for (Arm& arm : arms) {
      const std::vector<PrecisionPlan> plans{arm.plan};
      const NetworkPtr network = switchable(settings, plans, seed);
      fit(*network, images, recipe(settings, images, plans, seed),
          bitdial::concat(arm.name, ", seed ", seed));
      arm.top1 = test(*network, images, arm.plan);
      arm.target = packed(*network, images, plans);
    }
    measure_together(arms, images);
    for (const Arm& arm : arms) {
      record({.arm = arm.name,
              .seed = seed,
              .precision = arm.plan.is_uniform() ? arm.plan.text() : "mixed",
              .top1 = arm.top1,
              .milliseconds = arm.milliseconds[250],
              .bit_operations = bit_costs.of(arm.plan) * first * 1e-9});
    }
  }
}

double mean_of(const std::vector<Row>& rows, std::string_view arm, double Row::*value) {
  double sum = 0.0;
  int count = 0;
  for (const Row& row : rows) {
    if (row.arm != arm) continue;
    sum += row.*value;
    ++count;
  }
  return sum / count;
}

std::string finding(const std::vector<Row>& rows) {
  std::vector<std::string> parts;
  for (const char* const arm : {"searched under bit operations", "searched under milliseconds"}) {
    const auto ratio = [&](double Row::*value) {
      return bitdial::train::fixed(mean_of(rows, arm, value) / mean_of(rows, "two bits", value), 2);
    };
    parts.push_back(bitdial::concat(
        arm, ": ", gain_text(top1_by_seed(rows, arm), top1_by_seed(rows, "two bits")),
        " against two bits at x ", ratio(&Row::bit_operations), " of the bit operations and x ",
        ratio(&Row::milliseconds), " of the time"));
  }
  return bitdial::join(parts, "; ");
}

std::string networks(const Settings& settings) {
  return "pre-activated " + resnet20_text(settings) + ", Gaussian weights and HWGQ";
}

}  // namespace

Claim searched_plan() {
  return {
      .name = "searched-plan",
      .source = "EdMIPS, 2004.05795",
      .text =
          "A searched plan is more accurate than two bits everywhere at the same bit operations, "
          "or at the same time.",
      .searches_latency = true,
      .chooses_quantizers = false,
      .networks = networks,
      .run = run,
      .finding = finding};
}

}  // namespace reproduce
