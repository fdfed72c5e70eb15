// SPDX-License-Identifier: Apache-2.0
// The blocks of residual networks, in the orders of layers that the papers have.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include <bitdial/models/network_layers.hpp>
#include <bitdial/nn/residual.hpp>

namespace bitdial::inline BITDIAL_ABI::models {

/// The kinds of basic blocks and bottlenecks.
enum class ResidualOrder : std::uint8_t {
  conv_norm_relu,  ///< He et al.; SP-Nets with one-sided quantizers: ReLU behind the addition
  conv_relu_norm,  ///< SP-Nets with two-sided quantizers (tanh): no ReLU behind the addition
  preactivated,    ///< normalisation and ReLU before each convolution, nothing behind the addition
  bi_real,         ///< a shortcut around every convolution, no ReLU: for sign activations
};

/// The layers and blocks of a residual network, of the arguments of `NetworkLayers`.
///
/// Where a block changes the shape, its shortcut is a 1x1 convolution, quantized like the others
/// or at a precision of its own; with `preactivated` it reads what the first normalisation and ReLU
/// give and has no normalisation of its own, with `bi_real` it reads a 2x2 average.
/// Sources: He et al., 1512.03385 and, pre-activated, 1603.05027; SP-Nets, 2002.02815 (quantized
/// shortcuts, both orders; that the shortcut has the order of the others is inferred); Liu et al.,
/// 1808.00278 (Bi-Real).
template <class... Arguments>
struct ResidualParts : NetworkLayers<Arguments...> {
  using Layers = NetworkLayers<Arguments...>;

  /// Of the convolutions of shortcuts under any plan; none: they follow the plan like the others.
  std::optional<Precision> shortcuts{};

  /// Channels and stride of one block.
  struct Block {
    std::int64_t in = 1;
    std::int64_t out = 1;
    std::int64_t stride = 1;
    ResidualOrder order = ResidualOrder::conv_norm_relu;

    [[nodiscard]] bool changes_shape() const noexcept { return stride != 1 || in != out; }
  };

  /// The order of the layers outside of blocks.
  [[nodiscard]] static constexpr LayerOrder layer_order(ResidualOrder order) noexcept {
    switch (order) {
      case ResidualOrder::conv_relu_norm:
        return LayerOrder::conv_relu_norm;
      case ResidualOrder::preactivated:
        return LayerOrder::conv_alone;
      case ResidualOrder::bi_real:
        return LayerOrder::conv_norm;
      default:
        return LayerOrder::conv_norm_relu;
    }
  }

  /// Two 3x3 convolutions and a shortcut:
  /// relu( conv-BN-ReLU-conv-BN (x) + shortcut(x) ), or another order.
  void add_basic(nn::Sequential& net, const std::string& name, const Block& block) const {
    if (block.order == ResidualOrder::bi_real) {
      add_unit(net, name + ".conv1", block);
      add_unit(net, name + ".conv2", {.in = block.out, .out = block.out, .order = block.order});
      return;
    }
    nn::Sequential body = begin(net, name, block);
    add_inner(body, "conv1",
              {.in = block.in, .out = block.out, .kernel = 3, .stride = block.stride, .padding = 1},
              block.order);
    add_last(body, "conv2", {.in = block.out, .out = block.out, .kernel = 3, .padding = 1},
             block.order);
    add_join(net, name, std::move(body), block);
  }

  /// 1x1, 3x3 and 1x1 convolutions with a quarter of the channels inside, and a shortcut; the 3x3
  /// convolution has the stride (the paper's networks stride in the first 1x1).
  /// Throws `ConfigError` for `bi_real`, which has basic blocks only.
  void add_bottleneck(nn::Sequential& net, const std::string& name, const Block& block) const {
    if (block.order == ResidualOrder::bi_real) {
      throw ConfigError(
          "residual block: a shortcut around every convolution needs basic blocks: "
          "depth 18 or 34");
    }
    const std::int64_t inner = block.out / 4;
    nn::Sequential body = begin(net, name, block);
    add_inner(body, "conv1", {.in = block.in, .out = inner, .kernel = 1}, block.order);
    add_inner(body, "conv2",
              {.in = inner, .out = inner, .kernel = 3, .stride = block.stride, .padding = 1},
              block.order);
    add_last(body, "conv3", {.in = inner, .out = block.out, .kernel = 1}, block.order);
    add_join(net, name, std::move(body), block);
  }

