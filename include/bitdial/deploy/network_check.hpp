// SPDX-License-Identifier: Apache-2.0
// The proof that a network description makes sense: shapes agree, indices exist, sums fit. Packing
// runs it before it writes, loading before it believes.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <bitdial/core/result.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/deploy/packed_network.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// The value of a graph node for one image; [N, features] values are 1 x 1 images.
struct ImageShape {
  std::int64_t h = 1, w = 1, c = 1;

  [[nodiscard]] constexpr std::int64_t size() const noexcept { return h * w * c; }
  [[nodiscard]] std::string text() const { return concat("[", h, ", ", w, ", ", c, "]"); }
  friend constexpr bool operator==(const ImageShape&, const ImageShape&) = default;
};

/// What a packed network may not exceed. Larger numbers in a file are damage or an attack.
struct NetworkLimits {
  static constexpr std::int64_t extent = 1 << 16;        ///< heights, widths, channels, windows
  static constexpr std::int64_t image_values = 1 << 28;  ///< values of one node for one image
  static constexpr std::int64_t depth = 1 << 16;         ///< weights of one output channel
  static constexpr std::size_t nodes = 4096;
  static constexpr std::size_t plans = 4096;
  static constexpr std::int64_t level = 1 << 16;  ///< magnitude of a level
  static constexpr std::int64_t normalised_channels = 1024;
};

namespace detail {

[[nodiscard]] inline std::string_view name_of(ops::NodeKind kind) noexcept {
  switch (kind) {
    case ops::NodeKind::input:
      return "input";
    case ops::NodeKind::conv2d:
      return "conv2d";
    case ops::NodeKind::linear:
      return "linear";
    case ops::NodeKind::relu:
      return "relu";
    case ops::NodeKind::add:
      return "add";
    case ops::NodeKind::max_pool2d:
      return "max_pool2d";
    case ops::NodeKind::average_pool2d:
      return "average_pool2d";
    case ops::NodeKind::global_average_pool:
      return "global_average_pool";
    case ops::NodeKind::grouped_conv2d:
      return "grouped_conv2d";
    case ops::NodeKind::concat:
      return "concat";
    case ops::NodeKind::scale_shift:
      return "scale_shift";
  }
  return "unknown";
}

[[nodiscard]] constexpr int input_count(ops::NodeKind kind) noexcept {
  if (kind == ops::NodeKind::input) return 0;
  return kind == ops::NodeKind::add || kind == ops::NodeKind::concat ? 2 : 1;
}

[[nodiscard]] constexpr bool has_layer(ops::NodeKind kind) noexcept {
  return kind == ops::NodeKind::conv2d || kind == ops::NodeKind::linear ||
         kind == ops::NodeKind::grouped_conv2d;
}

[[nodiscard]] constexpr bool has_window(ops::NodeKind kind) noexcept {
  return kind == ops::NodeKind::conv2d || kind == ops::NodeKind::grouped_conv2d ||
         kind == ops::NodeKind::max_pool2d || kind == ops::NodeKind::average_pool2d;
}

/// Checks a graph node by node; each `check_*` returns an empty text or what is wrong.
class GraphCheck {
 public:
  GraphCheck(const NetworkDescription& network, std::vector<ImageShape>& shapes)
      : network_{network}, shapes_{shapes}, used_(network.graph.nodes.size(), false) {}

  [[nodiscard]] std::string run() {
    const auto& nodes = network_.graph.nodes;
    if (nodes.size() < 2 || nodes.size() > NetworkLimits::nodes) {
      return concat("graph: has ", nodes.size(), " nodes, expected 2 to ", NetworkLimits::nodes);
    }
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      if (std::string wrong = check_node(i); !wrong.empty()) {
        return concat("graph: node ", i, " (", name_of(nodes[i].kind), "): ", wrong);
      }
    }
    for (std::size_t i = 0; i + 1 < nodes.size(); ++i) {
      if (!used_[i]) return concat("graph: node ", i, " feeds no other node");
    }
    return {};
  }

