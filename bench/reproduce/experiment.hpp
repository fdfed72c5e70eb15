// SPDX-License-Identifier: Apache-2.0
// The parts that all claims share: images, ResNet-20, training with one recipe, the test.
#pragma once

#include <bitdial/data/dataset.hpp>
#include <bitdial/models/resnet_cifar.hpp>
#include <bitdial/nn/sequential.hpp>
#include <bitdial/switchable/methods.hpp>
#include <bitdial/train/trainer.hpp>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "claim.hpp"

namespace reproduce {

using NetworkPtr = std::unique_ptr<bitdial::nn::Sequential>;

struct Images {
  bitdial::data::Dataset train;
  bitdial::data::Dataset test;
};

/// The images of CIFAR-100 that the settings ask for.
[[nodiscard]] Images read_images(const Settings& settings);

[[nodiscard]] std::vector<bitdial::PrecisionPlan> uniform_plans(
    std::initializer_list<bitdial::Precision> precisions);

/// {32, 8, 4, 2, 1} bits for weights and activations, highest first.
[[nodiscard]] std::vector<bitdial::PrecisionPlan> joint_plans();

/// How a network is quantized. First and last layer have 8 bits at every plan.
enum class Quantization {
  as_told,           ///< `Settings::quantizers`
  shared_state,      ///< the same with one batch normalisation for all plans
  dorefa,            ///< DoReFa weights, whatever the settings say
  dorefa_truncated,  ///< narrow DoReFa weights cut off from those of 8 bits
  adabits,           ///< AdaBits' modified floor grid for weights
  adabits_centred,   ///< AdaBits' weights in the middle of their cells
  binary,            ///< signs as weights, DoReFa activations; one bit of them is a sign too
};

/// The size of ResNet-20 that the settings ask for.
[[nodiscard]] bitdial::models::ResNetCifarOptions resnet20_options(const Settings& settings);

/// ResNet-20 before `prepare`.
[[nodiscard]] NetworkPtr resnet20(const Settings& settings,
                                  Quantization quantization = Quantization::as_told);

/// Draws the weights of a network and gives it its private state for `plans`.
void prepare(bitdial::nn::Module& network, const std::vector<bitdial::PrecisionPlan>& plans,
             std::uint64_t seed);

/// ResNet-20 after `prepare`.
[[nodiscard]] NetworkPtr resnet20(const Settings& settings,
                                  const std::vector<bitdial::PrecisionPlan>& plans,
                                  std::uint64_t seed,
                                  Quantization quantization = Quantization::as_told);

/// The recipe of every run: labels alone, a cosine with a short warm-up; images move by up to 4
/// pixels and flip.
[[nodiscard]] bitdial::train::TrainerOptions recipe(
    const Settings& settings, const Images& images,
    const std::vector<bitdial::PrecisionPlan>& plans, std::uint64_t seed);

/// Trains with SGD; a line per epoch on standard output says how far it is.
void fit(bitdial::nn::Module& network, const Images& images,
         const bitdial::train::TrainerOptions& options, const std::string& label);

/// The same with another optimizer.
void fit(bitdial::nn::Module& network, const Images& images,
         const bitdial::train::TrainerOptions& options, const std::string& label,
         bitdial::train::Optimizer& optimizer);

/// The share of right answers on the test images.
[[nodiscard]] double test(bitdial::nn::Module& network, const Images& images,
                          const bitdial::PrecisionPlan& plan);

/// Tests every plan and records a row of each.
void record_plans(const Recorder& record, const std::string& arm, std::uint64_t seed,
                  bitdial::nn::Module& network, const Images& images,
                  const std::vector<bitdial::PrecisionPlan>& plans);

/// One of several networks for `joint_plans`, or ways to train one, that a claim compares.
struct Arm {
  std::string name;
  /// The network before `prepare`.
  std::function<NetworkPtr(const Settings& settings)> build = [](const Settings& settings) {
    return resnet20(settings);
  };
  bitdial::Teaching teaching = bitdial::methods::adabits();
  bool swaps_blocks = false;  ///< as CoQuant does
};

/// Trains an arm with one seed and records a row per plan.
void run_arm(const Settings& settings, const Images& images, const Arm& arm, std::uint64_t seed,
             const Recorder& record);

/// Runs every arm with every seed.
void compare(const Settings& settings, const Recorder& record, const std::vector<Arm>& arms);

/// `top1` of an arm by seed, of one precision if one is given: the mean over its rows.
[[nodiscard]] std::map<std::uint64_t, double> top1_by_seed(const std::vector<Row>& rows,
                                                           std::string_view arm,
                                                           std::string_view precision = {});

/// `62.10 %`, and of several seeds the least and the largest: `62.10 % (61.20 to 63.00)`.
[[nodiscard]] std::string shares_text(const std::map<std::uint64_t, double>& by_seed);

/// `+0.40 points`, and of several seeds `+0.40 points (-0.20 to +1.00)`: `a` minus `b`, seed by
/// seed.
[[nodiscard]] std::string gain_text(const std::map<std::uint64_t, double>& a,
                                    const std::map<std::uint64_t, double>& b);

/// `w8a8 +0.40 points, w4a4 ...`: arm `a` minus arm `b` at every precision of arm `a`.
[[nodiscard]] std::string gains(const std::vector<Row>& rows, std::string_view a,
                                std::string_view b);

}  // namespace reproduce