  /// What stands between the last block and the head, of `channels` channels. Returns true when the
  /// head sees negative values.
  [[nodiscard]] static bool add_end(nn::Sequential& net, std::int64_t channels,
                                    ResidualOrder order) {
    if (order == ResidualOrder::preactivated) Layers::add_activation(net, "norm", channels);
    return is_signed(order);
  }

 private:
  /// True where no ReLU stands behind the additions.
  [[nodiscard]] static constexpr bool is_signed(ResidualOrder order) noexcept {
    return order == ResidualOrder::conv_relu_norm || order == ResidualOrder::bi_real;
  }

  /// A convolution behind which another one stands.
  void add_inner(nn::Sequential& net, const std::string& name, const nn::Conv2dOptions& options,
                 ResidualOrder order) const {
    // The normalisation before the next convolution of the block stands behind this one.
    const bool norm_relu = order == ResidualOrder::preactivated;
    Layers::add_conv(net, name, options,
                     norm_relu ? LayerOrder::conv_norm_relu : layer_order(order));
  }

  /// A convolution behind which the addition stands.
  void add_last(nn::Sequential& net, const std::string& name, const nn::Conv2dOptions& options,
                ResidualOrder order) const {
    Layers::add_conv(net, name, options, last_order(order));
  }
  [[nodiscard]] static constexpr LayerOrder last_order(ResidualOrder order) noexcept {
    const bool relu_joins = order == ResidualOrder::conv_norm_relu;
    return relu_joins ? LayerOrder::conv_norm : layer_order(order);
  }

  /// The 1x1 convolution of a shortcut.
  void add_shortcut(nn::Sequential& shortcut, const Block& block, std::int64_t stride) const {
    const nn::Conv2dOptions options{
        .in = block.in, .out = block.out, .kernel = 1, .stride = stride};
    if (!shortcuts) return add_last(shortcut, "conv", options, block.order);
    Layers::template add_pinned<nn::Conv2d>(shortcut, "conv", options, *shortcuts,
                                            is_signed(block.order), last_order(block.order));
  }

  [[nodiscard]] nn::Sequential shortcut_of(const Block& block) const {
    nn::Sequential shortcut;
    if (block.changes_shape()) add_shortcut(shortcut, block, block.stride);
    return shortcut;
  }

  /// The body of a block with what stands before its first convolution: a pre-activation, which the
  /// shortcut shares where it is a convolution too.
  [[nodiscard]] static nn::Sequential begin(nn::Sequential& net, const std::string& name,
                                            const Block& block) {
    nn::Sequential body;
    if (block.order != ResidualOrder::preactivated) return body;
    if (block.changes_shape()) {
      Layers::add_activation(net, name + ".norm", block.in);
    } else {
      Layers::add_activation(body, "norm", block.in);
    }
    return body;
  }

  void add_join(nn::Sequential& net, const std::string& name, nn::Sequential body,
                const Block& block) const {
    net.add<nn::Residual>(name, std::move(body), shortcut_of(block));
    if (block.order == ResidualOrder::conv_norm_relu) net.add<nn::Relu>(name + ".relu");
  }

  /// conv3x3-BN (x) + shortcut(x).
  void add_unit(nn::Sequential& net, const std::string& name, const Block& block) const {
    nn::Sequential body;
    add_last(body, "conv",
             {.in = block.in, .out = block.out, .kernel = 3, .stride = block.stride, .padding = 1},
             block.order);
    nn::Sequential shortcut;
    if (block.stride != 1) {
      shortcut.add<nn::AveragePool2d>("mean", ops::Window::square(2, {.stride = block.stride}));
    }
    if (block.changes_shape()) add_shortcut(shortcut, block, 1);
    net.add<nn::Residual>(name, std::move(body), std::move(shortcut));
  }
};

}  // namespace bitdial::inline BITDIAL_ABI::models
