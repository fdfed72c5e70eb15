// SPDX-License-Identifier: Apache-2.0
// XNOR-Net weights against published vectors.
#include <bitdial/quant/policies/xnor.hpp>

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
  vectors::check_forward(XnorWeights{.centring = XnorCentring::none}, vectors::weights, 1,
                         {-mean, -mean, -mean, mean, mean, mean});
}

TEST_CASE("XNOR weights: each tap of a filter loses the mean of its input channels") {
  // Two taps of three channels, means -0.6 and 0.3833333:
  //   w' = -0.6, 0.1, 0.5, -0.3333333, -0.0833333, 0.4166667
  const XnorWeights policy =
      XnorWeights{}.for_shape({.out_channels = 1, .taps = 2, .in_channels = 3});
  const double alpha = 0.338888889;
  vectors::check_forward(policy, vectors::weights, 1,
                         {-alpha, alpha, alpha, -alpha, -alpha, alpha});
  vectors::check_forward(policy, vectors::weights, 32, {-1.2, -0.5, -0.1, 0.05, 0.3, 0.8});
  const double slope = 1.0 / 6.0 + alpha;  // all of w' is inside (-1, 1)
  vectors::check_backward(
      policy, vectors::weights, vectors::gradients, 1,
      {0.1 * slope, -0.2 * slope, 0.3 * slope, -0.4 * slope, 0.5 * slope, -0.6 * slope});
  // The whole filter: as for a 1 x 1 kernel of six channels.
  const XnorWeights whole = XnorWeights{.centring = XnorCentring::filter}.for_shape(
      {.out_channels = 1, .taps = 2, .in_channels = 3});
  const double one = 0.479166667;
  vectors::check_forward(whole, vectors::weights, 1, {-one, -one, one, one, one, one});
}

TEST_CASE("the repository's gradient of XNOR weights counts the input channels of its layer") {
  const XnorWeights policy =
      XnorWeights{.centring = XnorCentring::filter, .gradient = XnorGradient::repository}.for_shape(
          {.out_channels = 2, .taps = 2, .in_channels = 3});
  CHECK(policy.input_channels == 3);
  CHECK(policy.centring == XnorCentring::filter);
  // (1 - 1/3) in place of (1 - 1/6)
  vectors::check_backward(policy, vectors::weights, vectors::gradients, 1,
                          {0.0666667, -0.5166667, 0.775, -1.0333333, 1.2916667, -1.55});
}
