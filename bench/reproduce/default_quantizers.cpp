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
using Activations = bitdial::DoReFaActivations;

template <class... Policies>
NetworkPtr resnet18(const Settings& settings) {
  return bitdial::models::resnet_imagenet<Widths, Policies...>(
      {.width = settings.width,
       .stem = bitdial::models::ResNetStem::conv3,
       .classes = settings.classes});
}

/// The width that the paper's MobileNet-V2 multiplies by: a stem of `Settings::width` channels.
bitdial::models::MobileNetV2Options mobilenet_v2_options(const Settings& settings) {
  return {.width = static_cast<double>(settings.width) / 32.0,
          .stem_stride = 1,
          .classes = settings.classes};
}

template <class... Policies>
NetworkPtr mobilenet_v2(const Settings& settings) {
  return bitdial::models::mobilenet_v2<Widths, Policies...>(mobilenet_v2_options(settings));
}

void run(const Settings& settings, const Recorder& record) {
  const bitdial::Teaching taught = bitdial::methods::sp_nets();
  compare(
      settings, record,
      {{.name = "ResNet-18, defaults", .build = resnet18<>, .teaching = taught},
       {.name = "ResNet-18, DoReFa", .build = resnet18<Weights, Activations>, .teaching = taught},
       {.name = "MobileNet-V2, defaults", .build = mobilenet_v2<>, .teaching = taught},
       {.name = "MobileNet-V2, DoReFa",
        .build = mobilenet_v2<Weights, Activations, bitdial::TwoSidedActivations>,
        .teaching = taught}});
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
