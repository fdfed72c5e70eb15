// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/nn/activation.hpp>
#include <bitdial/nn/conv2d.hpp>
#include <bitdial/nn/linear.hpp>
#include <bitdial/nn/residual.hpp>
#include <bitdial/nn/sequential.hpp>
#include <bitdial/nn/traverse.hpp>

using namespace bitdial;

namespace {

/// A module with one item of each kind; as a quantized layer it does nothing.
class Probe final : public nn::Module, public nn::QuantizedLayer {
 public:
  nn::Parameter gain{Tensor<float>({2, 3}, 1.0F), nn::ParameterRole::clip};
  Tensor<float> range{Shape{5}};

  Var forward(Var x, const nn::Pass&) override { return x; }
  void visit(nn::ModuleVisitor& visitor, const std::string& name) override {
    visitor.layer(name, *this);
    visitor.parameter(nn::child_name(name, "gain"), gain);
    visitor.buffer(nn::child_name(name, "range"), range);
  }
  std::int32_t describe(nn::Description&, std::int32_t x) const override { return x; }

  nn::LayerGeometry geometry() const override { return {}; }
  void add_plan(const PrecisionPlan&) override {}
  Precision executed(const PrecisionPlan& plan) const override { return plan.at(0); }
  bool nested() const override { return false; }
  nn::WeightCodes weight_codes(int) const override { return {}; }
  IntegerLevels activation_levels(const PrecisionPlan&) const override { return {}; }
  std::uint8_t activation_code(float, const PrecisionPlan&) const override { return 0; }
  nn::Epilogue epilogue(const PrecisionPlan&) const override { return {}; }
};

struct Net {
  nn::Sequential all;
  Probe* first = nullptr;
  Probe* second = nullptr;

  Net() {
    auto a = std::make_unique<Probe>();
    auto b = std::make_unique<Probe>();
    first = a.get();
    second = b.get();
    all.add("a", std::move(a));
    all.add<nn::Linear>("linear", nn::LinearOptions{.in = 4, .out = 7});
    all.add("b", std::move(b));
  }
};

template <class T>
std::vector<std::string> names(const nn::Named<T>& items) {
  std::vector<std::string> found;
  for (const auto& [name, item] : items) found.push_back(name);
  return found;
}

}  // namespace

TEST_CASE("parameters, state and layers in visiting order") {
  Net net;
  using Names = std::vector<std::string>;
  CHECK(names(nn::parameters(net.all)) ==
        Names{"a.gain", "linear.weight", "linear.bias", "b.gain"});
  CHECK(names(nn::state(net.all)) ==
        Names{"a.gain", "a.range", "linear.weight", "linear.bias", "b.gain", "b.range"});
  CHECK(names(nn::quantized_layers(net.all)) == Names{"a", "b"});
  CHECK(nn::parameters(net.all)[0].second == &net.first->gain);
  CHECK(nn::state(net.all)[5].second == &net.second->range);
}

TEST_CASE("layers are numbered from 0 in visiting order") {
  Net net;
  CHECK(net.first->index() == -1);
  CHECK(nn::number_layers(net.all) == 2);
  CHECK(net.first->index() == 0);
  CHECK(net.second->index() == 1);
  CHECK(nn::number_layers(net.all) == 2);
  CHECK(net.second->index() == 1);
}

TEST_CASE("the count of parameters leaves out buffers and what quantizers and searches learn") {
  Net net;
  CHECK(nn::parameter_count(net.all) == 4 * 7 + 7);
  net.first->gain.role = nn::ParameterRole::bias;
  CHECK(nn::parameter_count(net.all) == 6 + 4 * 7 + 7);
  net.second->gain.role = nn::ParameterRole::architecture;
  CHECK(nn::parameter_count(net.all) == 6 + 4 * 7 + 7);
}

TEST_CASE("gradients are cleared, values stay") {
  Net net;
  for (const auto& [name, parameter] : nn::parameters(net.all)) parameter->grad.fill(2.0F);
  nn::zero_gradients(net.all);
  for (const auto& [name, parameter] : nn::parameters(net.all)) {
    for (const float g : parameter->grad.span()) CHECK(g == 0.0F);
  }
  CHECK(net.first->gain.value[0] == 1.0F);
}

namespace {

/// Two paths of the given numbers of layers; the second may be none.
std::unique_ptr<nn::Module> block(int body_layers, int shortcut_layers) {
  nn::Sequential body;
  for (int i = 0; i < body_layers; ++i) body.add<Probe>(concat("body", i));
  nn::Sequential shortcut;
  for (int i = 0; i < shortcut_layers; ++i) shortcut.add<Probe>(concat("side", i));
  return std::make_unique<nn::Residual>(std::move(body), std::move(shortcut));
}

}  // namespace

TEST_CASE("blocks are the parts with parallel paths; the layer before is known") {
  nn::Sequential net;
  net.add<Probe>("stem");
  net.add("plain", block(2, 0));
  net.add("changing", block(2, 1));
  net.add("empty", block(0, 0));
  net.add<Probe>("head");
  CHECK(nn::number_layers(net) == 7);
  CHECK(nn::blocks(net) ==
        std::vector<nn::LayerBlock>{{.name = "plain", .first = 1, .count = 2},
                                    {.name = "changing", .first = 3, .count = 3}});
  std::vector<int> previous;
  for (const auto& [name, layer] : nn::quantized_layers(net)) {
    previous.push_back(layer->position().previous);
  }
  // The shortcut (5) starts where the body (3, 4) does; the head follows the body.
  CHECK(previous == std::vector<int>{-1, 0, 1, 2, 3, 2, 4});
}

TEST_CASE("a block inside a block is a part of the outer one") {
  nn::Sequential inner;
  inner.add<Probe>("first");
  inner.add("inner", block(1, 1));
  nn::Sequential net;
  net.add<nn::Residual>("outer", std::move(inner));
  net.add<Probe>("head");
  CHECK(nn::number_layers(net) == 4);
  CHECK(nn::blocks(net) == std::vector<nn::LayerBlock>{{.name = "outer", .first = 0, .count = 3}});
  CHECK(nn::quantized_layers(net)[3].second->position().previous == 1);
  CHECK(nn::quantized_layers(net)[2].second->position().previous == 0);
}
