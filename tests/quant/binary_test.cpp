// SPDX-License-Identifier: Apache-2.0
// XNOR-Net weights and Bi-Real activations against published vectors.
#include <bitdial/quant/policies/binary.hpp>

#include "vectors.hpp"

using namespace bitdial;

TEST_CASE("XNOR weights of one filter: values and both gradients") {
  const XnorWeights policy;
  const double alpha = 0.479166667;
  vectors::check_forward(policy, vectors::weights, 1, {-alpha, -alpha, alpha, alpha, alpha, alpha});
  vectors::check_backward(policy, vectors::weights, vectors::gradients, 1,
                          {0.0166667, -0.1291667, 0.19375, -0.2583333, 0.3229167, -0.3875});
  vectors::check_backward(XnorWeights{.gradient = XnorGradient::repository}, vectors::weights,
                          vectors::gradients, 1,
                          {0.0833333, -0.6458333, 0.96875, -1.2916667, 1.6145833, -1.9375});
}

TEST_CASE("XNOR weights without centring: mean of magnitudes") {
  const double mean = 0.458333333;  // -1.2 counts as -1
  vectors::check_forward(XnorWeights{.is_centred = false}, vectors::weights, 1,
                         {-mean, -mean, -mean, mean, mean, mean});
}

TEST_CASE("Bi-Real activations: sign, parabolic gradient") {
  const std::vector<float> x{-1.5F, -1.0F, -0.6F, -0.2F, 0.0F, 0.2F, 0.6F, 1.0F, 1.5F};
  vectors::check_forward(BiRealActivations{}, x, 1, {-1, -1, -1, -1, -1, 1, 1, 1, 1});
  vectors::check_backward(BiRealActivations{}, x, std::vector<float>(x.size(), 1.0F), 1,
                          {0, 0, 0.8, 1.6, 2, 1.6, 0.8, 0, 0});
}
