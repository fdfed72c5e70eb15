// SPDX-License-Identifier: Apache-2.0
// The convolutions that a session runs, one by one, and a network of one convolution alone.
#pragma once

#include <algorithm>
#include <bitdial/core/random.hpp>
#include <bitdial/core/stopwatch.hpp>
#include <bitdial/deploy/packed_network.hpp>
#include <bitdial/runtime.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "convolution.hpp"
#include "sampling.hpp"

namespace bench {

/// What each step of a prepared plan convolves; none for a step without a layer. A linear layer is
/// a convolution of one pixel.
[[nodiscard]] inline std::vector<std::optional<Convolution>> convolutions_of(
    const bitdial::Session& session, std::size_t plan) {
  std::vector<std::optional<Convolution>> found;
  for (const bitdial::Step& step : session.steps(plan)) {
    found.emplace_back();
    if (step.layer < 0 || step.kind == bitdial::ops::NodeKind::scale_shift) continue;
    const auto index = static_cast<std::size_t>(step.layer);
    const bitdial::PackedLayer& layer = session.model().layers()[index];
    found.back() = {.in_channels = layer.cin, .out_channels = layer.cout, .groups = layer.groups};
    if (step.kind == bitdial::ops::NodeKind::linear) continue;
    found.back()->height = step.x_shape.h;
    found.back()->width = step.x_shape.w;
    found.back()->window = step.window;
  }
  return found;
}

/// Seconds of every step, call by call: an observer of `Session::run`, which shows a step once for
/// every group of images.
class StepSeconds {
 public:
  explicit StepSeconds(std::size_t steps) : call_(steps), calls_(steps) {}

  void begin(std::size_t) noexcept { step_ = bitdial::Stopwatch{}; }
  void end(std::size_t step) noexcept { call_[step] += step_.seconds(); }
  void end_call() {
    for (std::size_t step = 0; step < call_.size(); ++step) {
      calls_[step].add(std::exchange(call_[step], 0.0));
    }
  }
  /// Over the calls so far, of which one is needed.
  [[nodiscard]] double median(std::size_t step) const { return calls_[step].median(); }

 private:
  std::vector<double> call_;
  std::vector<Samples> calls_;
  bitdial::Stopwatch step_;
};

namespace detail {

inline std::int32_t add_layer(bitdial::PackedNetwork& packed, std::int32_t x,
                              const Convolution& c) {
  using bitdial::ops::NodeKind;
  const NodeKind kind = c.groups > 1 ? NodeKind::grouped_conv2d : NodeKind::conv2d;
  const auto layer = static_cast<std::int32_t>(packed.layers.size());
  packed.layers.push_back({.name = c.text(),
                           .kind = kind,
                           .cout = c.out_channels,
                           .kernel_h = c.window.kernel_h,
                           .kernel_w = c.window.kernel_w,
                           .cin = c.in_channels,
                           .groups = c.groups,
                           .packs = {}});
  return packed.graph.append({.kind = kind, .inputs = {x, -1}, .layer = layer, .window = c.window});
}

/// A random weight of DoReFa: of 8 bits about normal, as those of trained layers are, a ninth of
/// the range its deviation; of fewer bits anywhere.
[[nodiscard]] inline std::uint8_t random_code(bitdial::Random& random, int bits) {
  if (bits < 8) return static_cast<std::uint8_t>(random.below(1U << bits));
  return static_cast<std::uint8_t>(std::clamp(128.0F + 28.0F * random.normal(), 0.0F, 255.0F));
}

/// DoReFa's levels and codes of one plan, with random weights and sums that fill half the range.
inline void add_plan(bitdial::PackedNetwork& packed, bitdial::Precision bits) {
  const int most_w = (1 << bits.w) - 1, most_a = (1 << bits.a) - 1;
  const auto encode = [most_a](float x) {
    const float inside = x > 0.0F ? (x < 1.0F ? x : 1.0F) : 0.0F;
    return static_cast<int>(std::nearbyint(inside * static_cast<float>(most_a)));
  };
  bitdial::PackedPlan plan{.requested = bits, .layers = {}};
  for (std::size_t i = 0; i < packed.layers.size(); ++i) {
    const bitdial::PackedLayer& layer = packed.layers[i];
    bitdial::Random random{7, i};
    if (layer.pack_for(bits.w) == nullptr) {
      std::vector<std::uint8_t> codes(static_cast<std::size_t>(layer.cout * layer.depth()));
      for (std::uint8_t& code : codes) code = random_code(random, bits.w);
      packed.add_weights(i, codes, {.bits = bits.w, .nested = false});
    }
    const auto channels = static_cast<std::size_t>(layer.cout);
    const double spread = bits.w < 8 ? 1.0 : 0.4;  // of the levels, beside that of equal chances
    const double sum = spread * std::sqrt(static_cast<double>(layer.depth())) * most_w * most_a;
    plan.layers.push_back(
        {.executed = bits,
         .weight_levels = {1.0F / static_cast<float>(most_w), 2, -most_w},
         .activation_levels = {1.0F / static_cast<float>(most_a), 1, 0},
         .encoder = packed.add_encoder(bitdial::make_activation_encoder(encode, bits.a)),
         .multiplier = std::vector<float>(channels, static_cast<float>(1.0 / sum)),
         .bias = std::vector<float>(channels, 0.25F)});
  }
  packed.plans.push_back(std::move(plan));
}

}  // namespace detail

/// A model of `c` with random weights at each of `plans`, 1 to 8 bits. A second convolution takes
/// one pixel of the result, so that the first hands on codes, as inside a network.
[[nodiscard]] inline std::vector<std::byte> random_convolution(
    const Convolution& c, const std::vector<bitdial::PrecisionPlan>& plans) {
  bitdial::PackedNetwork packed;
  packed.input_shape = {c.height, c.width, c.in_channels};
  const std::int32_t image = packed.graph.append({});
  const std::int32_t y = packed.graph.append(
      {.kind = bitdial::ops::NodeKind::relu, .inputs = {detail::add_layer(packed, image, c), -1}});
  const std::int64_t h = c.window.output_h(c.height), w = c.window.output_w(c.width);
  detail::add_layer(packed, y,
                    {.in_channels = c.out_channels,
                     .height = h,
                     .width = w,
                     .window = {.stride_h = h, .stride_w = w}});
  for (const bitdial::PrecisionPlan& plan : plans) detail::add_plan(packed, plan.at(0));
  return bitdial::model_bytes(packed).value();
}

}  // namespace bench
