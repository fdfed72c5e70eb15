// SPDX-License-Identifier: Apache-2.0
// Small networks of odd shapes whose layers can be watched, with state that is not trivial.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <bitdial/nn/activation.hpp>
#include <bitdial/nn/concat.hpp>
#include <bitdial/nn/conv2d.hpp>
#include <bitdial/nn/init.hpp>
#include <bitdial/nn/linear.hpp>
#include <bitdial/nn/pooling.hpp>
#include <bitdial/nn/residual.hpp>
#include <bitdial/switchable/switchable_layer.hpp>
#include <support/tensors.hpp>

namespace test {

/// What a `Watched` layer saw: in evaluation integer levels, digit by digit from the lowest place.
struct WatchedOperand {
  bitdial::Tensor<double> x;
  double place = 1.0;
};

/// The operand of each `Watched` layer since the last `clear`, by the address of its weights.
inline std::map<const float*, WatchedOperand>& watched_operands() {
  static std::map<const float*, WatchedOperand> operands;
  return operands;
}

/// `Layer`, but every `apply` adds x to `watched_operands()`, as one digit of it, see `exact_sums`.
template <class Layer>
class Watched final : public bitdial::nn::Module {
 public:
  using Options = typename Layer::Options;
  static constexpr bool has_bias = Layer::has_bias;

  explicit Watched(const Options& options) : layer_{options} {}

  bitdial::Var forward(bitdial::Var x, const bitdial::nn::Pass& pass) override {
    return layer_.forward(x, pass);
  }
  void visit(bitdial::nn::ModuleVisitor& visitor, const std::string& name) override {
    layer_.visit(visitor, name);
  }
  std::int32_t describe(bitdial::nn::Description& description, std::int32_t x) const override {
    return layer_.describe(description, x);
  }
  template <class T, class... Bias>
  bitdial::BasicVar<T> apply(bitdial::BasicVar<T> x, bitdial::BasicVar<T> weight,
                             Bias... bias) const {
    WatchedOperand& watched = watched_operands()[layer_.weight().value.data()];
    if (watched.x.shape() != x.shape()) watched = {.x = bitdial::Tensor<double>(x.shape())};
    std::ranges::transform(
        watched.x.span(), x.value().span(), watched.x.data(),
        [&](double sum, T digit) { return sum + watched.place * static_cast<double>(digit); });
    if constexpr (std::is_same_v<T, float>) {
      watched.place *= static_cast<double>(
          bitdial::detail::digit_base(bitdial::detail::sum_bound(weight.value(), 1.0)));
    }
    return layer_.apply(x, weight, bias...);
  }
  bitdial::Var bias_on(bitdial::Tape& tape) requires has_bias { return layer_.bias_on(tape); }
  bitdial::nn::Parameter& weight() { return layer_.weight(); }
  const bitdial::nn::Parameter& weight() const { return layer_.weight(); }
  const bitdial::nn::Parameter& bias() const requires has_bias { return layer_.bias(); }
  bitdial::nn::LayerGeometry geometry() const { return layer_.geometry(); }

 private:
  Layer layer_;
};

/// Makes the switchable layers of a network, of one list of widths and one pair of policies.
struct LayerFactory {
  std::function<bitdial::nn::ModulePtr(const bitdial::nn::Conv2dOptions&)> make_conv;
  std::function<bitdial::nn::ModulePtr(const bitdial::nn::LinearOptions&)> make_head;

