// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstdint>

#include <doctest/doctest.h>
#include <bitdial/core/random.hpp>
#include <bitdial/core/rounding.hpp>

using bitdial::round_half_even;

static_assert(round_half_even(0.5F) == 0.0F);
static_assert(round_half_even(1.5F) == 2.0F);
static_assert(round_half_even(-2.5F) == -2.0F);

TEST_CASE("equals nearbyint on a lattice of quarters and their neighbours") {
  int differences = 0;
  for (int quarter = -400000; quarter <= 400000; ++quarter) {
    const float x = static_cast<float>(quarter) * 0.25F;
    for (const float y : {x, std::nextafter(x, 1e9F), std::nextafter(x, -1e9F)}) {
      differences += round_half_even(y) != std::nearbyint(y) ? 1 : 0;
    }
  }
  CHECK(differences == 0);
}

TEST_CASE("equals nearbyint up to 2^22") {
  int differences = 0;
  for (int i = -4194304; i <= 4194304; ++i) {
    const float x = static_cast<float>(i);
    differences += round_half_even(x) != x ? 1 : 0;
    const float half = x + 0.5F;
    if (half <= 0x1p22F) differences += round_half_even(half) != std::nearbyint(half) ? 1 : 0;
  }
  CHECK(differences == 0);
}

TEST_CASE("equals nearbyint on random bits") {
  bitdial::Random random(1, 1);
  int differences = 0;
  for (int i = 0; i < 1000000; ++i) {
    const float x =
        std::ldexp(random.uniform(-1.0F, 1.0F), static_cast<int>(random.below(46)) - 23);
    differences += round_half_even(x) != std::nearbyint(x) ? 1 : 0;
  }
  CHECK(differences == 0);
}

TEST_CASE("round_up is the next multiple") {
  using bitdial::round_up;
  static_assert(round_up(0, 64) == 0);
  static_assert(round_up(1, 64) == 64);
  static_assert(round_up(64, 64) == 64);
  static_assert(round_up(65, 64) == 128);
  CHECK(round_up(10, 6) == 12);
  CHECK(round_up(7, 1) == 7);
}

TEST_CASE("least_common_multiple is the smallest that both divide") {
  using bitdial::least_common_multiple;
  static_assert(least_common_multiple(1, 1) == 1);
  static_assert(least_common_multiple(32, 8) == 32);
  static_assert(least_common_multiple(4, 8) == 8);
  static_assert(least_common_multiple(6, 8) == 24);
  CHECK(least_common_multiple(144, 64) == 576);
  CHECK(least_common_multiple(7, 64) == 448);
}
