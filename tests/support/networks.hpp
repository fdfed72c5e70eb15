// SPDX-License-Identifier: Apache-2.0
// Small networks of odd shapes whose layers can be watched, with state that is not trivial.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <bitdial/nn/activation.hpp>
#include <bitdial/nn/conv2d.hpp>
#include <bitdial/nn/init.hpp>
#include <bitdial/nn/linear.hpp>
#include <bitdial/nn/pooling.hpp>
#include <bitdial/nn/residual.hpp>
#include <bitdial/switchable/switchable_layer.hpp>
#include <support/tensors.hpp>

namespace test {

/// The latest operand that each `Watched` layer saw, by the address of its weights: integer levels
/// in evaluation.
inline std::map<const float*, bitdial::Tensor<double>>& watched_operands() {
  static std::map<const float*, bitdial::Tensor<double>> operands;
  return operands;
}

/// `Layer`, but every `apply` leaves a copy of x in `watched_operands()`.
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
    bitdial::Tensor<double> copy(x.shape());
    std::ranges::copy(x.value().span(), copy.data());
    watched_operands()[layer_.weight().value.data()] = std::move(copy);
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

/// Networks over one list of widths and one pair of policies.
template <class Bits, class Weights = bitdial::DoReFaWeights,
          class Activations = bitdial::DoReFaActivations>
struct Zoo {
  using Conv = bitdial::SwitchableLayer<Watched<bitdial::nn::Conv2d>, Bits, Weights, Activations>;
  using Head = bitdial::SwitchableLayer<Watched<bitdial::nn::Linear>, Bits, Weights, Activations>;
  using Switching = typename Conv::Switching;
  using Conv2dOptions = bitdial::nn::Conv2dOptions;
  using Sequential = bitdial::nn::Sequential;
  using Window = bitdial::ops::Window;

  struct Network {
    std::string_view name;
    bitdial::Shape image;  ///< [H, W, C]
    Sequential modules;
  };

  Switching switching{.batch_norm = {.momentum = 0.7}};

  [[nodiscard]] std::vector<Network> networks() const {
    std::vector<Network> all;
    all.push_back({"plain", {9, 7, 3}, plain()});
    all.push_back({"residual", {9, 7, 3}, residual()});
    all.push_back({"pools", {11, 8, 1}, pools()});
    all.push_back({"preactivated", {6, 5, 4}, preactivated()});
    all.push_back({"features", {2, 3, 19}, features()});
    for (Network& network : all) bitdial::nn::number_layers(network.modules);
    return all;
  }

  /// Stride 2, 17 channels.
  [[nodiscard]] Sequential plain() const {
    Sequential net;
    conv(net, "a", {.in = 3, .out = 5, .kernel = 3, .padding = 1});
    net.template add<bitdial::nn::Relu>("a.relu");
    conv(net, "b", {.in = 5, .out = 17, .kernel = 3, .stride = 2, .padding = 1});
    net.template add<bitdial::nn::Relu>("b.relu");
    net.template add<bitdial::nn::GlobalAveragePool>("mean");
    head(net, "head", {.in = 17, .out = 4});
    return net;
  }

  /// A stem of stride 2, an identity block, a block with a 1x1 shortcut.
  [[nodiscard]] Sequential residual() const {
    Sequential identity;
    conv(identity, "1", {.in = 5, .out = 5, .kernel = 3, .padding = 1});
    identity.template add<bitdial::nn::Relu>("relu");
    conv(identity, "2", {.in = 5, .out = 5, .kernel = 3, .padding = 1});
    Sequential body;
    conv(body, "1", {.in = 5, .out = 17, .kernel = 3, .stride = 2, .padding = 1});
    Sequential shortcut;
    conv(shortcut, "1", {.in = 5, .out = 17, .kernel = 1, .stride = 2});
    Sequential net;
    conv(net, "stem", {.in = 3, .out = 5, .kernel = 3, .stride = 2, .padding = 1});
    net.template add<bitdial::nn::Relu>("stem.relu");
    net.template add<bitdial::nn::Residual>("identity", std::move(identity));
    net.template add<bitdial::nn::Relu>("identity.relu");
    net.template add<bitdial::nn::Residual>("down", std::move(body), std::move(shortcut));
    net.template add<bitdial::nn::Relu>("down.relu");
    net.template add<bitdial::nn::GlobalAveragePool>("mean");
    head(net, "head", {.in = 17, .out = 3});
    return net;
  }

  /// Kernels 5, 1 and 3; max and average pools with padding.
  [[nodiscard]] Sequential pools() const {
    Sequential net;
    conv(net, "a", {.in = 1, .out = 17, .kernel = 5, .padding = 2});
    net.template add<bitdial::nn::MaxPool2d>("largest",
                                             Window::square(3, {.stride = 2, .padding = 1}));
    net.template add<bitdial::nn::Relu>("a.relu");
    conv(net, "b", {.in = 17, .out = 3, .kernel = 1});
    net.template add<bitdial::nn::AveragePool2d>("mean2",
                                                 Window::square(2, {.stride = 1, .padding = 1}));
    conv(net, "c", {.in = 3, .out = 5, .kernel = 3});
    net.template add<bitdial::nn::GlobalAveragePool>("mean");
    head(net, "head", {.in = 5, .out = 10});
    return net;
  }

  /// ReLUs before convolutions, joins without ReLU, a join of two convolutions of one input, a
  /// network that ends in a pool.
  [[nodiscard]] Sequential preactivated() const {
    Sequential left;
    left.template add<bitdial::nn::Relu>("relu");
    conv(left, "a", {.in = 4, .out = 4, .kernel = 5, .padding = 2});
    Sequential inner_body;
    conv(inner_body, "b", {.in = 4, .out = 4, .kernel = 3, .padding = 1});
    Sequential inner_shortcut;
    conv(inner_shortcut, "c", {.in = 4, .out = 4, .kernel = 1});
    Sequential right;
    right.template add<bitdial::nn::Residual>("inner", std::move(inner_body),
                                              std::move(inner_shortcut));
    Sequential net;
    net.template add<bitdial::nn::Residual>("first", std::move(left));
    net.template add<bitdial::nn::Residual>("second", std::move(right));
    conv(net, "last", {.in = 4, .out = 6, .kernel = 3, .stride = 2, .padding = 2});
    net.template add<bitdial::nn::GlobalAveragePool>("mean");
    return net;
  }

  /// Linear layers, one after a ReLU, one after another.
  [[nodiscard]] Sequential features() const {
    Sequential net;
    net.template add<bitdial::nn::GlobalAveragePool>("mean");
    head(net, "a", {.in = 19, .out = 33});
    net.template add<bitdial::nn::Relu>("relu");
    head(net, "b", {.in = 33, .out = 7});
    head(net, "c", {.in = 7, .out = 2});
    return net;
  }

  void conv(Sequential& net, std::string name, const Conv2dOptions& options) const {
    net.template add<Conv>(std::move(name), options, switching);
  }
  void head(Sequential& net, std::string name, const bitdial::nn::LinearOptions& options) const {
    net.template add<Head>(std::move(name), options,
                           typename Head::Switching{.pinned = switching.pinned,
                                                    .weights = switching.weights,
                                                    .activations = switching.activations});
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
      static_cast<void>(network.forward(
          tape.constant(random_images({3, image[0], image[1], image[2]}, ++seed)),
          {.plan = plan, .mode = bitdial::nn::Mode::training}));
    }
  }
  watched_operands().clear();
}

}  // namespace test
