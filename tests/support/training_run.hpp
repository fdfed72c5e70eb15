// SPDX-License-Identifier: Apache-2.0
// A tiny network on tiny synthetic images, ready to train.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include <bitdial/data/synthetic.hpp>
#include <bitdial/nn/activation.hpp>
#include <bitdial/nn/conv2d.hpp>
#include <bitdial/nn/init.hpp>
#include <bitdial/nn/linear.hpp>
#include <bitdial/nn/pooling.hpp>
#include <bitdial/nn/sequential.hpp>
#include <bitdial/switchable/plan_mixture.hpp>
#include <bitdial/switchable/switchable_layer.hpp>
#include <bitdial/train/trainer.hpp>

namespace test {

inline const std::vector<bitdial::PrecisionPlan>& training_plans() {
  static const std::vector<bitdial::PrecisionPlan> plans{
      bitdial::Precision{8, 8}, bitdial::Precision{4, 4}, bitdial::Precision{2, 2}};
  return plans;
}

/// 12 x 12 grey images to 10 classes; initialised, with private state for `training_plans()` and
/// their mixtures.
template <class Key = bitdial::KeyByPair>
bitdial::nn::Sequential training_network(std::uint64_t seed = 1) {
  using Bits = bitdial::BitList<8, 4, 2>;
  using Conv = bitdial::SwitchableLayer<bitdial::nn::Conv2d, Bits, bitdial::DoReFaWeights,
                                        bitdial::DoReFaActivations, Key>;
  using Head = bitdial::SwitchableLayer<bitdial::nn::Linear, Bits, bitdial::DoReFaWeights,
                                        bitdial::DoReFaActivations, Key>;
  bitdial::nn::Sequential net;
  net.add<Conv>("stem", bitdial::nn::Conv2dOptions{
                            .in = 1, .out = 8, .kernel = 3, .stride = 2, .padding = 1});
  net.add<bitdial::nn::Relu>("stem.relu");
  net.add<Conv>("middle", bitdial::nn::Conv2dOptions{
                              .in = 8, .out = 16, .kernel = 3, .stride = 2, .padding = 1});
  net.add<bitdial::nn::Relu>("middle.relu");
  net.add<bitdial::nn::GlobalAveragePool>("pool");
  net.add<Head>("head", bitdial::nn::LinearOptions{.in = 16, .out = 10});
  bitdial::nn::number_layers(net);
  bitdial::nn::initialize(net, seed);
  bitdial::add_mixtures(net, training_plans());
  return net;
}

inline const bitdial::data::Dataset& training_data() {
  static const bitdial::data::Dataset data =
      bitdial::data::make_synthetic({.count = 70, .size = 12, .noise = 4, .contrast = 100});
  return data;
}

/// Network, optimizer and trainer of one run; the optimizer is built from the parameters.
template <class Optimizer, class OptimizerOptions, class Key = bitdial::KeyByPair>
struct TrainingRun {
  bitdial::nn::Sequential network = training_network<Key>();
  Optimizer optimizer;
  bitdial::train::Trainer trainer;

  TrainingRun(const OptimizerOptions& optimizer_options,
              bitdial::train::TrainerOptions trainer_options)
      : optimizer{bitdial::nn::parameters(network), optimizer_options},
        trainer{network, training_data(), optimizer, std::move(trainer_options)} {}
  TrainingRun(const TrainingRun&) = delete;
};

/// Copies of every tensor of a network.
inline std::vector<bitdial::Tensor<float>> snapshot(bitdial::nn::Module& network) {
  std::vector<bitdial::Tensor<float>> tensors;
  for (const auto& [name, tensor] : bitdial::nn::state(network)) tensors.push_back(*tensor);
  return tensors;
}

}  // namespace test
