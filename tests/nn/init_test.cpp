// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include <doctest/doctest.h>
#include <bitdial/nn/conv2d.hpp>
#include <bitdial/nn/init.hpp>
#include <bitdial/nn/linear.hpp>
#include <bitdial/nn/sequential.hpp>
#include <support/tensors.hpp>

using namespace bitdial;

namespace {

nn::Sequential network() {
  nn::Sequential net;
  net.add<nn::Conv2d>("a", nn::Conv2dOptions{.in = 16, .out = 64, .kernel = 3});
  net.add<nn::Conv2d>("b", nn::Conv2dOptions{.in = 16, .out = 64, .kernel = 3});
  net.add<nn::Linear>("head", nn::LinearOptions{.in = 50, .out = 400});
  return net;
}

const Tensor<float>& value(nn::Module& net, std::size_t i) {
  return nn::parameters(net)[i].second->value;
}

}  // namespace

TEST_CASE("equal seeds give equal networks, other seeds other ones") {
  nn::Sequential first = network();
  nn::Sequential second = network();
  nn::Sequential third = network();
  nn::initialize(first, 5);
  nn::initialize(second, 5);
  nn::initialize(third, 6);
  for (std::size_t i = 0; i < 4; ++i) CHECK(test::same_bits(value(first, i), value(second, i)));
  CHECK_FALSE(test::same_bits(value(first, 0), value(third, 0)));
  CHECK_FALSE(test::same_bits(value(first, 0), value(first, 1)));  // equal shapes, other numbers
  nn::initialize(third, 5);
  CHECK(test::same_bits(value(first, 2), value(third, 2)));
}

TEST_CASE("weights are normal with variance 2 / fan_in, biases stay zero") {
  nn::Sequential net = network();
  nn::initialize(net, 1);
  const double fan_in[] = {9.0 * 16, 9.0 * 16, 50.0};
  for (std::size_t i = 0; i < 3; ++i) {
    const Tensor<float>& w = value(net, i);
    double sum = 0.0;
    double squares = 0.0;
    for (const float x : w.span()) {
      sum += static_cast<double>(x);
      squares += static_cast<double>(x) * static_cast<double>(x);
    }
    const auto count = static_cast<double>(w.size());
    const double variance = 2.0 / fan_in[i];
    CHECK(std::abs(sum / count) < 5.0 * std::sqrt(variance / count));
    // The variance of the mean square of a normal variable is 2 sigma^4 / n.
    CHECK(std::abs(squares / count / variance - 1.0) < 5.0 * std::sqrt(2.0 / count));
  }
  for (const float b : value(net, 3).span()) CHECK(b == 0.0F);
}