 private:
  [[nodiscard]] std::string check_node(std::size_t i) {
    const ops::GraphNode& node = network_.graph.nodes[i];
    if (name_of(node.kind) == "unknown") {
      return concat("kind ", static_cast<std::uint32_t>(node.kind), " is unknown to this build");
    }
    if ((node.kind == ops::NodeKind::input) != (i == 0)) {
      return "the input is node 0, and only node 0";
    }
    for (int k = 0; k < 2; ++k) {
      const std::int32_t from = node.inputs[static_cast<std::size_t>(k)];
      if (k >= input_count(node.kind)) {
        if (from != -1) return concat("input ", k, " is ", from, ", expected none (-1)");
        continue;
      }
      if (from < 0 || static_cast<std::size_t>(from) >= i) {
        return concat("input ", k, " is ", from, ", expected an earlier node");
      }
      used_[static_cast<std::size_t>(from)] = true;
    }
    if (std::string wrong = check_layer_index(node); !wrong.empty()) return wrong;
    if (std::string wrong = check_window(node.window); !wrong.empty()) return wrong;
    ImageShape shape;
    if (std::string wrong = infer(node, shape); !wrong.empty()) return wrong;
    if (shape.h < 1 || shape.w < 1 || shape.c < 1 || shape.h > NetworkLimits::extent ||
        shape.w > NetworkLimits::extent || shape.c > NetworkLimits::depth ||
        shape.h * shape.w > NetworkLimits::image_values / shape.c) {
      return concat("its value would be ", shape, ", out of range");
    }
    shapes_.push_back(shape);
    return {};
  }

  [[nodiscard]] std::string check_layer_index(const ops::GraphNode& node) {
    if (node.kind == ops::NodeKind::scale_shift) {
      if (node.layer == scale_shifts_++) return {};
      return concat("names map ", node.layer, ", expected ", scale_shifts_ - 1,
                    ": maps are numbered in the order of their nodes");
    }
    if (!has_layer(node.kind)) {
      return node.layer == -1 ? "" : concat("names layer ", node.layer, ", expected none (-1)");
    }
    if (node.layer < 0 || static_cast<std::size_t>(node.layer) >= network_.layers.size()) {
      return concat("names layer ", node.layer, ", the network has ", network_.layers.size());
    }
    const auto kind = network_.layers[static_cast<std::size_t>(node.layer)].kind;
    if (kind != node.kind) {
      return concat("names layer ", node.layer, ", which is a ", name_of(kind));
    }
    return {};
  }

  [[nodiscard]] static std::string check_window(const ops::Window& window) {
    for (const std::int64_t field :
         {window.kernel_h, window.kernel_w, window.stride_h, window.stride_w, window.padding_h,
          window.padding_w, window.dilation_h, window.dilation_w}) {
      if (field > NetworkLimits::extent) return concat("a window of ", field, " is out of range");
    }
    return window.valid() ? ""
                          : "kernel, stride and dilation must be positive, padding not negative";
  }

  [[nodiscard]] std::string infer(const ops::GraphNode& node, ImageShape& shape) const {
    if (node.kind == ops::NodeKind::input) {
      const Shape& input = network_.input_shape;
      if (input.rank() != 3) return concat("the input shape is ", input, ", expected [H, W, C]");
      shape = {input[0], input[1], input[2]};
      return {};
    }
    const ImageShape x = shapes_[static_cast<std::size_t>(node.inputs[0])];
    shape = x;
    if (has_window(node.kind)) {
      shape.h = node.window.output_h(x.h);
      shape.w = node.window.output_w(x.w);
    } else if (node.kind == ops::NodeKind::global_average_pool) {
      shape = {1, 1, x.c};
    } else if (node.kind == ops::NodeKind::add) {
      const ImageShape y = shapes_[static_cast<std::size_t>(node.inputs[1])];
      if (x != y) return concat("adds ", x, " and ", y);
    } else if (node.kind == ops::NodeKind::concat) {
      const ImageShape y = shapes_[static_cast<std::size_t>(node.inputs[1])];
      if (x.h != y.h || x.w != y.w) return concat("joins ", x, " and ", y);
      shape.c += y.c;
    }
    if (!has_layer(node.kind)) return {};
    const PackedLayer& layer = network_.layers[static_cast<std::size_t>(node.layer)];
    if (node.kind == ops::NodeKind::linear) {
      if (layer.cin != x.size()) {
        return concat("layer ", node.layer, " takes ", layer.cin, " features, x is ", x);
      }
      shape = {1, 1, layer.cout};
      return {};
    }
    if (layer.cin != x.c || layer.kernel_h != node.window.kernel_h ||
        layer.kernel_w != node.window.kernel_w) {
      return concat("layer ", node.layer, " has weights [", layer.cout, ", ", layer.kernel_h, ", ",
                    layer.kernel_w, ", ", layer.cin, "], the window is ", node.window.kernel_h,
                    " x ", node.window.kernel_w, " and x is ", x);
    }
    if ((x.h + 2 * node.window.padding_h) * (x.w + 2 * node.window.padding_w) >
        NetworkLimits::image_values / x.c) {
      return concat("x with its padding of ", node.window.padding_h, " x ", node.window.padding_w,
                    " is out of range");
    }
    shape.c = layer.cout;
    return {};
  }

