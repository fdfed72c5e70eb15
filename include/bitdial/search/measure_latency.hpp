// SPDX-License-Identifier: Apache-2.0
// Measures what every layer of a network takes on this machine at every pair of candidate widths.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <bitdial/core/error.hpp>
#include <bitdial/core/random.hpp>
#include <bitdial/core/shape.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/deploy/linux_sensors.hpp>
#include <bitdial/deploy/pack.hpp>
#include <bitdial/deploy/profiler.hpp>
#include <bitdial/deploy/session.hpp>
#include <bitdial/nn/quantized_layer.hpp>
#include <bitdial/nn/traverse.hpp>
#include <bitdial/search/latency_table.hpp>
#include <bitdial/switchable/add_plans.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// What is measured, and for how long.
struct MeasureLatencyOptions {
  std::vector<int> weights{4, 3, 2, 1};  ///< candidate widths, 1 to 8
  std::vector<int> activations{4, 3, 2};
  int threads = 1;
  double seconds = 10.0;  ///< for all pairs together
  std::string network{};  ///< its name in the table
};

namespace detail {

/// The mean of the squared levels that `weights` stand for.
[[nodiscard]] inline double mean_square(const nn::WeightCodes& weights) {
  double sum = 0.0;
  for (const std::uint8_t code : weights.codes) {
    const double level = weights.levels.level(code);
    sum += level * level;
  }
  return sum / static_cast<double>(weights.codes.size());
}

}  // namespace detail

/// Sets the folded batch normalisation of every layer to what training leaves behind: sums are
/// scaled to about half the range of the next encoder, biases are random. Nothing dies, nothing
/// saturates everywhere: what a network with random weights needs to be measured. `network` is what
/// was packed.
inline void set_plausible_statistics(PackedNetwork& packed, nn::Module& network) {
  const auto layers = nn::quantized_layers(network);
  constexpr std::size_t widths = 33;
  std::vector<double> weights(layers.size() * widths,
                              -1.0);  // mean squares, of each layer and width
  for (PackedPlan& plan : packed.plans) {
    for (std::size_t i = 0; i < layers.size(); ++i) {
      LayerState& state = plan.layers[i];
      const int bits = layers[i].second->executed(plan.requested).w;
      double& weight = weights[i * widths + static_cast<std::size_t>(bits)];
      if (weight < 0.0) weight = detail::mean_square(layers[i].second->weight_codes(bits));
      const double largest = state.activation_levels.level((1 << state.executed.a) - 1);
      const double sum =
          std::sqrt(static_cast<double>(packed.layers[i].depth()) * weight) * largest / 2;
      Random random{7, i};
      for (float& m : state.multiplier) m = static_cast<float>(0.5 / sum);
      for (float& b : state.bias) b = random.uniform(-0.2F, 0.4F);
    }
  }
}

/// Milliseconds of one image by layer name, for every plan of the session's model, in its order:
/// medians over seven rounds of the profiler, in which the plans take turns, so that a slow second
/// of the machine hits all of them alike. A layer's step holds its product and what was fused into
/// it.
[[nodiscard]] inline std::vector<std::unordered_map<std::string, double>> layer_milliseconds(
    Session& session, double seconds) {
  constexpr int rounds = 7;
  std::vector<std::unordered_map<std::string, std::vector<double>>> samples(
      session.model().plans().size());
  for (int round = 0; round < rounds; ++round) {
    const auto profiles = profile(session, {.seconds = seconds / rounds, .peak = 1.0}).value();
    for (std::size_t plan = 0; plan < profiles.size(); ++plan) {
      for (const StepProfile& step : profiles[plan].steps) {
        if (!step.widths.empty()) samples[plan][step.name].push_back(step.seconds * 1e3);
      }
    }
  }
  std::vector<std::unordered_map<std::string, double>> medians(samples.size());
  for (std::size_t plan = 0; plan < samples.size(); ++plan) {
    for (auto& [layer, taken] : samples[plan]) {
      const auto middle = taken.begin() + static_cast<std::ptrdiff_t>(taken.size() / 2);
      std::ranges::nth_element(taken, middle);
      medians[plan][layer] = std::max(*middle, 1e-6);  // a clock may stand still
    }
  }
  return medians;
}

/// The table of `network`, a switchable network at least as wide as the candidates, with weights
/// and without plans; it has those of the candidates afterwards. `image` is [H, W, C].
///
/// Packs the network at every pair of widths and profiles the plans in turn, one image at a time,
/// on this machine. Rows are the layers that follow plans, in order, and one row for each pinned
/// one. Throws as `pack` and `add_plans` do, and `ConfigError` for options out of range.
[[nodiscard]] inline LatencyTable measure_latency(nn::Module& network, const Shape& image,
                                                  const MeasureLatencyOptions& options = {}) {
  if (options.weights.empty() || options.activations.empty() || !(options.seconds > 0.0)) {
    throw ConfigError(concat("measure_latency: ", options.weights.size(), " widths of weights, ",
                             options.activations.size(), " of activations and ", options.seconds,
                             " seconds; expected at least one width of each and a time above 0"));
  }
  std::vector<PrecisionPlan> plans;
  for (const int w : options.weights) {
    for (const int a : options.activations) plans.emplace_back(Precision{w, a});
  }
  add_plans(network, plans);
  PackedNetwork packed = pack(network, {.plans = plans, .input_shape = image});
  set_plausible_statistics(packed, network);
  const auto bytes = model_bytes(packed).value();
  const auto model = Model::from_bytes(bytes).value();
  auto session = Session::create(model, {.threads = options.threads}).value();
  const auto milliseconds = layer_milliseconds(session, options.seconds);

  LatencyTable table{.machine = LinuxSensors{}.cpu_model(),
                     .kernels = std::string{session.kernels().name},
                     .threads = concat(options.threads),
                     .network = options.network};
  for (const auto& [name, layer] : nn::quantized_layers(network)) {
    for (std::size_t p = 0; p < plans.size(); ++p) {
      if (layer->is_pinned() && p > 0) break;
      table.rows.push_back({name, layer->executed(plans[p]), milliseconds[p].at(name)});
    }
  }
  return table;
}

}  // namespace bitdial::inline BITDIAL_ABI
