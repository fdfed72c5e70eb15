// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/nn/activation.hpp>
#include <bitdial/nn/conv2d.hpp>
#include <bitdial/nn/linear.hpp>
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

TEST_CASE("the count of learned values leaves buffers out") {
  Net net;
  CHECK(nn::parameter_count(net.all) == 6 + 4 * 7 + 7 + 6);
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
