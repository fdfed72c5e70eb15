// SPDX-License-Identifier: Apache-2.0
// Searches the precision of every layer, writes the plan, and trains and packs a network at it.
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <bitdial/quant/plan_file.hpp>
#include <bitdial/search/composite_layer.hpp>
#include <bitdial/search/latency_table.hpp>
#include <bitdial/search/mixed_precision_search.hpp>
#include <bitdial/search/plan_within.hpp>
#include <bitdial/train/checkpoint.hpp>
#include <bitdial/train/table.hpp>

#include "retraining.hpp"

namespace {

using bitdial::PrecisionPlan;
// Those of the paper.
using Widths = bitdial::Candidates<bitdial::BitList<4, 3, 2, 1>, bitdial::BitList<4, 3, 2>>;

volatile std::sig_atomic_t interrupted = 0;

bitdial::SearchCosts costs_of(const search::Options& options, bitdial::nn::Module& network,
                              const bitdial::Shape& image) {
  if (options.latency.empty()) return bitdial::bit_operation_costs(network, image);
  return bitdial::latency_costs(network, bitdial::read_latency_table(options.latency).value());
}

// The steps of the search, with progress and a checkpoint per epoch. False: it was interrupted.
bool run(const search::Options& options, bitdial::MixedPrecisionSearch& search) {
  namespace train = bitdial::train;
  const std::string checkpoint = options.out + "/search.checkpoint";
  if (options.resume) {
    search.set_position(
        train::load_checkpoint(checkpoint, options.configuration(), search.state()));
  }
  const auto save = [&] {
    train::save_checkpoint(checkpoint, options.configuration(), search.position(), search.state());
  };
  train::Progress progress(options.progress(), {.epochs = options.epochs,
                                                .steps_per_epoch = search.steps_per_epoch(),
                                                .images_per_step = search::batch_size,
                                                .first_step = search.position()});
  const double start = search.costs().of_equal_shares();
  train::RunningMean loss, share;
  std::signal(SIGINT, [](int) { interrupted = 1; });
  static_cast<void>(search.run([&](const bitdial::SearchReport& report) {
    loss.add(static_cast<double>(report.training.losses.front()));
    share.add(static_cast<double>(report.training.accuracies.front()));
    const std::vector<train::NamedShare> shares{{"top-1", share.mean()},
                                                {"cost", report.cost / start}};
    progress.step(loss.mean(), shares);
    if (search.position() % search.steps_per_epoch() == 0) {
      progress.end_epoch(loss.mean(), shares);
      loss = share = {};
      save();
    }
    return interrupted == 0;
  }));
  std::signal(SIGINT, SIG_DFL);
  if (!search.done()) save();
  return search.done();
}

// "62 21 10 7": shares in percent, widest first.
std::string percents(const bitdial::BitShares& operand) {
  std::string text;
  for (const double share : operand.shares()) {
    text += bitdial::concat(text.empty() ? "" : " ", bitdial::train::fixed(100.0 * share, 0));
  }
  return text;
}

void print_layers(bitdial::nn::Module& network, const bitdial::SearchCosts& costs,
                  const PrecisionPlan& plan) {
  namespace train = bitdial::train;
  train::Table table({{"layer", train::Align::left},
                      {"weights 4 3 2 1, %"},
                      {"activations 4 3 2, %"},
                      {"largest"},
                      {"plan"},
                      {"cost, %"}});
  const double total = costs.of(plan);
  const auto layers = bitdial::searched_layers(network);
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const bitdial::LayerCosts& cost = costs.layers()[l];
    const bitdial::BitShares w = layers[l].second->weight_shares();
    const bitdial::BitShares a = layers[l].second->activation_shares();
    const bitdial::Precision chosen = plan.at(cost.position);
    table.add_row({cost.name, percents(w), percents(a),
                   bitdial::Precision{.w = w.chosen(), .a = a.chosen()}.text(), chosen.text(),
                   train::fixed(100.0 * cost.at(chosen) / total, 1)});
  }
  std::printf("\n%s\n", train::to_text(table).c_str());
}

int search_and_write(const search::Options& options) {
  namespace train = bitdial::train;
  bitdial::set_thread_count(options.threads);
  std::filesystem::create_directories(options.out);
  const search::Images images = search::load_images(options);
  const bitdial::Shape image = images.train.image_shape();
  const auto network =
      bitdial::models::resnet_cifar<Widths, bitdial::GaussianWeights, bitdial::HwgqActivations>(
          search::network_options(options, images.train));
  bitdial::nn::initialize(*network, options.seed);
  bitdial::SearchOptions search_options{.training =
                                            search::recipe(options, images, options.epochs, 0.1F)};
  if (options.complexity_weight >= 0.0) {
    search_options.complexity_weight = options.complexity_weight;
  }
  bitdial::MixedPrecisionSearch search(*network, images.train, costs_of(options, *network, image),
                                       search_options);
  if (!run(options, search)) {
    std::fprintf(stderr, "interrupted; the same command with --resume goes on\n");
    return 130;
  }

  const bitdial::SearchCosts& costs = search.costs();
  const bool by_time = !options.latency.empty();
  // Bit operations of a width that is no whole number: by its square.
  const double two_bits = costs.of(PrecisionPlan::uniform("w2a2"));
  const double budget = !by_time                     ? two_bits * options.bits * options.bits / 4.0
                        : options.milliseconds > 0.0 ? options.milliseconds
                                                     : two_bits;
  const PrecisionPlan plan = bitdial::plan_within(*network, costs, budget, {.spend = true});
  print_layers(*network, costs, plan);
  const double bits = bitdial::average_bits(*network, image, plan);
  std::printf("cost %s of a budget of %s %s; w2a2 everywhere costs %s; bits on average %s\n",
              train::fixed(costs.of(plan), 4).c_str(), train::fixed(budget, 4).c_str(),
              costs.unit().c_str(), train::fixed(two_bits, 4).c_str(),
              train::fixed(bits, 3).c_str());

  std::vector<std::string> names;
  for (const auto& [name, layer] : bitdial::nn::quantized_layers(*network)) names.push_back(name);
  bitdial::PlanFile file = bitdial::PlanFile::of(plan, names).value();
  file.network = bitdial::concat(options.network, ", width ", options.width, ", ", image);
  file.cost = bitdial::concat(train::fixed(costs.of(plan), 4), " ", costs.unit(), ", ",
                              train::fixed(bits, 3), " bits on average");
  const std::string path = options.out + "/plan.txt";
  bitdial::write_plan_file(path, file).value();
  std::printf("wrote %s\n", path.c_str());

  if (options.train_epochs > 0) {
    const PrecisionPlan read = bitdial::read_plan_file(path).value().plan_for(names).value();
    const std::string model = options.out + "/model.bitdial";
    const search::Retrained result = search::train_and_pack(options, images, read, model);
    std::printf("trained at the plan: top-1 %s; packed into %s: %s\n",
                train::percent(result.top1, 2).c_str(), model.c_str(),
                result.identical ? "the same answers, bit for bit" : "OTHER ANSWERS");
    if (!result.identical) return 1;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const search::Options options = search::parse_options(argc, argv);
  try {
    return search_and_write(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
