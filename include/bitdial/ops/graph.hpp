// SPDX-License-Identifier: Apache-2.0
// A network as plain data: the nodes in execution order. Modules describe themselves with it,
// packing reads it, the model file stores it. It knows no weights: a node names its layer.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <bitdial/ops/window.hpp>

namespace bitdial::inline BITDIAL_ABI::ops {

/// What a node computes. The numbers are part of the model file format.
enum class NodeKind : std::uint32_t {
  input = 0,                ///< the image batch, real-valued
  conv2d = 1,               ///< layer, window: quantized convolution and its per-channel epilogue
  linear = 2,               ///< layer: quantized fully connected layer over [N, features]
  relu = 3,                 ///< max(x, 0)
  add = 4,                  ///< x + y, equal shapes
  max_pool2d = 5,           ///< window
  average_pool2d = 6,       ///< window; padded taps count as zeros in the mean
  global_average_pool = 7,  ///< [N, H, W, C] -> [N, C]
  grouped_conv2d = 8,       ///< layer, window: `conv2d` in groups of channels, such as depthwise
  concat = 9,               ///< the channels of x, then those of y; equal in all else
  scale_shift = 10,         ///< layer, an index of its own kind: fma(x, scale[c], shift[c])
};

/// One operation. `inputs` are indices of earlier nodes, -1 where unused.
struct GraphNode {
  NodeKind kind = NodeKind::input;
  std::array<std::int32_t, 2> inputs{-1, -1};
  std::int32_t layer = -1;  ///< index into the quantized layers, or into the per-channel maps, in
                            ///< order of appearance
  Window window{};

  friend bool operator==(const GraphNode&, const GraphNode&) = default;
};

/// Nodes in execution order; the last one is the output.
struct Graph {
  std::vector<GraphNode> nodes;

  /// Appends a node and returns its index.
  std::int32_t append(const GraphNode& node) {
    nodes.push_back(node);
    return static_cast<std::int32_t>(nodes.size()) - 1;
  }
};

}  // namespace bitdial::inline BITDIAL_ABI::ops