  void conv(bitdial::nn::Sequential& net, std::string name,
            const bitdial::nn::Conv2dOptions& options) const {
    net.add(std::move(name), make_conv(options));
  }
  void head(bitdial::nn::Sequential& net, std::string name,
            const bitdial::nn::LinearOptions& options) const {
    net.add(std::move(name), make_head(options));
  }
};

/// Watched layers at `Bits` whose batch normalisation forgets quickly.
template <class Bits, class Weights = bitdial::DoReFaWeights,
          class Activations = bitdial::DoReFaActivations>
[[nodiscard]] LayerFactory watched_layers(
    bitdial::SwitchableOptions<Weights, Activations> switching = {}) {
  using bitdial::SwitchableLayer;
  using bitdial::nn::Conv2d;
  using bitdial::nn::Linear;
  switching.batch_norm.momentum = 0.7;
  return {[switching](const bitdial::nn::Conv2dOptions& options) {
            return std::make_unique<SwitchableLayer<Watched<Conv2d>, Bits, Weights, Activations>>(
                options, switching);
          },
          [switching](const bitdial::nn::LinearOptions& options) {
            return std::make_unique<SwitchableLayer<Watched<Linear>, Bits, Weights, Activations>>(
                options, switching);
          }};
}

/// A network for images of one shape.
struct TestNetwork {
  std::string name;
  bitdial::Shape image;  ///< [H, W, C]
  bitdial::nn::Sequential modules;
};

/// Networks of odd shapes.
struct Zoo {
  using Sequential = bitdial::nn::Sequential;
  using Relu = bitdial::nn::Relu;
  using Residual = bitdial::nn::Residual;
  using Window = bitdial::ops::Window;

  LayerFactory layers;

  [[nodiscard]] std::vector<TestNetwork> networks() const {
    std::vector<TestNetwork> all;
    all.push_back({"plain", {9, 7, 3}, plain()});
    all.push_back({"residual", {9, 7, 3}, residual()});
    all.push_back({"pools", {11, 8, 1}, pools()});
    all.push_back({"preactivated", {6, 5, 4}, preactivated()});
    all.push_back({"features", {2, 3, 19}, features()});
    for (TestNetwork& network : all) bitdial::nn::number_layers(network.modules);
    return all;
  }

  /// Depthwise layers and groups.
  [[nodiscard]] TestNetwork grouped() const {
    TestNetwork network{"separable", {8, 7, 4}, separable()};
    bitdial::nn::number_layers(network.modules);
    return network;
  }

  /// Rectangular kernels, pool branches.
  [[nodiscard]] TestNetwork inception() const {
    TestNetwork network{"inception", {8, 7, 3}, branches()};
    bitdial::nn::number_layers(network.modules);
    return network;
  }

  /// Windows with gaps.
  [[nodiscard]] TestNetwork dilated() const {
    TestNetwork network{"dilated", {11, 9, 3}, gaps()};
    bitdial::nn::number_layers(network.modules);
    return network;
  }

  /// Stride 2, 17 channels.
  [[nodiscard]] Sequential plain() const {
    Sequential net;
    layers.conv(net, "a", {.in = 3, .out = 5, .kernel = 3, .padding = 1});
    net.add<Relu>("a.relu");
    layers.conv(net, "b", {.in = 5, .out = 17, .kernel = 3, .stride = 2, .padding = 1});
    net.add<Relu>("b.relu");
    net.add<bitdial::nn::GlobalAveragePool>("mean");
    layers.head(net, "head", {.in = 17, .out = 4});
    return net;
  }

  /// A stem of stride 2, an identity block, a block with a 1x1 shortcut.
  [[nodiscard]] Sequential residual() const {
    Sequential identity;
    layers.conv(identity, "1", {.in = 5, .out = 5, .kernel = 3, .padding = 1});
    identity.add<Relu>("relu");
    layers.conv(identity, "2", {.in = 5, .out = 5, .kernel = 3, .padding = 1});
    Sequential body;
    layers.conv(body, "1", {.in = 5, .out = 17, .kernel = 3, .stride = 2, .padding = 1});
    Sequential shortcut;
    layers.conv(shortcut, "1", {.in = 5, .out = 17, .kernel = 1, .stride = 2});
    Sequential net;
    layers.conv(net, "stem", {.in = 3, .out = 5, .kernel = 3, .stride = 2, .padding = 1});
    net.add<Relu>("stem.relu");
    net.add<Residual>("identity", std::move(identity));
    net.add<Relu>("identity.relu");
    net.add<Residual>("down", std::move(body), std::move(shortcut));
    net.add<Relu>("down.relu");
    net.add<bitdial::nn::GlobalAveragePool>("mean");
    layers.head(net, "head", {.in = 17, .out = 3});
    return net;
  }

