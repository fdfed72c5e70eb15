// SPDX-License-Identifier: Apache-2.0
// The networks that are measured, packed with random weights.
#pragma once

#include <bitdial/deploy/pack.hpp>
#include <bitdial/models/mobilenet_v1.hpp>
#include <bitdial/models/mobilenet_v2.hpp>
#include <bitdial/models/resnet_cifar.hpp>
#include <bitdial/models/resnet_imagenet.hpp>
#include <bitdial/nn/cost.hpp>
#include <bitdial/quant/policies/dorefa.hpp>
#include <bitdial/quant/policies/two_sided.hpp>
#include <bitdial/runtime.hpp>
#include <bitdial/search/measure_latency.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bench {

using Widths = bitdial::BitList<8, 7, 6, 5, 4, 3, 2, 1>;
using NetworkPtr = std::unique_ptr<bitdial::nn::Sequential>;

/// A network by its name and image size, as in "resnet20@32".
struct NetworkCase {
  std::string_view name;
  bitdial::Shape image;  ///< [H, W, C]
  int classes = 0;
  NetworkPtr (*build)(bitdial::Precision first_and_last);
};

// DoReFa's quantizers everywhere, as the peers have them.
using Weights = bitdial::DoReFaWeights;
using Activations = bitdial::DoReFaActivations;
using SignedActivations = bitdial::TwoSidedActivations;

inline constexpr bitdial::Precision eight_bits{.w = 8, .a = 8};

[[nodiscard]] inline NetworkPtr build_resnet20(bitdial::Precision first_and_last) {
  return bitdial::models::resnet_cifar<Widths, Weights, Activations>(
      {.depth = 20, .first_and_last = first_and_last});
}

/// What `bench_models` runs.
inline const std::vector<NetworkCase>& inference_networks() {
  using bitdial::models::resnet_imagenet;
  static const std::vector<NetworkCase> all{
      {"resnet20@32", {32, 32, 3}, 10, build_resnet20},
      {"resnet18@224",
       {224, 224, 3},
       1000,
       [](bitdial::Precision edges) {
         return resnet_imagenet<Widths, Weights, Activations>(
             {.depth = 18, .first_and_last = edges});
       }},
      {"mobilenet-v1@224",
       {224, 224, 3},
       1000,
       [](bitdial::Precision edges) {
         return bitdial::models::mobilenet_v1<Widths, Weights, Activations, SignedActivations>(
             {.first_and_last = edges});
       }},
      {"mobilenet-v2@224",
       {224, 224, 3},
       1000,
       [](bitdial::Precision edges) {
         return bitdial::models::mobilenet_v2<Widths, Weights, Activations, SignedActivations>(
             {.first_and_last = edges});
       }},
  };
  return all;
}

/// What `bench_training` trains.
inline const std::vector<NetworkCase>& training_networks() {
  using bitdial::models::resnet_imagenet, bitdial::models::ResNetStem;
  static const std::vector<NetworkCase> all{
      {"resnet20@32", {32, 32, 3}, 10, build_resnet20},
      {"resnet18@64",
       {64, 64, 3},
       200,
       [](bitdial::Precision edges) {
         return resnet_imagenet<Widths, Weights, Activations>(
             {.depth = 18, .stem = ResNetStem::conv3, .classes = 200, .first_and_last = edges});
       }},
      {"mobilenet-v2@64",
       {64, 64, 3},
       200,
       [](bitdial::Precision edges) {
         return bitdial::models::mobilenet_v2<Widths, Weights, Activations, SignedActivations>(
             {.stem_stride = 1, .classes = 200, .first_and_last = edges});
       }},
  };
  return all;
}

/// A network with random weights: the bytes of its model file, and the multiply-accumulates of one
/// image.
struct RandomModel {
  std::vector<std::byte> bytes;
  double macs = 0.0;
};

[[nodiscard]] inline RandomModel random_model(const NetworkCase& chosen,
                                              const std::vector<bitdial::PrecisionPlan>& plans) {
  const NetworkPtr network = chosen.build(eight_bits);
  bitdial::nn::initialize(*network, 1);
  bitdial::add_plans(*network, plans);
  bitdial::PackedNetwork packed =
      bitdial::pack(*network, {.plans = plans, .input_shape = chosen.image});
  bitdial::set_plausible_statistics(packed, *network);
  const auto cost = bitdial::nn::cost(*network, chosen.image);
  return {bitdial::model_bytes(packed).value(), static_cast<double>(cost.multiply_accumulates())};
}

}  // namespace bench