  const NetworkDescription& network_;
  std::vector<ImageShape>& shapes_;
  std::vector<bool> used_;
  std::int32_t scale_shifts_ = 0;
};

[[nodiscard]] inline std::string check_layer(const PackedLayer& layer,
                                             std::span<const std::size_t> plane_sizes) {
  if (!has_layer(layer.kind)) return concat("is a ", name_of(layer.kind), ", which has no weights");
  for (const std::int64_t extent : {layer.cout, layer.kernel_h, layer.kernel_w, layer.cin}) {
    if (extent < 1 || extent > NetworkLimits::depth) {
      return concat("an extent of ", extent, " is out of range");
    }
  }
  const bool grouped = layer.kind == ops::NodeKind::grouped_conv2d;
  if (grouped ? layer.groups < 2 || layer.cin % layer.groups != 0 || layer.cout % layer.groups != 0
              : layer.groups != 1) {
    return concat("a ", name_of(layer.kind), " of ", layer.cin, " to ", layer.cout,
                  " channels cannot have ", layer.groups, " groups");
  }
  if (layer.kernel_h * layer.kernel_w > NetworkLimits::depth / (layer.cin / layer.groups)) {
    return concat("more than ", NetworkLimits::depth, " weights per output channel");
  }
  if (layer.kind == ops::NodeKind::linear && layer.kernel_h * layer.kernel_w != 1) {
    return "a linear layer has a 1 x 1 kernel";
  }
  for (const WeightPack& pack : layer.packs) {
    if (!is_code_bits(pack.bits)) return concat("a pack of ", pack.bits, " bits, expected 1 to 8");
    const auto needed = static_cast<std::size_t>(layer.plane_bytes());
    for (int p = 0; p < pack.bits; ++p) {
      const std::int64_t plane = std::int64_t{pack.first_plane} + p;
      if (plane < 0 || plane >= static_cast<std::int64_t>(plane_sizes.size())) {
        return concat("plane ", plane, " does not exist, there are ", plane_sizes.size());
      }
      const std::size_t found = plane_sizes[static_cast<std::size_t>(plane)];
      if (found != needed) {
        return concat("plane ", plane, " has ", found, " bytes, expected ", needed);
      }
    }
  }
  return {};
}

[[nodiscard]] inline bool are_finite(const std::vector<float>& values) noexcept {
  return std::ranges::all_of(values, [](float x) { return std::isfinite(x); });
}

[[nodiscard]] inline std::string check_encoder(const ActivationEncoder& encoder) {
  if (!is_code_bits(encoder.bits)) return concat("has ", encoder.bits, " bits, expected 1 to 8");
  const auto& thresholds = encoder.thresholds;
  if (thresholds.size() > (std::size_t{1} << encoder.bits) - 1) {
    return concat("has ", thresholds.size(), " thresholds, too many for ", encoder.bits, " bits");
  }
  for (std::size_t i = 0; i < thresholds.size(); ++i) {
    if (std::isnan(thresholds[i])) return concat("threshold ", i, " is not a number");
    if (i > 0 && thresholds[i] < thresholds[i - 1]) {
      return concat("threshold ", i, " is below threshold ", i - 1);
    }
  }
  if (encoder.uniform && !is_uniform(thresholds, encoder.bits, *encoder.uniform)) {
    return "its uniform form differs from its thresholds";
  }
  return {};
}