  /// Kernels 5, 1 and 3; max and average pools with padding.
  [[nodiscard]] Sequential pools() const {
    Sequential net;
    layers.conv(net, "a", {.in = 1, .out = 17, .kernel = 5, .padding = 2});
    net.add<bitdial::nn::MaxPool2d>("largest", Window::square(3, {.stride = 2, .padding = 1}));
    net.add<Relu>("a.relu");
    layers.conv(net, "b", {.in = 17, .out = 3, .kernel = 1});
    net.add<bitdial::nn::AveragePool2d>("mean2", Window::square(2, {.stride = 1, .padding = 1}));
    layers.conv(net, "c", {.in = 3, .out = 5, .kernel = 3});
    net.add<bitdial::nn::GlobalAveragePool>("mean");
    layers.head(net, "head", {.in = 5, .out = 10});
    return net;
  }

  /// ReLUs before convolutions, joins without ReLU, a join of two convolutions of one input, a
  /// network that ends in a pool.
  [[nodiscard]] Sequential preactivated() const {
    Sequential left;
    left.add<Relu>("relu");
    layers.conv(left, "a", {.in = 4, .out = 4, .kernel = 5, .padding = 2});
    Sequential inner_body;
    layers.conv(inner_body, "b", {.in = 4, .out = 4, .kernel = 3, .padding = 1});
    Sequential inner_shortcut;
    layers.conv(inner_shortcut, "c", {.in = 4, .out = 4, .kernel = 1});
    Sequential right;
    right.add<Residual>("inner", std::move(inner_body), std::move(inner_shortcut));
    Sequential net;
    net.add<Residual>("first", std::move(left));
    net.add<Residual>("second", std::move(right));
    layers.conv(net, "last", {.in = 4, .out = 6, .kernel = 3, .stride = 2, .padding = 2});
    net.add<bitdial::nn::GlobalAveragePool>("mean");
    return net;
  }

  /// A depthwise layer on the image, one between pointwise layers in a residual, groups of two.
  [[nodiscard]] Sequential separable() const {
    Sequential inverted;
    layers.conv(inverted, "expand", {.in = 8, .out = 24, .kernel = 1});
    inverted.add<Relu>("expand.relu");
    layers.conv(inverted, "depthwise",
                {.in = 24, .out = 24, .kernel = 3, .padding = 1, .groups = 24});
    inverted.add<Relu>("depthwise.relu");
    layers.conv(inverted, "project", {.in = 24, .out = 8, .kernel = 1});
    Sequential net;
    layers.conv(net, "first", {.in = 4, .out = 4, .kernel = 3, .padding = 1, .groups = 4});
    layers.conv(net, "pairs",
                {.in = 4, .out = 8, .kernel = 3, .stride = 2, .padding = 1, .groups = 2});
    net.add<Residual>("inverted", std::move(inverted));
    layers.conv(net, "last", {.in = 8, .out = 8, .kernel = 3, .padding = 1, .groups = 8});
    net.add<bitdial::nn::GlobalAveragePool>("mean");
    return net;
  }

  /// Two blocks of branches: 1x1, 1x5 and 5x1, 3x1, an average pool before a 1x1; then stride 2
  /// beside a max pool, and nested branches 1x3 and 3x1; a block that adds.
  [[nodiscard]] Sequential branches() const {
    const auto conv = [this](Sequential& net, const std::string& name,
                             const bitdial::nn::Conv2dOptions& options) {
      layers.conv(net, name, options);
      net.add<Relu>(name + ".relu");
    };
    Sequential one, factorised, pool;
    conv(one, "1x1", {.in = 9, .out = 4, .kernel = 1});
    conv(factorised, "1x5", {.in = 9, .out = 3, .kernel = {1, 5}, .padding = {0, 2}});
    conv(factorised, "5x1", {.in = 3, .out = 5, .kernel = {5, 1}, .padding = {2, 0}});
    conv(factorised, "3x1", {.in = 5, .out = 6, .kernel = {3, 1}, .padding = {1, 0}});
    pool.add<bitdial::nn::AveragePool2d>("mean", Window::square(3, {.padding = 1}));
    conv(pool, "1x1", {.in = 9, .out = 7, .kernel = 1});
    bitdial::nn::Concat first;
    first.add("one", std::move(one)).add("factorised", std::move(factorised));
    first.add("pool", std::move(pool));

    Sequential row, column, split, largest;
    conv(row, "1x3", {.in = 5, .out = 3, .kernel = {1, 3}, .padding = {0, 1}});
    conv(column, "3x1", {.in = 5, .out = 4, .kernel = {3, 1}, .padding = {1, 0}});
    bitdial::nn::Concat both;
    both.add("row", std::move(row)).add("column", std::move(column));
    conv(split, "down", {.in = 17, .out = 5, .kernel = 3, .stride = 2});
    split.add<bitdial::nn::Concat>("both", std::move(both));
    largest.add<bitdial::nn::MaxPool2d>("largest", Window::square(3, {.stride = 2}));
    bitdial::nn::Concat second;
    second.add("split", std::move(split)).add("largest", std::move(largest));

    Sequential body;
    layers.conv(body, "a", {.in = 24, .out = 24, .kernel = {1, 3}, .padding = {0, 1}});

    Sequential net;
    conv(net, "stem", {.in = 3, .out = 9, .kernel = 3, .padding = 1});
    net.add<bitdial::nn::Concat>("first", std::move(first));
    net.add<bitdial::nn::Concat>("second", std::move(second));
    net.add<Residual>("sum", std::move(body));
    net.add<bitdial::nn::GlobalAveragePool>("mean");
    layers.head(net, "head", {.in = 24, .out = 4});
    return net;
  }

