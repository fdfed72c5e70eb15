// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/nn/activation.hpp>
#include <bitdial/nn/conv2d.hpp>
#include <bitdial/nn/linear.hpp>
#include <bitdial/nn/pooling.hpp>
#include <bitdial/nn/sequential.hpp>
#include <bitdial/nn/traverse.hpp>
#include <support/tensors.hpp>

using namespace bitdial;

namespace {

const PrecisionPlan real_valued;

std::vector<std::string> parameter_names(nn::Module& network) {
  std::vector<std::string> names;
  for (const auto& [name, parameter] : nn::parameters(network)) names.push_back(name);
  return names;
}

}  // namespace

TEST_CASE("without modules it is the identity") {
  nn::Sequential net;
  Tape tape;
  const Var x = tape.constant(test::random_tensor({2, 3}, 1));
  CHECK(net.forward(x, {.plan = real_valued}).index() == x.index());
  CHECK(nn::describe(net).graph.nodes.size() == 1);
  CHECK(nn::parameters(net).empty());
}

TEST_CASE("modules run from first to last") {
  // relu(-x + 1) differs from -relu(x) + 1 where x > 1.
  const auto negate = [] {
    auto linear = std::make_unique<nn::Linear>(nn::LinearOptions{.in = 1, .out = 1});
    linear->weight().value[0] = -1.0F;
    linear->bias().value[0] = 1.0F;
    return linear;
  };
  nn::Sequential relu_last;
  relu_last.add("linear", negate()).add<nn::Relu>("relu");
  nn::Sequential relu_first;
  relu_first.add<nn::Relu>("relu").add("linear", negate());
  Tensor<float> x({1, 1}, 3.0F);
  Tape tape;
  const Var input = tape.borrow(x);
  CHECK(relu_last.forward(input, {.plan = real_valued}).value()[0] == 0.0F);
  CHECK(relu_first.forward(input, {.plan = real_valued}).value()[0] == -2.0F);
}

TEST_CASE("names are dotted paths, in the order of addition") {
  nn::Sequential inner;
  inner.add<nn::Linear>("second", nn::LinearOptions{.in = 2, .out = 3});
  inner.add<nn::Linear>("first", nn::LinearOptions{.in = 3, .out = 4});
  nn::Sequential net;
  net.add<nn::Conv2d>("stem", nn::Conv2dOptions{.in = 1, .out = 2, .kernel = 1});
  net.add<nn::GlobalAveragePool>("pool");
  net.add<nn::Sequential>("head", std::move(inner));
  CHECK(parameter_names(net) == std::vector<std::string>{"stem.weight", "head.second.weight",
                                                         "head.second.bias", "head.first.weight",
                                                         "head.first.bias"});
  CHECK(nn::child_name("", "conv") == "conv");
  CHECK(nn::child_name("a.b", "conv") == "a.b.conv");
}

TEST_CASE("a name is used once, a module is there") {
  nn::Sequential net;
  net.add<nn::Relu>("relu");
  CHECK(test::error_text<ConfigError>([&] { net.add<nn::Relu>("relu"); }) ==
        "sequential: the name 'relu' is taken");
  CHECK(test::error_text<ConfigError>([&] { net.add("gone", nullptr); }) ==
        "sequential: module 'gone' is null");
  CHECK(nn::describe(net).graph.nodes.size() == 2);
}

TEST_CASE("a module that cannot be built is named") {
  nn::Sequential net;
  CHECK(test::error_text<ConfigError>([&] {
          net.add<nn::Linear>("classifier", nn::LinearOptions{.in = 2, .out = 0});
        }) == "module 'classifier': linear: features must be at least 1, got in 2, out 0");
  CHECK(nn::describe(net).graph.nodes.size() == 1);
}

TEST_CASE("the graph is a chain") {
  nn::Sequential net;
  const auto window = ops::Window::square(2, {.stride = 2});
  net.add<nn::Relu>("relu").add<nn::MaxPool2d>("pool", window).add<nn::GlobalAveragePool>("mean");
  const auto nodes = nn::describe(net).graph.nodes;
  REQUIRE(nodes.size() == 4);
  const ops::NodeKind kinds[] = {ops::NodeKind::input, ops::NodeKind::relu,
                                 ops::NodeKind::max_pool2d, ops::NodeKind::global_average_pool};
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(nodes[i].kind == kinds[i]);
    CHECK(nodes[i].inputs[0] == static_cast<int>(i) - 1);
    CHECK(nodes[i].inputs[1] == -1);
    CHECK(nodes[i].layer == -1);
  }
  CHECK(nodes[2].window == window);
}
