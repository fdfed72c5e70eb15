// SPDX-License-Identifier: Apache-2.0
#include <bitdial/search/mixed_precision_search.hpp>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/data/synthetic.hpp>
#include <bitdial/models/resnet_cifar.hpp>
#include <bitdial/nn/init.hpp>
#include <bitdial/quant/plan_file.hpp>
#include <bitdial/search/composite_layer.hpp>
#include <bitdial/search/plan_within.hpp>
#include <bitdial/train/checkpoint.hpp>
#include <support/packed_outputs.hpp>

using namespace bitdial;

namespace {

using Widths = Candidates<BitList<4, 3, 2, 1>, BitList<4, 3, 2>>;
const Shape image{12, 12, 1};
const models::ResNetCifarOptions tiny{.depth = 8, .width = 4, .in_channels = 1};

const data::Dataset& images() {
  static const data::Dataset all =
      data::make_synthetic({.count = 96, .size = 12, .noise = 8, .seed = 2});
  return all;
}

std::unique_ptr<nn::Sequential> searched_network() {
  auto net = models::resnet_cifar<Widths, GaussianWeights, HwgqActivations>(tiny);
  nn::initialize(*net, 4);
  return net;
}

SearchOptions options_with(std::optional<double> complexity_weight = {}) {
  return {.training = {.epochs = 2,
                       .batch_size = 16,
                       .learning_rate = train::ConstantSchedule{.rate = 0.05F},
                       .augment = {.shift = 1},
                       .seed = 3},
          .complexity_weight = complexity_weight};
}

std::vector<std::vector<float>> values_of(const nn::Named<Tensor<float>>& tensors) {
  std::vector<std::vector<float>> values;
  for (const auto& [name, tensor] : tensors) {
    values.emplace_back(tensor->span().begin(), tensor->span().end());
  }
  return values;
}

}  // namespace

TEST_CASE("two optimizers, one batch: each moves its own parameters with its own rate") {
  const auto net = searched_network();
  SearchOptions options = options_with(0.0);
  options.weights.weight_decay = 0.0F;
  options.architecture.weight_decay = 0.0F;
  MixedPrecisionSearch search(*net, images(), bit_operation_costs(*net, image), options);
  std::vector<std::vector<float>> before;
  for (const auto& [name, p] : nn::parameters(*net)) {
    before.emplace_back(p->value.span().begin(), p->value.span().end());
  }
  const SearchReport report = search.step();
  CHECK(report.penalty == 0.0);
  CHECK(report.training.losses.size() == 1);
  std::size_t i = 0;
  for (const auto& entry : nn::parameters(*net)) {
    CAPTURE(entry.first);
    nn::Parameter* const p = entry.second;
    const bool is_alpha = p->role == nn::ParameterRole::architecture;
    for (std::size_t k = 0; k < before[i].size(); ++k) {
      const float rate = is_alpha ? 0.1F * 0.05F : 0.05F;
      CHECK(p->value.span()[k] == doctest::Approx(before[i][k] - rate * p->grad.span()[k]));
    }
    ++i;
  }
}

TEST_CASE("the penalty is the only difference that a complexity weight makes") {
  const auto gradients = [](double complexity_weight) {
    const auto net = searched_network();
    MixedPrecisionSearch search(*net, images(), bit_operation_costs(*net, image),
                                options_with(complexity_weight));
    const SearchReport report = search.step();
    CHECK(report.penalty == doctest::Approx(complexity_weight * report.cost));
    std::vector<std::vector<float>> slopes;
    for (const auto& [name, p] : nn::parameters(*net)) {
      slopes.emplace_back(p->grad.span().begin(), p->grad.span().end());
    }
    return slopes;
  };
  const auto net = searched_network();
  const std::vector<PrecisionPlan> real_valued{PrecisionPlan{}};
  add_plans(*net, real_valued);  // as the search does: the same parameters
  bit_operation_costs(*net, image).add_gradient(*net, 0.5);
  const auto with = gradients(0.5);
  const auto without = gradients(0.0);
  std::size_t i = 0;
  for (const auto& entry : nn::parameters(*net)) {
    CAPTURE(entry.first);
    nn::Parameter* const p = entry.second;
    for (std::size_t k = 0; k < with[i].size(); ++k) {
      CHECK(with[i][k] - without[i][k] == doctest::Approx(p->grad.span()[k]).epsilon(1e-4));
    }
    ++i;
  }
}