/// The largest |level| of `bits`-bit codes.
[[nodiscard]] constexpr std::int64_t largest_level(const IntegerLevels& levels, int bits) noexcept {
  const std::int64_t first = levels.offset;
  const std::int64_t last = std::int64_t{levels.multiplier} * ((1 << bits) - 1) + levels.offset;
  return std::max(first < 0 ? -first : first, last < 0 ? -last : last);
}

[[nodiscard]] inline std::string check_state(const NetworkDescription& network,
                                             const PackedLayer& layer, const LayerState& state) {
  const Precision executed = state.executed;
  if (!is_code_bits(executed.w) || !is_code_bits(executed.a)) {
    return concat("runs at ", executed, ", expected 1 to 8 bits");
  }
  const std::int64_t packs = layer.pack_count(executed.w);
  if (state.pack < 0 || state.pack >= packs) {
    return concat("runs at ", executed, ", no packed weights serve ", executed.w, " bits",
                  state.pack == 0 ? "" : concat(" as number ", state.pack, ", there are ", packs));
  }
  if (state.encoder < 0 || static_cast<std::size_t>(state.encoder) >= network.encoders.size()) {
    return concat("names encoder ", state.encoder, ", there are ", network.encoders.size());
  }
  const int encoder_bits = network.encoders[static_cast<std::size_t>(state.encoder)].bits;
  if (encoder_bits != executed.a) {
    return concat("runs at ", executed, ", its encoder has ", encoder_bits, " bits");
  }
  const auto channels = static_cast<std::size_t>(layer.cout);
  if (state.multiplier.size() != channels || state.bias.size() != channels) {
    return concat("has ", state.multiplier.size(), " multipliers and ", state.bias.size(),
                  " biases for ", channels, " channels");
  }
  if (!are_finite(state.multiplier) || !are_finite(state.bias)) {
    return "has a multiplier or bias that is not finite";
  }
  const std::int64_t weight = largest_level(state.weight_levels, executed.w);
  const std::int64_t activation =
      std::max<std::int64_t>(1, largest_level(state.activation_levels, executed.a));
  if (weight > NetworkLimits::level || activation > NetworkLimits::level ||
      weight * activation * layer.depth() >= std::int64_t{1} << 31) {
    return concat("sums of ", layer.depth(), " products of levels up to ", weight, " and ",
                  activation, " leave the range of 32-bit integers");
  }
  return {};
}

[[nodiscard]] inline std::string check_preprocessing(const Preprocessing& preprocessing,
                                                     std::int64_t channels) {
  if (!(preprocessing.centre > 0.0F && preprocessing.centre <= 1.0F)) {
    return concat("the centre is ", preprocessing.centre,
                  " of the shorter side, expected above 0, at most 1");
  }
  const Normalisation& normalisation = preprocessing.normalisation;
  if (!normalisation.empty() && channels > NetworkLimits::normalised_channels) {
    return concat("an input of ", channels, " channels is normalised, at most ",
                  NetworkLimits::normalised_channels, " can be");
  }
  if (!normalisation.fits(channels)) {
    return concat("expected ", channels, " finite means and positive deviations, found ",
                  normalisation.mean.size(), " means and ", normalisation.deviation.size(),
                  " deviations");
  }
  return {};
}

/// The per-channel maps of a plan against the nodes that name them.
[[nodiscard]] inline std::string check_scale_shifts(const NetworkDescription& network,
                                                    std::span<const ImageShape> shapes,
                                                    const PackedPlan& plan) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < network.graph.nodes.size(); ++i) {
    if (network.graph.nodes[i].kind != ops::NodeKind::scale_shift) continue;
    if (count == plan.scale_shifts.size()) break;
    const ScaleShift& map = plan.scale_shifts[count++];
    const auto channels = static_cast<std::size_t>(shapes[i].c);
    if (map.multiplier.size() != channels || map.bias.size() != channels) {
      return concat("node ", i, " (scale_shift) has ", map.multiplier.size(), " multipliers and ",
                    map.bias.size(), " biases for ", channels, " channels");
    }
    if (!are_finite(map.multiplier) || !are_finite(map.bias)) {
      return concat("node ", i, " (scale_shift) has a multiplier or bias that is not finite");
    }
  }
  const std::size_t nodes = static_cast<std::size_t>(std::count_if(
      network.graph.nodes.begin(), network.graph.nodes.end(),
      [](const ops::GraphNode& node) { return node.kind == ops::NodeKind::scale_shift; }));
  if (nodes != plan.scale_shifts.size()) {
    return concat("has ", plan.scale_shifts.size(), " per-channel maps, the graph has ", nodes,
                  " nodes for them");
  }
  return {};
}

}  // namespace detail

