// SPDX-License-Identifier: Apache-2.0
// Bi-Real weights and activations against published vectors.
#include <bitdial/quant/policies/bi_real.hpp>

#include "vectors.hpp"

using namespace bitdial;

TEST_CASE("Bi-Real activations: sign, parabolic gradient") {
  const std::vector<float> x{-1.5F, -1.0F, -0.6F, -0.2F, 0.0F, 0.2F, 0.6F, 1.0F, 1.5F};
  vectors::check_forward(BiRealActivations{}, x, 1, {-1, -1, -1, -1, -1, 1, 1, 1, 1});
  vectors::check_backward(BiRealActivations{}, x, std::vector<float>(x.size(), 1.0F), 1,
                          {0, 0, 0.8, 1.6, 2, 1.6, 0.8, 0, 0});
}

TEST_CASE("Bi-Real weights of one filter: mean of all magnitudes, both gradients") {
  const double mean = 0.491666667;
  vectors::check_forward(BiRealWeights{}, vectors::weights, 1,
                         {-mean, -mean, -mean, mean, mean, mean});
  vectors::check_backward(BiRealWeights{}, vectors::weights, vectors::gradients, 1,
                          {0, -0.2, 0.3, -0.4, 0.5, -0.6});
  vectors::check_backward(BiRealWeights{.gradient = ScaledSignGradient::straight}, vectors::weights,
                          vectors::gradients, 1, {0.1, -0.2, 0.3, -0.4, 0.5, -0.6});
}
