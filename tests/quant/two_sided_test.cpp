// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <limits>

#include <bitdial/quant/policies/two_sided.hpp>

#include "vectors.hpp"

using namespace bitdial;
using vectors::check_backward;
using vectors::check_codes;
using vectors::check_forward;

TEST_CASE("TwoSidedActivations: values by hand") {
  // x / 2 + 1/2 of the range 1: 0 .125 .45 .5 .55 .75 1, times 3: 0 .375 1.35 1.5 1.65 2.25 3.
  const std::vector<float> x{-1.5F, -0.75F, -0.1F, 0.0F, 0.1F, 0.5F, 1.0F};
  const TwoSidedActivations policy{.range = 1.0F};
  constexpr double third = 1.0 / 3.0;
  check_codes(policy, x, 2, {0, 0, 1, 2, 2, 2, 3});  // 1.5 is a tie: half to even
  check_forward(policy, x, 2, {-1, -1, -third, third, third, third, 1});
  check_forward(policy, x, 1, {-1, -1, -1, -1, 1, 1, 1});
  check_forward(policy, x, 32, {-1.5, -0.75, -0.1, 0.0, 0.1, 0.5, 1.0});
}

TEST_CASE("TwoSidedActivations: the range stretches the grid") {
  const std::vector<float> x{-9.0F, -4.0F, -1.5F, 1.5F, 3.9F, 7.0F};
  check_forward(TwoSidedActivations{.range = 4.0F}, x, 2, {-4, -4, -4.0 / 3.0, 4.0 / 3.0, 4, 4});
}

TEST_CASE("TwoSidedActivations: the gradient passes inside the range, its ends included") {
  check_backward(TwoSidedActivations{.range = 1.0F}, {-1.1F, -1, 0, 1, 1.1F}, {1, 2, 3, 4, 5}, 4,
                 {0, 2, 3, 4, 0});
  check_backward(TwoSidedActivations{.range = 1.0F}, {-1.1F, -1, 0, 1, 1.1F}, {1, 2, 3, 4, 5}, 32,
                 {1, 2, 3, 4, 5});
}

TEST_CASE("TwoSidedActivations: NaN gets the lowest code, infinities the ends") {
  const TwoSidedActivations policy;
  CHECK(policy.encode(std::numeric_limits<float>::quiet_NaN(), {}, 8) == 0);
  CHECK(policy.encode(-std::numeric_limits<float>::infinity(), {}, 8) == 0);
  CHECK(policy.encode(std::numeric_limits<float>::infinity(), {}, 8) == 255);
}
