// SPDX-License-Identifier: Apache-2.0
// The two kinds of blocks of residual networks.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include <bitdial/models/network_layers.hpp>
#include <bitdial/nn/residual.hpp>

namespace bitdial::inline BITDIAL_ABI::models {

/// The layers and blocks of a residual network of one bit list, one pair of policies and one key.
///
/// Where a block changes the shape, its shortcut is a 1x1 convolution, quantized like the others.
/// Source: He et al., 1512.03385; SP-Nets, 2002.02815 (quantized shortcuts, order of layers).
template <class Bits, class WeightPolicy, class ActivationPolicy, class Key = KeyByPair>
struct ResidualParts : NetworkLayers<Bits, WeightPolicy, ActivationPolicy, Key> {
  using Conv = typename NetworkLayers<Bits, WeightPolicy, ActivationPolicy, Key>::Conv;

  /// Channels and stride of one block.
  struct Block {
    std::int64_t in = 1;
    std::int64_t out = 1;
    std::int64_t stride = 1;
  };

  /// relu( conv3x3-BN-ReLU-conv3x3-BN (x) + shortcut(x) ).
  static void add_basic(nn::Sequential& net, const std::string& name, const Block& block) {
    nn::Sequential body;
    add_conv(body, "conv1", 3, block);
    body.add<nn::Relu>("relu");
    add_conv(body, "conv2", 3, {.in = block.out, .out = block.out});
    add_join(net, name, std::move(body), block);
  }

  /// relu( conv1x1-BN-ReLU-conv3x3-BN-ReLU-conv1x1-BN (x) + shortcut(x) ), a quarter of the
  /// channels inside; the 3x3 convolution has the stride (the paper's networks stride in the first
  /// 1x1).
  static void add_bottleneck(nn::Sequential& net, const std::string& name, const Block& block) {
    const std::int64_t inner = block.out / 4;
    nn::Sequential body;
    add_conv(body, "conv1", 1, {.in = block.in, .out = inner});
    body.add<nn::Relu>("relu1");
    add_conv(body, "conv2", 3, {.in = inner, .out = inner, .stride = block.stride});
    body.add<nn::Relu>("relu2");
    add_conv(body, "conv3", 1, {.in = inner, .out = block.out});
    add_join(net, name, std::move(body), block);
  }

 private:
  static void add_conv(nn::Sequential& net, const std::string& name, std::int64_t kernel,
                       const Block& block) {
    net.add<Conv>(name, nn::Conv2dOptions{.in = block.in,
                                          .out = block.out,
                                          .kernel = kernel,
                                          .stride = block.stride,
                                          .padding = kernel / 2});
  }

  static void add_join(nn::Sequential& net, const std::string& name, nn::Sequential body,
                       const Block& block) {
    nn::Sequential shortcut;
    if (block.stride != 1 || block.in != block.out) add_conv(shortcut, "conv", 1, block);
    net.add<nn::Residual>(name, std::move(body), std::move(shortcut));
    net.add<nn::Relu>(name + ".relu");
  }
};

}  // namespace bitdial::inline BITDIAL_ABI::models
