// SPDX-License-Identifier: Apache-2.0
// The square error of a policy on normal values, whose optimum published steps are.
#pragma once

#include <cmath>

#include <bitdial/quant/quantizer.hpp>

namespace vectors {

/// The error of the policy with steps f times as long: f^2 times that of its own at the value / f.
/// Of activations only positive values count.
template <class P>
double normal_error(const P& policy, int bits, double f) {
  double sum = 0.0;
  for (int i = -24000; i <= 24000; ++i) {
    const double value = static_cast<double>(i) / 4000.0;
    const auto part = static_cast<float>(value / f);
    float y = 0.0F;
    bitdial::Quantizer{policy}.fake_quantize({&part, 1}, typename P::State{}, bits, {&y, 1});
    const bool counts = policy.role == bitdial::TensorRole::weights || value > 0.0;
    const double distance = counts ? value - f * static_cast<double>(y) : 0.0;
    sum += std::exp(-value * value / 2.0) * distance * distance;
  }
  return sum;
}

}  // namespace vectors
