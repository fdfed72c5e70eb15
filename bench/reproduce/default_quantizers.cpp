// SPDX-License-Identifier: Apache-2.0
// The quantizers that a network has when nobody names any, learned clips, against DoReFa's: in
// networks that no other claim trains.
#include <bitdial/models/mobilenet_v2.hpp>
#include <bitdial/models/resnet_imagenet.hpp>
#include <bitdial/quant/policies/dorefa.hpp>
#include <bitdial/quant/policies/two_sided.hpp>
#include <bitdial/train/format.hpp>

#include "experiment.hpp"

namespace reproduce {
namespace {

using Widths = bitdial::BitList<8, 4, 2, 1>;
using Weights = bitdial::DoReFaWeights;

bitdial::models::ResNetImageNetOptions resnet18_options(const Settings& settings) {
  return {.stem = bitdial::models::ResNetStem::conv3,
          .width = settings.width,
          .classes = settings.classes};
}

/// The width that the paper's MobileNet-V2 multiplies by: a stem of `Settings::width` channels.
bitdial::models::MobileNetV2Options mobilenet_v2_options(const Settings& settings) {
  return {.width = static_cast<double>(settings.width) / 32.0,
          .stem_stride = 1,
          .classes = settings.classes};
}

struct Arm {
  std::string name;
  NetworkPtr (*build)(const Settings&);
};

std::vector<Arm> arms() {
  using bitdial::DoReFaActivations, bitdial::TwoSidedActivations;
  using bitdial::models::mobilenet_v2, bitdial::models::resnet_imagenet;
  return {{"ResNet-18, defaults",
           [](const Settings& s) -> NetworkPtr {
             return resnet_imagenet<Widths>(resnet18_options(s));
           }},
          {"ResNet-18, DoReFa",
           [](const Settings& s) -> NetworkPtr {
             return resnet_imagenet<Widths, Weights, DoReFaActivations>(resnet18_options(s));
           }},
          {"MobileNet-V2, defaults",
           [](const Settings& s) -> NetworkPtr {
             return mobilenet_v2<Widths>(mobilenet_v2_options(s));
           }},
          {"MobileNet-V2, DoReFa", [](const Settings& s) -> NetworkPtr {
             return mobilenet_v2<Widths, Weights, DoReFaActivations, TwoSidedActivations>(
                 mobilenet_v2_options(s));
           }}};
}

void run(const Settings& settings, const Recorder& record) {
  const Images images = read_images(settings);
  const auto plans = joint_plans();
  for (const std::uint64_t seed : settings.seeds) {
    for (const Arm& arm : arms()) {
      const auto network = arm.build(settings);
      bitdial::nn::initialize(*network, seed);
      bitdial::add_plans(*network, plans);
      auto options = recipe(settings, images, plans, seed);
      options.teaching = bitdial::methods::sp_nets();
      fit(*network, images, options, bitdial::concat(arm.name, ", seed ", seed));
      record_plans(record, arm.name, seed, *network, images, plans);
    }
  }
}

std::string finding(const std::vector<Row>& rows) {
  std::vector<std::string> parts;
  for (const std::string network : {"ResNet-18", "MobileNet-V2"}) {
    parts.push_back("defaults minus DoReFa in " + network + ": " +
                    gains(rows, network + ", defaults", network + ", DoReFa"));
  }
  return bitdial::join(parts, "; ");
}

std::string networks(const Settings& settings) {
  return bitdial::concat("ResNet-18 with ", settings.width, " to ", 8 * settings.width,
                         " channels and a stem for 32 pixels, MobileNet-V2 of width ",
                         bitdial::train::fixed(mobilenet_v2_options(settings).width, 2));
}

}  // namespace

Claim default_quantizers() {
  return {.name = "default-quantizers",
          .source = "PACT, 1805.06085",
          .text =
              "Learned clips, the default, are at least as accurate as DoReFa's fixed range in "
              "one network for all widths.",
          .chooses_quantizers = false,
          .networks = networks,
          .run = run,
          .finding = finding};
}

}  // namespace reproduce