TEST_CASE("a heavy penalty ends at the cheapest plan, none keeps the mean") {
  const auto net = searched_network();
  MixedPrecisionSearch heavy(*net, images(), bit_operation_costs(*net, image), options_with(10.0));
  const double start = heavy.expected_cost();
  CHECK(start == doctest::Approx(heavy.costs().of_equal_shares()));
  CHECK(MixedPrecisionSearch(*searched_network(), images(), bit_operation_costs(*net, image),
                             options_with())
            .complexity_weight() == doctest::Approx(0.36 / start));
  int calls = 0;
  const PrecisionPlan plan = heavy.run([&](const SearchReport&) {
    ++calls;
    return true;
  });
  CHECK(calls == heavy.total_steps());
  CHECK(heavy.done());
  CHECK(heavy.expected_cost() < 0.5 * start);
  CHECK(heavy.costs().of(plan) ==
        doctest::Approx(heavy.costs().of(PrecisionPlan::uniform("w1a2"))));
  CHECK(plan.at(0) == Precision{8, 8});
}

TEST_CASE("same seed, same plan, on any number of threads; stopped and resumed") {
  std::vector<std::vector<std::vector<float>>> ends;
  std::vector<PrecisionPlan> plans;
  for (const int threads : {1, 2, 7}) {
    set_thread_count(threads);
    const auto net = searched_network();
    MixedPrecisionSearch search(*net, images(), bit_operation_costs(*net, image), options_with());
    plans.push_back(search.run());
    ends.push_back(values_of(search.state()));
  }
  set_thread_count(0);
  CHECK(ends[1] == ends[0]);
  CHECK(ends[2] == ends[0]);

  const std::string path = "mixed_precision_search_test.checkpoint";
  {
    const auto net = searched_network();
    MixedPrecisionSearch first(*net, images(), bit_operation_costs(*net, image), options_with());
    static_cast<void>(first.run([&](const SearchReport& r) { return r.training.step < 4; }));
    CHECK(first.position() == 5);
    train::save_checkpoint(path, "search", first.position(), first.state());
  }
  const auto net = searched_network();
  MixedPrecisionSearch second(*net, images(), bit_operation_costs(*net, image), options_with());
  second.set_position(train::load_checkpoint(path, "search", second.state()));
  CHECK(second.run() == plans[0]);
  CHECK(values_of(second.state()) == ends[0]);
  std::remove(path.c_str());
}

TEST_CASE("search, plan file, training at the plan, packing, running: one chain") {
  const auto net = searched_network();
  const SearchCosts costs = bit_operation_costs(*net, image);
  MixedPrecisionSearch search(*net, images(), costs, options_with());
  static_cast<void>(search.run());
  const double budget = costs.of(PrecisionPlan::uniform("w2a2"));
  const PrecisionPlan found = plan_within(*net, costs, budget, {.spend = true});
  CHECK(costs.of(found) <= budget);
  CHECK_FALSE(found.is_uniform());

  std::vector<std::string> names;
  for (const auto& [name, layer] : nn::quantized_layers(*net)) names.push_back(name);
  PlanFile file = PlanFile::of(found, names).value();
  file.network = "resnet8, 12 x 12 x 1";
  const std::string path = "mixed_precision_search_test.plan";
  REQUIRE(write_plan_file(path, file));

  const PrecisionPlan plan = read_plan_file(path).value().plan_for(names).value();
  CHECK(plan == found);
  const auto retrained =
      models::resnet_cifar<BitList<4, 3, 2, 1>, GaussianWeights, HwgqActivations>(tiny);
  CHECK(average_bits(*retrained, image, plan) <= 2.0 + 1e-9);
  nn::initialize(*retrained, 6);
  const std::vector<PrecisionPlan> plans{plan};
  add_plans(*retrained, plans);
  for (const float loss : test::train_step(*retrained, image, plans, 6, 7)) {
    CHECK(std::isfinite(loss));
  }
  test::check_packed_outputs(*retrained, image, plans, 5, 8);
  std::remove(path.c_str());
}

TEST_CASE("options out of range are named") {
  const auto net = searched_network();
  const SearchCosts costs = bit_operation_costs(*net, image);
  const auto made = [&](const SearchOptions& options) {
    MixedPrecisionSearch{*net, images(), costs, options};
  };
  SearchOptions options = options_with();
  options.training.plans = {Precision{8, 8}};
  CHECK_THROWS_WITH_AS(made(options),
                       "search: training.plans must be empty, the search finds the plan; it has 1",
                       ConfigError);
  options = options_with(-1.0);
  CHECK_THROWS_WITH_AS(made(options), "search: expected complexity_weight >= 0, got -1",
                       ConfigError);
  options = options_with();
  options.architecture_rate = -0.1F;
  CHECK_THROWS_AS(made(options), ConfigError);
  CHECK_THROWS_WITH_AS(static_cast<void>(costs.expected(*models::resnet_cifar<BitList<2>>(tiny))),
                       doctest::Contains("the costs were made for another network"), ConfigError);
}
