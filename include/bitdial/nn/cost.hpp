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

/// One quantized layer of a network, for one image or one clip.
struct LayerCost {
  std::string name;
  LayerGeometry geometry;
  Shape output;                           ///< [H, W, C]; [1, 1, C] of a linear layer
  std::int64_t frames = 1;                ///< outputs per clip
  std::int64_t parameters = 0;            ///< weights, and two numbers per channel for batch
                                          ///< normalisation or one for the bias
  std::int64_t multiply_accumulates = 0;  ///< of convolution or product, of all frames; padded
                                          ///< taps count
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

/// The shape of a node's value for one image, from those of its inputs; `x2` is x where it has one.
[[nodiscard]] inline Shape image_shape(const ops::GraphNode& node, const Description& description,
                                       const Shape& x, const Shape& x2) {
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
      return {x[0], x[1], x[2] + x2[2]};
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

/// What the nodes of a network hand on, node after node.
class ClipShapes {
 public:
  ClipShapes(const Description& description, const Shape& image)
      : description_{description}, values_{{image, 1}} {}

  /// One node: shapes of an image, which is all frames of a clip where it lies across them.
  struct Step {
    Shape x, y;
    std::int64_t images = 1;  ///< per clip
  };

  /// Takes the next node. Throws `ShapeError` where convolution over time changes the pixels.
  Step append() {
    const std::size_t index = values_.size();
    for (const Description::Frames& change : description_.frames) {
      if (change.first == static_cast<std::int32_t>(index)) of(change.value).frames = change.count;
    }
    const ops::GraphNode& node = description_.graph.nodes[index];
    const Value x = of(node.inputs[0]);
    const Value x2 = node.inputs[1] < 0 ? x : of(node.inputs[1]);
    const bool across = std::ranges::any_of(
        description_.across_frames, [&](const Description::AcrossFrames& nodes) {
          return nodes.first <= static_cast<std::int32_t>(index) &&
                 static_cast<std::int32_t>(index) < nodes.last;
        });
    if (!across) {
      const Step step{x.image, image_shape(node, description_, x.image, x2.image), x.frames};
      values_.push_back({step.y, x.frames});
      return step;
    }
    const Step step{x.as_rows(), image_shape(node, description_, x.as_rows(), x2.as_rows())};
    if (step.y[1] != step.x[1]) {
      throw ShapeError(concat("cost: node ", index, " lies across frames, its width ", step.x[1],
                              " must stay, it becomes ", step.y[1]));
    }
    values_.push_back({{x.image[0], x.image[1], step.y[2]}, step.y[0]});
    return step;
  }

  /// Of the last node, one frame of it.
  [[nodiscard]] const Shape& image() const noexcept { return values_.back().image; }
  [[nodiscard]] std::int64_t frames() const noexcept { return values_.back().frames; }

 private:
  struct Value {
    Shape image;
    std::int64_t frames;
    /// [T, H W, C]
    [[nodiscard]] Shape as_rows() const { return {frames, image[0] * image[1], image[2]}; }
  };
  [[nodiscard]] Value& of(std::int32_t node) { return values_[static_cast<std::size_t>(node)]; }

  const Description& description_;
  std::vector<Value> values_;
};

}  // namespace detail

/// The cost of a network for one image `[H, W, C]`: `cost(*net, {224, 224, 3}).text()`. Of a
/// network of clips (`nn/frames.hpp`) it is that of a clip, and `image` is one frame.
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
  detail::ClipShapes shapes{description, image};
  for (std::size_t i = 1; i < description.graph.nodes.size(); ++i) {
    const ops::GraphNode& node = description.graph.nodes[i];
    const auto step = shapes.append();
    if (node.kind == ops::NodeKind::scale_shift) {
      result.normalisation_parameters += 2 * step.y[2];
      continue;
    }
    if (node.layer < 0) continue;
    const QuantizedLayer* const layer = description.layers[static_cast<std::size_t>(node.layer)];
    LayerCost own = detail::layer_cost(name_of(layer), layer->geometry(), step.x, step.y);
    own.output = shapes.image();
    own.frames = shapes.frames();
    own.multiply_accumulates *= step.images;
    result.layers.push_back(std::move(own));
  }
  return result;
}

}  // namespace bitdial::inline BITDIAL_ABI::nn
