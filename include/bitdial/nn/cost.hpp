// SPDX-License-Identifier: Apache-2.0
// What a network costs: parameters and multiply-accumulates, layer by layer.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <bitdial/core/error.hpp>
#include <bitdial/core/shape.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/nn/traverse.hpp>

namespace bitdial::inline BITDIAL_ABI::nn {

/// One quantized layer of a network, for one image.
struct LayerCost {
  std::string name;
  LayerGeometry geometry;
  Shape output;                           ///< [H, W, C]; [1, 1, C] of a linear layer
  std::int64_t parameters = 0;            ///< weights, and two numbers per channel for batch
                                          ///< normalisation or one for the bias
  std::int64_t multiply_accumulates = 0;  ///< of convolution or product; padded taps count
};

/// The sums over all layers are the numbers that papers print: pools, additions, ReLUs and batch
/// normalisation have no multiply-accumulates.
struct NetworkCost {
  std::vector<LayerCost> layers;
  std::int64_t normalisation_parameters = 0;  ///< of batch normalisations that stand alone

  /// Of a network with one switch; every further switch adds its own batch normalisation.
  [[nodiscard]] std::int64_t parameters() const noexcept {
    std::int64_t sum = normalisation_parameters;
    for (const LayerCost& layer : layers) sum += layer.parameters;
    return sum;
  }
  [[nodiscard]] std::int64_t multiply_accumulates() const noexcept {
    std::int64_t sum = 0;
    for (const LayerCost& layer : layers) sum += layer.multiply_accumulates;
    return sum;
  }

  /// One line per layer and a last one with the sums, in aligned columns.
  [[nodiscard]] std::string text() const {
    std::vector<std::vector<std::string>> rows{
        {"layer", "kernel", "output", "parameters", "multiply-accumulates"}};
    for (const LayerCost& layer : layers) {
      const ops::Window& window = layer.geometry.window;
      rows.push_back({layer.name, concat(window.kernel_h, " x ", window.kernel_w),
                      layer.output.text(), concat(layer.parameters),
                      concat(layer.multiply_accumulates)});
    }
    if (normalisation_parameters > 0) {
      rows.push_back({"normalisation", "", "", concat(normalisation_parameters), ""});
    }
    rows.push_back({"sum", "", "", concat(parameters()), concat(multiply_accumulates())});
    std::string out;
    for (const std::vector<std::string>& row : rows) {
      for (std::size_t column = 0; column < row.size(); ++column) {
        std::size_t width = 0;
        for (const auto& other : rows) width = std::max(width, other[column].size());
        const std::string gap(width - row[column].size(), ' ');
        if (column > 0) out += "  ";
        out += column == 0 ? row[column] + gap : gap + row[column];
      }
      out += '\n';
    }
    return out;
  }
};

namespace detail {

/// The shape of a node's value for one image, from the shapes of earlier nodes.
[[nodiscard]] inline Shape image_shape(const ops::GraphNode& node, const Description& description,
                                       const std::vector<Shape>& shapes) {
  const Shape& x = shapes[static_cast<std::size_t>(node.inputs[0])];
  const auto windowed = [&](std::int64_t channels) {
    return Shape{node.window.output_h(x[0]), node.window.output_w(x[1]), channels};
  };
  switch (node.kind) {
    case ops::NodeKind::conv2d:
    case ops::NodeKind::grouped_conv2d:
      return windowed(
          description.layers[static_cast<std::size_t>(node.layer)]->geometry().out_channels);
    case ops::NodeKind::linear:
      return {1, 1,
              description.layers[static_cast<std::size_t>(node.layer)]->geometry().out_channels};
    case ops::NodeKind::max_pool2d:
    case ops::NodeKind::average_pool2d:
      return windowed(x[2]);
    case ops::NodeKind::global_average_pool:
      return {1, 1, x[2]};
    case ops::NodeKind::concat:
      return {x[0], x[1], x[2] + shapes[static_cast<std::size_t>(node.inputs[1])][2]};
    case ops::NodeKind::input:
    case ops::NodeKind::relu:
    case ops::NodeKind::add:
    case ops::NodeKind::scale_shift:
      break;
  }
  return x;
}

[[nodiscard]] inline LayerCost layer_cost(std::string name, const LayerGeometry& geometry,
                                          const Shape& x, const Shape& y) {
  const bool linear = geometry.kind == ops::NodeKind::linear;
  if (geometry.in_channels != (linear ? x.size() : x[2]) || y[0] < 1 || y[1] < 1) {
    throw ShapeError(concat("cost: layer '", name, "' takes ", geometry.in_channels,
                            linear ? " features" : " channels", " through a window of ",
                            geometry.window.kernel_h, " x ", geometry.window.kernel_w,
                            ", its input is ", x));
  }
  const std::int64_t weights = geometry.out_channels * geometry.depth();
  return {.name = std::move(name),
          .geometry = geometry,
          .output = y,
          .parameters = weights + geometry.per_channel * geometry.out_channels,
          .multiply_accumulates = y[0] * y[1] * weights};
}

}  // namespace detail

/// The cost of a network for one image `[H, W, C]`: `cost(*net, {224, 224, 3}).text()`.
///
/// Throws `ShapeError` when the image does not fit the network.
[[nodiscard]] inline NetworkCost cost(Module& network, const Shape& image) {
  if (image.rank() != 3) {
    throw ShapeError(concat("cost: the image must be [H, W, C], it is ", image));
  }
  const Description description = describe(network);
  const Named<QuantizedLayer> named = quantized_layers(network);
  const auto name_of = [&](const QuantizedLayer* layer) {
    const auto found = std::ranges::find(named, layer, [](const auto& entry) {
      return static_cast<const QuantizedLayer*>(entry.second);
    });
    return found == named.end() ? std::string{} : found->first;
  };
  NetworkCost result;
  std::vector<Shape> shapes{image};
  for (std::size_t i = 1; i < description.graph.nodes.size(); ++i) {
    const ops::GraphNode& node = description.graph.nodes[i];
    shapes.push_back(detail::image_shape(node, description, shapes));
    if (node.kind == ops::NodeKind::scale_shift) {
      result.normalisation_parameters += 2 * shapes.back()[2];
      continue;
    }
    if (node.layer < 0) continue;
    const QuantizedLayer* const layer = description.layers[static_cast<std::size_t>(node.layer)];
    result.layers.push_back(detail::layer_cost(name_of(layer), layer->geometry(),
                                               shapes[static_cast<std::size_t>(node.inputs[0])],
                                               shapes.back()));
  }
  return result;
}

}  // namespace bitdial::inline BITDIAL_ABI::nn
