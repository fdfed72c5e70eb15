// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/nn/activation.hpp>
#include <bitdial/nn/concat.hpp>
#include <bitdial/nn/conv2d.hpp>
#include <bitdial/nn/cost.hpp>
#include <bitdial/nn/pooling.hpp>
#include <bitdial/nn/traverse.hpp>
#include <support/tensors.hpp>

using namespace bitdial;

namespace {

const PrecisionPlan real_valued;

nn::Sequential conv(const nn::Conv2dOptions& options, float weight) {
  auto layer = std::make_unique<nn::Conv2d>(options);
  layer->weight().value.fill(weight);
  nn::Sequential branch;
  branch.add("conv", std::move(layer));
  return branch;
}

}  // namespace

TEST_CASE("branches read one input and stand side by side, the empty one is the input") {
  nn::Concat branches;
  branches.add("two", conv({.in = 1, .out = 2, .kernel = 1}, 3.0F));
  branches.add("x", {});
  branches.add("row", conv({.in = 1, .out = 1, .kernel = {1, 3}, .padding = {0, 1}}, 1.0F));
  Tape tape;
  const Var x = tape.leaf(Tensor<float>({1, 1, 2, 1}, 2.0F));
  const Var y = branches.forward(x, {.plan = real_valued});
  REQUIRE(y.shape() == Shape{1, 1, 2, 4});
  CHECK(y.value()[0] == 6.0F);
  CHECK(y.value()[1] == 6.0F);
  CHECK(y.value()[2] == 2.0F);
  CHECK(y.value()[3] == 4.0F);
  CHECK(y.value()[7] == 4.0F);
  const std::vector<std::int32_t> label{0};
  tape.backward(ad::softmax_cross_entropy(ad::global_average_pool(y), label));
  CHECK(x.grad()[0] != 0.0F);
}

TEST_CASE("branches have names of their own") {
  nn::Concat branches;
  branches.add("a", conv({}, 1.0F)).add("b", conv({}, 1.0F));
  CHECK_THROWS_WITH_AS(branches.add("a", {}), "concat: the name 'a' is taken", ConfigError);
  nn::Sequential net;
  net.add<nn::Concat>("mixed", std::move(branches));
  std::vector<std::string> names;
  for (const auto& [name, parameter] : nn::parameters(net)) names.push_back(name);
  CHECK(names == std::vector<std::string>{"mixed.a.conv.weight", "mixed.b.conv.weight"});
}

TEST_CASE("the graph joins branches two by two, in order") {
  nn::Sequential relu;
  relu.add<nn::Relu>("relu");
  nn::Sequential pool;
  pool.add<nn::MaxPool2d>("pool", ops::Window::square(3, {.padding = 1}));
  nn::Concat branches;
  branches.add("relu", std::move(relu)).add("x", {}).add("pool", std::move(pool));
  const auto nodes = nn::describe(branches).graph.nodes;

  using Kind = ops::NodeKind;
  struct Expected {
    Kind kind;
    std::array<std::int32_t, 2> inputs;
  };
  const Expected expected[] = {{Kind::input, {-1, -1}},
                               {Kind::relu, {0, -1}},
                               {Kind::max_pool2d, {0, -1}},
                               {Kind::concat, {1, 0}},
                               {Kind::concat, {3, 2}}};
  REQUIRE(nodes.size() == std::size(expected));
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    CAPTURE(i);
    CHECK(nodes[i].kind == expected[i].kind);
    CHECK(nodes[i].inputs == expected[i].inputs);
  }
}

TEST_CASE("no branches, and branches of unequal size, are refused") {
  nn::Concat none;
  Tape tape;
  const Var x = tape.constant(Tensor<float>({1, 4, 4, 1}));
  CHECK_THROWS_AS(static_cast<void>(none.forward(x, {.plan = real_valued})), ConfigError);
  CHECK_THROWS_AS(static_cast<void>(nn::describe(none)), ConfigError);
  nn::Concat branches;
  branches.add("x", {}).add("smaller", conv({.in = 1, .kernel = 3}, 1.0F));
  CHECK(test::error_text<ShapeError>([&] {
          static_cast<void>(branches.forward(x, {.plan = real_valued}));
        }) == "concat: a part [1, 2, 2, 1] from channel 1 on does not fit into [1, 4, 4, 2]");
}
