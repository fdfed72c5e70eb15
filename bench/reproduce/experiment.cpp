// SPDX-License-Identifier: Apache-2.0
#include "experiment.hpp"

#include <algorithm>
#include <bitdial/data/cifar.hpp>
#include <bitdial/quant/policies/adabits.hpp>
#include <bitdial/quant/policies/gaussian.hpp>
#include <bitdial/quant/policies/hwgq.hpp>
#include <bitdial/quant/policies/pact.hpp>
#include <bitdial/quant/policies/sign.hpp>
#include <bitdial/train/evaluate.hpp>
#include <bitdial/train/progress.hpp>
#include <bitdial/train/sgd.hpp>
#include <cmath>
#include <cstdio>
#include <utility>

#include "truncated_weights.hpp"

namespace reproduce {
namespace {

using Widths = bitdial::BitList<8, 4, 2, 1>;

/// The first `count` images of `all` whose class is one of the first `classes`.
[[nodiscard]] bitdial::data::Dataset first_classes(const bitdial::data::Dataset& all,
                                                   std::int64_t classes, std::int64_t count) {
  std::vector<std::int64_t> chosen;
  for (std::int64_t i = 0; i < all.size() && std::ssize(chosen) < count; ++i) {
    if (all.label(i) < classes) chosen.push_back(i);
  }
  const auto wanted = static_cast<std::int64_t>(chosen.size());
  bitdial::Tensor<std::uint8_t> images(all.images().shape().with(0, wanted));
  std::vector<std::int32_t> labels;
  std::uint8_t* to = images.data();
  for (const std::int64_t i : chosen) {
    to = std::ranges::copy(all.image(i), to).out;
    labels.push_back(all.label(i));
  }
  const auto& names = all.class_names();
  return {all.name(),
          std::move(images),
          std::move(labels),
          {names.begin(), names.begin() + static_cast<std::ptrdiff_t>(classes)}};
}

/// Weights of one policy; activations are DoReFa's or PACT's.
template <class WeightPolicy, class Key = bitdial::KeyByPair>
[[nodiscard]] NetworkPtr resnet20_of(const Settings& settings, const WeightPolicy& weights = {}) {
  using bitdial::models::resnet_cifar;
  const auto options = resnet20_options(settings);
  if (settings.quantizers == "pact") {
    return resnet_cifar<Widths, WeightPolicy, bitdial::PactActivations, Key>(options,
                                                                             {.weights = weights});
  }
  return resnet_cifar<Widths, WeightPolicy, bitdial::DoReFaActivations, Key>(options,
                                                                             {.weights = weights});
}

/// The quantizers that the settings name.
template <class Key>
[[nodiscard]] NetworkPtr resnet20_as_told(const Settings& settings) {
  if (settings.quantizers != "hwgq") return resnet20_of<bitdial::DoReFaWeights, Key>(settings);
  auto options = resnet20_options(settings);
  options.order = bitdial::models::ResidualOrder::preactivated;
  return bitdial::models::resnet_cifar<Widths, bitdial::GaussianWeights, bitdial::HwgqActivations,
                                       Key>(options);
}

/// Of a whole run.
[[nodiscard]] std::int64_t steps_of(const Settings& settings, const Images& images) {
  return settings.epochs * (images.train.size() / settings.batch);
}

/// A difference of shares as `+1.23`, in points.
[[nodiscard]] std::string points(double difference) {
  return (difference < 0.0 ? "-" : "+") + bitdial::train::fixed(100.0 * std::abs(difference), 2);
}

/// The mean, the least and the largest.
struct Spread {
  double mean = 0.0, least = 0.0, largest = 0.0;
};

[[nodiscard]] Spread spread_of(const std::vector<double>& values) {
  double sum = 0.0;
  for (const double value : values) sum += value;
  const auto [least, largest] = std::ranges::minmax(values);
  return {sum / static_cast<double>(values.size()), least, largest};
}

}  // namespace

std::string resnet20_text(const Settings& settings) {
  return bitdial::concat("ResNet-20 with ", settings.width, " to ", 4 * settings.width,
                         " channels");
}

Images read_images(const Settings& settings) {
  namespace data = bitdial::data;
  const auto part = [&](const char* file, std::int64_t count) {
    return first_classes(data::read_cifar({.kind = data::CifarKind::cifar100_fine,
                                           .files = {settings.data + '/' + file},
                                           .name = "CIFAR-100"}),
                         settings.classes, count);
  };
  return {part("train.bin", settings.train_images), part("test.bin", settings.test_images)};
}

std::vector<bitdial::PrecisionPlan> uniform_plans(
    std::initializer_list<bitdial::Precision> precisions) {
  return {precisions.begin(), precisions.end()};
}

std::vector<bitdial::PrecisionPlan> joint_plans() {
  return uniform_plans({{32, 32}, {8, 8}, {4, 4}, {2, 2}, {1, 1}});
}

bitdial::models::ResNetCifarOptions resnet20_options(const Settings& settings) {
  return {.depth = 20, .width = settings.width, .classes = settings.classes};
}

NetworkPtr resnet20(const Settings& settings, Quantization quantization) {
  switch (quantization) {
    case Quantization::as_told:
      return resnet20_as_told<bitdial::KeyByPair>(settings);
    case Quantization::shared_state:
      return resnet20_as_told<bitdial::KeyShared>(settings);
    case Quantization::dorefa:
      return resnet20_of<bitdial::DoReFaWeights>(settings);
    case Quantization::dorefa_truncated:
      return resnet20_of<TruncatedDoReFaWeights>(settings);
    case Quantization::adabits:
      return resnet20_of<bitdial::AdaBitsWeights>(settings);
    case Quantization::adabits_centred:
      return resnet20_of(settings, bitdial::AdaBitsWeights{bitdial::AdaBitsGrid::centred});
    case Quantization::binary:
      return bitdial::models::resnet_cifar<Widths, bitdial::SignWeights,
                                           bitdial::DoReFaActivations>(
          resnet20_options(settings),
          {.activations = {.one_bit = bitdial::OneBitActivations::sign}});
  }
  return nullptr;
}

void prepare(bitdial::nn::Module& network, const std::vector<bitdial::PrecisionPlan>& plans,
             std::uint64_t seed) {
  bitdial::nn::initialize(network, seed);
  bitdial::add_plans(network, plans);
}

NetworkPtr resnet20(const Settings& settings, const std::vector<bitdial::PrecisionPlan>& plans,
                    std::uint64_t seed, Quantization quantization) {
  NetworkPtr network = resnet20(settings, quantization);
  prepare(*network, plans, seed);
  return network;
}

bitdial::train::TrainerOptions recipe(const Settings& settings, const Images& images,
                                      const std::vector<bitdial::PrecisionPlan>& plans,
                                      std::uint64_t seed) {
  const std::int64_t steps = steps_of(settings, images);
  return {
      .plans = plans,
      .epochs = settings.epochs,
      .batch_size = settings.batch,
      .learning_rate = bitdial::train::CosineSchedule({.rate = static_cast<float>(settings.rate),
                                                       .steps = std::max<std::int64_t>(2, steps),
                                                       .warmup = steps / 20}),
      .teaching = bitdial::methods::adabits(),
      .augment = {.shift = 4, .flip = true},
      .seed = seed};
}

void fit(bitdial::nn::Module& network, const Images& images,
         const bitdial::train::TrainerOptions& options, const std::string& label) {
  bitdial::train::Sgd optimizer(bitdial::nn::parameters(network),
                                {.momentum = 0.9F, .nesterov = true, .weight_decay = 1e-4F});
  fit(network, images, options, label, optimizer);
}

void fit(bitdial::nn::Module& network, const Images& images,
         const bitdial::train::TrainerOptions& options, const std::string& label,
         bitdial::train::Optimizer& optimizer) {
  namespace train = bitdial::train;
  std::printf("--- %s\n", label.c_str());
  train::Trainer trainer(network, images.train, optimizer, options);
  train::ProgressOptions style = train::progress_on(stdout);
  style.line_interval = 60.0;
  train::Progress progress(style, {.epochs = options.epochs,
                                   .steps_per_epoch = trainer.steps_per_epoch(),
                                   .images_per_step = options.batch_size});
  std::vector<train::RunningMean> shares(options.plans.size());
  train::RunningMean loss;
  while (!trainer.done()) {
    const train::StepReport report = trainer.step();
    std::vector<train::NamedShare> shown;
    loss.add(static_cast<double>(report.losses.front()));
    for (std::size_t p = 0; p < shares.size(); ++p) {
      shares[p].add(static_cast<double>(report.accuracies[p]));
      shown.push_back({options.plans[p].text(), shares[p].mean()});
    }
    progress.step(loss.mean(), shown);
    if (trainer.position() % trainer.steps_per_epoch() != 0) continue;
    progress.end_epoch(loss.mean(), shown);
    std::ranges::fill(shares, train::RunningMean{});
    loss = {};
  }
}

double test(bitdial::nn::Module& network, const Images& images,
            const bitdial::PrecisionPlan& plan) {
  const auto logits = bitdial::train::evaluate(network, images.test, plan);
  const auto correct = bitdial::train::top_k_correct(logits.view(), images.test.labels(), 1);
  return static_cast<double>(correct) / static_cast<double>(images.test.size());
}

void record_plans(const Recorder& record, const std::string& arm, std::uint64_t seed,
                  bitdial::nn::Module& network, const Images& images,
                  const std::vector<bitdial::PrecisionPlan>& plans) {
  for (const auto& plan : plans) {
    record(
        {.arm = arm, .seed = seed, .precision = plan.text(), .top1 = test(network, images, plan)});
  }
}

void run_arm(const Settings& settings, const Images& images, const Arm& arm, std::uint64_t seed,
             const Recorder& record) {
  const auto plans = joint_plans();
  const auto network = arm.build(settings);
  prepare(*network, plans, seed);
  auto options = recipe(settings, images, plans, seed);
  options.teaching = arm.teaching;
  if (arm.swaps_blocks) {
    options.block_swap = bitdial::train::BlockSwap::coquant(steps_of(settings, images));
  }
  fit(*network, images, options, bitdial::concat(arm.name, ", seed ", seed));
  record_plans(record, arm.name, seed, *network, images, plans);
}

void compare(const Settings& settings, const Recorder& record, const std::vector<Arm>& arms) {
  const Images images = read_images(settings);
  for (const std::uint64_t seed : settings.seeds) {
    for (const Arm& arm : arms) run_arm(settings, images, arm, seed, record);
  }
}

std::map<std::uint64_t, double> top1_by_seed(const std::vector<Row>& rows, std::string_view arm,
                                             std::string_view precision) {
  std::map<std::uint64_t, bitdial::train::RunningMean> means;
  for (const Row& row : rows) {
    if (row.arm != arm || (!precision.empty() && row.precision != precision)) continue;
    means[row.seed].add(row.top1);
  }
  std::map<std::uint64_t, double> result;
  for (const auto& [seed, mean] : means) result.emplace(seed, mean.mean());
  return result;
}

std::string shares_text(const std::map<std::uint64_t, double>& by_seed) {
  std::vector<double> shares;
  for (const auto& [seed, share] : by_seed) shares.push_back(share);
  if (shares.empty()) return "no run";
  const auto [mean, least, largest] = spread_of(shares);
  std::string text = bitdial::train::percent(mean, 2);
  if (shares.size() == 1) return text;
  return bitdial::concat(text, " (", bitdial::train::fixed(100.0 * least, 2), " to ",
                         bitdial::train::fixed(100.0 * largest, 2), ")");
}

std::string gain_text(const std::map<std::uint64_t, double>& a,
                      const std::map<std::uint64_t, double>& b) {
  std::vector<double> gains;
  for (const auto& [seed, share] : a) {
    if (b.contains(seed)) gains.push_back(share - b.at(seed));
  }
  if (gains.empty()) return "no run";
  const auto [mean, least, largest] = spread_of(gains);
  const std::string text = points(mean) + " points";
  if (gains.size() == 1) return text;
  return bitdial::concat(text, " (", points(least), " to ", points(largest), ")");
}

std::string gains(const std::vector<Row>& rows, std::string_view a, std::string_view b) {
  std::vector<std::string> seen, parts;
  for (const Row& row : rows) {
    if (row.arm != a || std::ranges::count(seen, row.precision) > 0) continue;
    seen.push_back(row.precision);
    parts.push_back(
        row.precision + ' ' +
        gain_text(top1_by_seed(rows, a, row.precision), top1_by_seed(rows, b, row.precision)));
  }
  return bitdial::join(parts);
}

}  // namespace reproduce
