// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <bitdial/nn/activation.hpp>
#include <bitdial/nn/pooling.hpp>
#include <bitdial/nn/traverse.hpp>

using namespace bitdial;

TEST_CASE("values and graph nodes of the modules without state") {
  const auto window = ops::Window::square(2, {.stride = 2, .padding = 1});
  nn::MaxPool2d largest(window);
  nn::AveragePool2d mean(window);
  nn::GlobalAveragePool global;
  nn::Relu relu;
  Tensor<float> x({1, 2, 2, 1});
  for (std::int64_t i = 0; i < 4; ++i) x[i] = static_cast<float>(-4 * (i - 1));  // 4 0 -4 -8
  const PrecisionPlan plan;
  Tape tape;
  const Var in = tape.borrow(x);
  // Each window holds one pixel and three padded taps: never the largest, but counted as zeros.
  CHECK(largest.forward(in, {.plan = plan}).value()[3] == -8.0F);
  CHECK(mean.forward(in, {.plan = plan}).value()[3] == -2.0F);
  const Var averaged = global.forward(in, {.plan = plan});
  CHECK(averaged.shape() == Shape{1, 1});
  CHECK(averaged.value()[0] == -2.0F);
  CHECK(relu.forward(in, {.plan = plan}).value()[0] == 4.0F);
  CHECK(relu.forward(in, {.plan = plan}).value()[2] == 0.0F);

  using Kind = ops::NodeKind;
  CHECK(nn::describe(largest).graph.nodes[1] ==
        ops::GraphNode{.kind = Kind::max_pool2d, .inputs = {0, -1}, .window = window});
  CHECK(nn::describe(mean).graph.nodes[1] ==
        ops::GraphNode{.kind = Kind::average_pool2d, .inputs = {0, -1}, .window = window});
  CHECK(nn::describe(global).graph.nodes[1] ==
        ops::GraphNode{.kind = Kind::global_average_pool, .inputs = {0, -1}});
  CHECK(nn::describe(relu).graph.nodes[1] == ops::GraphNode{.kind = Kind::relu, .inputs = {0, -1}});
  CHECK(nn::state(largest).empty());
}