  /// Dilation 2 with stride 1 and 2, other dilations in height and width, a depthwise layer.
  [[nodiscard]] Sequential gaps() const {
    Sequential body;
    layers.conv(body, "depthwise",
                {.in = 17, .out = 17, .kernel = 3, .padding = 2, .dilation = 2, .groups = 17});
    body.add<Relu>("depthwise.relu");
    layers.conv(body, "project", {.in = 17, .out = 17, .kernel = 1});
    Sequential net;
    layers.conv(net, "a", {.in = 3, .out = 34, .kernel = 3, .padding = 2, .dilation = 2});
    net.add<Relu>("a.relu");
    layers.conv(net, "b",
                {.in = 34, .out = 17, .kernel = 3, .stride = 2, .padding = 2, .dilation = 2});
    net.add<Relu>("b.relu");
    net.add<Residual>("separable", std::move(body));
    layers.conv(net, "c", {.in = 17, .out = 5, .kernel = 3, .padding = {1, 3}, .dilation = {1, 3}});
    net.add<bitdial::nn::GlobalAveragePool>("mean");
    layers.head(net, "head", {.in = 5, .out = 4});
    return net;
  }

  /// Linear layers, one after a ReLU, one after another.
  [[nodiscard]] Sequential features() const {
    Sequential net;
    net.add<bitdial::nn::GlobalAveragePool>("mean");
    layers.head(net, "a", {.in = 19, .out = 33});
    net.add<Relu>("relu");
    layers.head(net, "b", {.in = 33, .out = 7});
    layers.head(net, "c", {.in = 7, .out = 2});
    return net;
  }
};

/// Adds `plans` and gives every parameter and statistic a value of its own: random weights, gammas
/// of both signs, running statistics of random images at each plan.
inline void settle(bitdial::nn::Module& network, const bitdial::Shape& image,
                   const std::vector<bitdial::PrecisionPlan>& plans, std::uint64_t seed) {
  using bitdial::nn::ParameterRole;
  bitdial::add_plans(network, plans);
  bitdial::nn::initialize(network, seed);
  for (const auto& [name, parameter] : bitdial::nn::parameters(network)) {
    if (parameter->role == ParameterRole::weight) continue;
    const bool gamma = name.ends_with("gamma");
    parameter->value =
        random_tensor(parameter->value.shape(), ++seed, gamma ? 0.2F : -0.4F, gamma ? 1.2F : 0.6F);
    if (gamma) parameter->value[0] *= -1.0F;
  }
  for (const bitdial::PrecisionPlan& plan : plans) {
    for (int pass = 0; pass < 2; ++pass) {
      bitdial::Tape tape;
      static_cast<void>(
          network.forward(tape.constant(random_images({3, image[0], image[1], image[2]}, ++seed)),
                          {.plan = plan, .mode = bitdial::nn::Mode::training}));
    }
  }
  watched_operands().clear();
}

}  // namespace test
