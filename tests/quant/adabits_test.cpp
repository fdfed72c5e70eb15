// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <bitdial/quant/policies/adabits.hpp>

#include "vectors.hpp"

using namespace bitdial;
using vectors::check_backward;
using vectors::check_codes;
using vectors::check_forward;

TEST_CASE("AdaBitsWeights, modified grid: vectors") {
  const auto& w = vectors::weights;
  const AdaBitsWeights policy;
  check_forward(policy, w, 1, {-1, -1, -1, 0, 0, 0});
  check_forward(policy, w, 2, {-1, -1, -.5, 0, 0, .5});
  check_forward(policy, w, 3, {-1, -.75, -.25, 0, .25, .75});
  check_forward(policy, w, 4, {-1, -.625, -.125, 0, .25, .75});
  check_forward(policy, w, 8, {-1, -.5546875, -.125, .0546875, .34375, .7890625});
  check_codes(policy, w, 2, {0, 0, 1, 2, 2, 3});
  check_codes(policy, w, 3, {0, 1, 3, 4, 5, 7});
  check_codes(policy, w, 4, {0, 3, 7, 8, 10, 14});
  check_codes(policy, w, 8, {0, 57, 112, 135, 172, 229});
}

TEST_CASE("AdaBitsWeights, centred grid: vectors") {
  const auto& w = vectors::weights;
  const AdaBitsWeights policy{.grid = AdaBitsGrid::centred};
  check_forward(policy, w, 1, {-.5, -.5, -.5, .5, .5, .5});
  check_forward(policy, w, 2, {-.75, -.75, -.25, .25, .25, .75});
  check_forward(policy, w, 3, {-.875, -.625, -.125, .125, .375, .875});
  check_forward(policy, w, 4, {-.9375, -.5625, -.0625, .0625, .3125, .8125});
}

TEST_CASE("AdaBitsWeights: the gradient is that of t / M at every width, 1 and 32 included") {
  for (const AdaBitsGrid grid : {AdaBitsGrid::modified, AdaBitsGrid::centred}) {
    for (const int bits : {1, 2, 8, 32}) {
      check_backward(AdaBitsWeights{.grid = grid}, vectors::weights, vectors::gradients, bits,
                     {-.0922662, -.1886747, .3562865, -.4786175, .5488706, -.4023646});
    }
  }
}

TEST_CASE("AdaBitsWeights: 32 bits normalise and do not round") {
  check_forward(AdaBitsWeights{}, {0.5F, -1.0F}, 32, {0.606776, -1});
}

TEST_CASE("AdaBitsWeights: integer lines") {
  const AdaBitsWeights modified;
  CHECK(modified.levels({}, 4) == IntegerLevels{.scale = 0.125F, .multiplier = 1, .offset = -8});
  CHECK(modified.levels({}, 1) == IntegerLevels{.scale = 1.0F, .multiplier = 1, .offset = -1});
  const AdaBitsWeights centred{.grid = AdaBitsGrid::centred};
  CHECK(centred.levels({}, 4) == IntegerLevels{.scale = 0.0625F, .multiplier = 2, .offset = -15});
}
