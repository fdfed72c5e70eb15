// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/nn/activation.hpp>
#include <bitdial/nn/conv2d.hpp>
#include <bitdial/nn/linear.hpp>
#include <bitdial/nn/pooling.hpp>
#include <bitdial/nn/residual.hpp>
#include <bitdial/nn/traverse.hpp>
#include <support/tensors.hpp>

using namespace bitdial;

namespace {

const PrecisionPlan real_valued;

nn::Sequential scaling(float factor) {
  auto linear = std::make_unique<nn::Linear>(nn::LinearOptions{.in = 1, .out = 1});
  linear->weight().value[0] = factor;
  nn::Sequential path;
  path.add("linear", std::move(linear));
  return path;
}

}  // namespace

TEST_CASE("body plus identity, body plus shortcut") {
  const Tensor<float> x({2, 1}, 2.0F);
  Tape tape;
  nn::Residual identity(scaling(3.0F));
  nn::Residual both(scaling(3.0F), scaling(10.0F));
  CHECK(identity.forward(tape.borrow(x), {.plan = real_valued}).value()[1] == 8.0F);
  CHECK(both.forward(tape.borrow(x), {.plan = real_valued}).value()[1] == 26.0F);
}

TEST_CASE("gradients reach both paths") {
  nn::Residual net(scaling(3.0F), scaling(10.0F));
  Tape tape;
  const Var x = tape.leaf(Tensor<float>({1, 1}, 2.0F));
  tape.backward(net.forward(x, {.plan = real_valued}));
  CHECK(x.grad()[0] == 13.0F);
  for (const auto& named : nn::parameters(net)) {
    const std::string& name = named.first;
    nn::Parameter* const parameter = named.second;
    CAPTURE(name);
    CHECK(parameter->grad[0] == (test::contains(name, "weight") ? 2.0F : 1.0F));
  }
}

TEST_CASE("the body keeps the name, the shortcut gets one of its own") {
  nn::Sequential net;
  net.add<nn::Residual>("block", scaling(1.0F), scaling(2.0F));
  std::vector<std::string> names;
  for (const auto& [name, parameter] : nn::parameters(net)) names.push_back(name);
  CHECK(names == std::vector<std::string>{"block.linear.weight", "block.linear.bias",
                                          "block.shortcut.linear.weight",
                                          "block.shortcut.linear.bias"});
}

TEST_CASE("the graph joins both paths in an add node") {
  nn::Sequential body;
  body.add<nn::Relu>("a").add<nn::Relu>("b");
  nn::Sequential shortcut;
  shortcut.add<nn::MaxPool2d>("pool", ops::Window::square(1));
  nn::Sequential net;
  net.add<nn::Relu>("first");
  net.add<nn::Residual>("with", std::move(body), std::move(shortcut));
  nn::Sequential plain;
  plain.add<nn::Relu>("c");
  net.add<nn::Residual>("without", std::move(plain));

  using Kind = ops::NodeKind;
  struct Expected {
    Kind kind;
    std::array<std::int32_t, 2> inputs;
  };
  const Expected expected[] = {
      {Kind::input, {-1, -1}}, {Kind::relu, {0, -1}},       {Kind::relu, {1, -1}},
      {Kind::relu, {2, -1}},   {Kind::max_pool2d, {1, -1}}, {Kind::add, {3, 4}},
      {Kind::relu, {5, -1}},   {Kind::add, {6, 5}},
  };
  const auto nodes = nn::describe(net).graph.nodes;
  REQUIRE(nodes.size() == std::size(expected));
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    CAPTURE(i);
    CHECK(nodes[i].kind == expected[i].kind);
    CHECK(nodes[i].inputs == expected[i].inputs);
  }
}

TEST_CASE("paths of unequal shape are refused with both shapes") {
  nn::Sequential body;
  body.add<nn::MaxPool2d>("pool", ops::Window::square(2, {.stride = 2}));
  nn::Residual net(std::move(body));
  Tape tape;
  const Var x = tape.constant(Tensor<float>({1, 4, 4, 3}));
  const std::string text = test::error_text<ShapeError>(
      [&] { static_cast<void>(net.forward(x, {.plan = real_valued})); });
  CHECK(test::contains(text, "[1, 2, 2, 3]"));
  CHECK(test::contains(text, "[1, 4, 4, 3]"));
}