/// The shape of every node's value, after everything that a plan compiler and an executor rely on
/// was proved. `plane_sizes[p]` is the number of bytes of plane p.
///
/// Errors: one sentence that names the node, layer, encoder or plan, what was expected and found.
/// Cost: linear in the size of the description.
[[nodiscard]] inline Result<std::vector<ImageShape>> check_network(
    const NetworkDescription& network, std::span<const std::size_t> plane_sizes) {
  for (std::size_t i = 0; i < network.layers.size(); ++i) {
    const PackedLayer& layer = network.layers[i];
    if (std::string wrong = detail::check_layer(layer, plane_sizes); !wrong.empty()) {
      return Failure{concat("layer ", i, " (", layer.name, "): ", wrong)};
    }
  }
  std::vector<ImageShape> shapes;
  if (std::string wrong = detail::GraphCheck{network, shapes}.run(); !wrong.empty()) {
    return Failure{std::move(wrong)};
  }
  if (!network.labels.empty() &&
      static_cast<std::int64_t>(network.labels.size()) != shapes.back().size()) {
    return Failure{concat("labels: there are ", network.labels.size(), ", the output has ",
                          shapes.back().size(), " values")};
  }
  if (std::string wrong =
          detail::check_preprocessing(network.preprocessing, network.input_shape[2]);
      !wrong.empty()) {
    return Failure{concat("preprocessing: ", wrong)};
  }
  for (std::size_t i = 0; i < network.encoders.size(); ++i) {
    if (std::string wrong = detail::check_encoder(network.encoders[i]); !wrong.empty()) {
      return Failure{concat("encoder ", i, ": ", wrong)};
    }
  }
  if (network.plans.empty()) return Failure{"the network has no plan"};
  if (network.plans.size() > NetworkLimits::plans) {
    return Failure{concat("the network has ", network.plans.size(), " plans, at most ",
                          NetworkLimits::plans, " are allowed")};
  }
  for (std::size_t p = 0; p < network.plans.size(); ++p) {
    const PackedPlan& plan = network.plans[p];
    const std::string where = concat("plan ", p, " (", plan.name(), ")");
    const bool twice = std::ranges::any_of(
        std::span{network.plans}.first(p),
        [&](const PackedPlan& earlier) { return earlier.requested == plan.requested; });
    if (twice) return Failure{concat(where, ": appears twice")};
    if (plan.accuracy && !(plan.accuracy->top1 >= 0.0 && plan.accuracy->top1 <= 1.0)) {
      return Failure{concat(where, ": its accuracy is ", plan.accuracy->top1, ", expected 0 to 1")};
    }
    if (plan.layers.size() != network.layers.size() ||
        !plan.requested.fits(network.layers.size())) {
      return Failure{concat(where, ": has ", plan.requested.size(), " precisions and ",
                            plan.layers.size(), " layer states, the network has ",
                            network.layers.size(), " layers")};
    }
    if (std::string wrong = detail::check_scale_shifts(network, shapes, plan); !wrong.empty()) {
      return Failure{concat(where, ": ", wrong)};
    }
    for (std::size_t i = 0; i < plan.layers.size(); ++i) {
      std::string wrong = detail::check_state(network, network.layers[i], plan.layers[i]);
      if (!wrong.empty()) {
        return Failure{concat(where, ": layer ", i, " (", network.layers[i].name, "): ", wrong)};
      }
    }
  }
  return shapes;
}

}  // namespace bitdial::inline BITDIAL_ABI
