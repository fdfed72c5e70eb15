// SPDX-License-Identifier: Apache-2.0
// The gradient of a whole network against finite differences, parameter by parameter.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/nn/traverse.hpp>
#include <support/tensors.hpp>

namespace test {

/// Compares the derivative of the loss along one random direction per parameter with central
/// differences of `step` to both sides, and returns these derivatives. `record(tape)` records the
/// loss; gradients of `network` are zero before.
template <class Record>
std::vector<double> check_parameter_derivatives(bitdial::nn::Module& network, const Record& record,
                                                float step) {
  bitdial::Tape tape;
  tape.backward(record(tape));
  std::vector<double> derivatives;
  std::uint64_t seed = 10;
  for (const auto& named : bitdial::nn::parameters(network)) {
    const std::string& name = named.first;
    bitdial::nn::Parameter* const parameter = named.second;
    CAPTURE(name);
    const bitdial::Tensor<float> direction = random_tensor(parameter->value.shape(), ++seed);
    double along = 0.0;
    for (std::int64_t i = 0; i < direction.size(); ++i) {
      along += static_cast<double>(parameter->grad[i]) * static_cast<double>(direction[i]);
    }
    const bitdial::Tensor<float> original = parameter->value;
    const auto loss_at = [&](float distance) {
      for (std::int64_t i = 0; i < direction.size(); ++i) {
        parameter->value[i] = original[i] + distance * direction[i];
      }
      bitdial::Tape other;
      const auto value = static_cast<double>(record(other).value()[0]);
      parameter->value = original;
      return value;
    };
    const double numeric = (loss_at(step) - loss_at(-step)) / (2.0 * static_cast<double>(step));
    CHECK(std::abs(along - numeric) < 1e-3 + 0.01 * std::abs(along));
    derivatives.push_back(along);
  }
  return derivatives;
}

}  // namespace test
