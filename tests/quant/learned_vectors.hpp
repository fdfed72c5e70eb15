// SPDX-License-Identifier: Apache-2.0
// Published test vectors of policies whose state is given: values, gradients, slopes of parameters.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "vectors.hpp"

namespace vectors {

template <class P>
void check_forward_at(const P& policy, const typename P::State& state, const std::vector<float>& x,
                      int bits, const std::vector<double>& expected) {
  CAPTURE(bits);
  std::vector<float> y(x.size());
  bitdial::Quantizer<P>{policy}.fake_quantize(x, state, bits, y);
  check_near(y, expected);
}

/// The derivative by x where every element of dy is 1.
template <class P>
void check_backward_at(const P& policy, const typename P::State& state, const std::vector<float>& x,
                       int bits, const std::vector<double>& expected) {
  CAPTURE(bits);
  const std::vector<float> dy(x.size(), 1.0F);
  std::vector<float> dx(x.size(), 99.0F);
  bitdial::Quantizer<P>{policy}.backward(x, dy, state, bits, dx);
  check_near(dx, expected);
}

/// The derivative of each y by the parameter `name`: gradients for a dy of one 1.
template <class P>
void check_slopes(const P& policy, const typename P::State& state, const std::vector<float>& x,
                  int bits, std::string_view name, const std::vector<double>& expected) {
  CAPTURE(bits);
  const bitdial::Quantizer<P> quantizer{policy};
  std::vector<float> slopes;
  for (std::size_t i = 0; i < x.size(); ++i) {
    std::vector<float> dy(x.size(), 0.0F);
    dy[i] = 1.0F;
    auto gradient = quantizer.gradients(x, dy, state, bits);
    slopes.push_back(quantizer.parameter(gradient, name)[0]);
  }
  check_near(slopes, expected);
}

}  // namespace vectors
