// SPDX-License-Identifier: Apache-2.0
// Where the weights of all widths lie: one nested store of 8 bits, a pack of codes per width, or
// real values that are quantized at every switch; and what cutting bits off costs without nesting.
#include <algorithm>
#include <bitdial/deploy/pack.hpp>
#include <bitdial/nn/cost.hpp>
#include <bitdial/train/format.hpp>
#include <memory>
#include <utility>

#include "experiment.hpp"
#include "packed.hpp"

namespace reproduce {
namespace {

using Plans = std::vector<bitdial::PrecisionPlan>;

Plans widths() {
  return uniform_plans({{8, 8}, {4, 4}, {2, 2}});
}

NetworkPtr trained(const Settings& settings, const Images& images, std::uint64_t seed,
                   Quantization quantization, const std::string& label) {
  auto network = resnet20(settings, widths(), seed, quantization);
  fit(*network, images, recipe(settings, images, widths(), seed),
      bitdial::concat(label, ", seed ", seed));
  return network;
}

/// Bytes of the packed weights that serve all widths.
double stored_bytes(bitdial::nn::Module& network, const Images& images) {
  const auto packed =
      bitdial::pack(network, {.plans = widths(), .input_shape = images.train.image_shape()});
  std::size_t bytes = 0;
  for (const auto& plane : packed.planes) bytes += plane.size();
  return static_cast<double>(bytes);
}

/// Bytes of the real-valued weights.
double real_bytes(bitdial::nn::Module& network) {
  std::size_t count = 0;
  for (const auto& [name, layer] : bitdial::nn::quantized_layers(network)) {
    count += layer->weight_codes(8).codes.size();
  }
  return static_cast<double>(count * sizeof(float));
}

/// `network` with its weights and states read by another policy.
NetworkPtr copied(const Settings& settings, bitdial::nn::Module& network, std::uint64_t seed,
                  Quantization quantization) {
  auto copy = resnet20(settings, widths(), seed, quantization);
  const auto from = bitdial::nn::state(network), to = bitdial::nn::state(*copy);
  for (std::size_t i = 0; i < to.size(); ++i) {
    std::ranges::copy(from[i].second->span(), to[i].second->data());
  }
  return copy;
}

void run(const Settings& settings, const Recorder& record) {
  const Images images = read_images(settings);
  for (const std::uint64_t seed : settings.seeds) {
    const auto record_store = [&](const std::string& arm, double bytes, auto top1) {
      for (const auto& plan : widths()) {
        record({.arm = arm,
                .seed = seed,
                .precision = plan.text(),
                .top1 = top1(plan),
                .bytes = bytes});
      }
    };
    const auto evaluated = [&](bitdial::nn::Module& network) {
      return [&](const bitdial::PrecisionPlan& plan) { return test(network, images, plan); };
    };
    const auto nested = trained(settings, images, seed, Quantization::adabits, "AdaBits");
    const auto centred =
        trained(settings, images, seed, Quantization::adabits_centred, "AdaBits centred");
    const auto plain = trained(settings, images, seed, Quantization::dorefa, "DoReFa");
    const auto cut = copied(settings, *plain, seed, Quantization::dorefa_truncated);
    const double per_width = stored_bytes(*plain, images), at_8 = stored_bytes(*nested, images);

    const auto record_nested = [&](const std::string& arm, bitdial::nn::Module& network) {
      Packed store = packed(network, images, widths());
      record_store(arm, at_8, [&](const bitdial::PrecisionPlan& plan) {
        return test(*store.session, images, plan);
      });
    };
    record_nested("AdaBits, nested store", *nested);
    record_store("AdaBits, pack per width", per_width, evaluated(*nested));
    record_store("AdaBits, real values", real_bytes(*nested), evaluated(*nested));
    record_nested("AdaBits centred, nested store", *centred);
    record_store("DoReFa, pack per width", per_width, evaluated(*plain));
    record_store("DoReFa, bits cut off", at_8, evaluated(*cut));
  }
}

double bytes_of(const std::vector<Row>& rows, std::string_view arm) {
  const auto found = std::ranges::find(rows, arm, &Row::arm);
  return found == rows.end() ? 0.0 : found->bytes;
}

std::string finding(const std::vector<Row>& rows) {
  const double nested = bytes_of(rows, "AdaBits, nested store");
  const auto times = [&](std::string_view arm) {
    return bitdial::train::fixed(nested / bytes_of(rows, arm), 2);
  };
  return bitdial::concat(
      "of one AdaBits network the nested store takes x ", times("AdaBits, pack per width"),
      " of the bytes of a pack per width and x ", times("AdaBits, real values"),
      " of real values; accuracy minus that of a pack per width: ",
      gains(rows, "AdaBits, nested store", "AdaBits, pack per width"),
      "; DoReFa codes with bits cut off, minus a pack per width: ",
      gains(rows, "DoReFa, bits cut off", "DoReFa, pack per width"),
      "; AdaBits' nested store minus DoReFa's pack per width: ",
      gains(rows, "AdaBits, nested store", "DoReFa, pack per width"), "; the centred grid's: ",
      gains(rows, "AdaBits centred, nested store", "DoReFa, pack per width"));
}

}  // namespace

Claim nested_store() {
  return {.name = "nested-store",
          .source = "AdaBits, 1912.09666",
          .text =
              "One 8-bit store on a floor grid serves every width, at about the accuracy of "
              "codes made for each.",
          .run = run,
          .finding = finding};
}

}  // namespace reproduce
