// SPDX-License-Identifier: Apache-2.0
// Initial weights: a pure function of the seed and of the parameter's position.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include <bitdial/core/random.hpp>
#include <bitdial/nn/traverse.hpp>

namespace bitdial::inline BITDIAL_ABI::nn {

/// Fills `weight` [out, ..., in] with normal numbers of variance 2 / fan_in.
/// He et al., "Delving deep into rectifiers", 1502.01852.
inline void he_normal(Tensor<float>& weight, Random random) {
  const std::int64_t fan_in = weight.size() / std::max<std::int64_t>(1, weight.extent(0));
  const float deviation = std::sqrt(2.0F / static_cast<float>(std::max<std::int64_t>(1, fan_in)));
  for (float& value : weight.span()) value = deviation * random.normal();
}

/// Initialises every weight of a network by `he_normal`; biases, BN and buffers keep the values of
/// their constructors. Equal seeds give equal networks.
inline void initialize(Module& network, std::uint64_t seed) {
  std::uint64_t stream = 0;
  for (const auto& [name, parameter] : parameters(network)) {
    if (parameter->role == ParameterRole::weight) he_normal(parameter->value, {seed, stream});
    ++stream;
  }
}

}  // namespace bitdial::inline BITDIAL_ABI::nn
