// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <limits>

#include <bitdial/quant/grid.hpp>

using namespace bitdial;

TEST_CASE("clamp_unit is clamp to [0, 1] with NaN at 0") {
  for (const float x : {-1e30F, -1.0F, -1e-40F, -0.0F, 0.0F, 1e-40F, 0.3F, 0.99999994F, 1.0F,
                        1.0000001F, 7.0F, std::numeric_limits<float>::infinity()}) {
    CAPTURE(x);
    CHECK(clamp_unit(x) == std::clamp(x, 0.0F, 1.0F));
    CHECK_FALSE(std::signbit(clamp_unit(x)));
  }
  CHECK(clamp_unit(NAN) == 0.0F);
  CHECK(clamp_unit(-NAN) == 0.0F);
  CHECK(clamp_unit(-std::numeric_limits<float>::infinity()) == 0.0F);
  CHECK(clamp_nan_low(NAN, -1.0F, 1.0F) == -1.0F);
  CHECK(clamp_nan_low(-3.0F, -1.0F, 1.0F) == -1.0F);
  CHECK(clamp_nan_low(0.25F, -1.0F, 1.0F) == 0.25F);
  CHECK(clamp_nan_low(3.0F, -1.0F, 1.0F) == 1.0F);
}

TEST_CASE("RoundGrid: codes of its own values, ties to even") {
  for (int bits = 1; bits <= 8; ++bits) {
    const int top = (1 << bits) - 1;
    for (int code = 0; code <= top; ++code) {
      CHECK(RoundGrid::encode(static_cast<float>(code) / static_cast<float>(top), bits) == code);
    }
  }
  CHECK(RoundGrid::encode(0.5F, 1) == 0);    // 0.5 -> 0
  CHECK(RoundGrid::encode(0.5F, 2) == 2);    // 1.5 -> 2
  CHECK(RoundGrid::encode(0.5F, 8) == 128);  // 127.5 -> 128
}

TEST_CASE("TwoSidedGrid: codes of its own values, symmetric but for ties, NaN at the lower end") {
  for (const float range : {1.0F, 0.3F, 7.5F}) {
    CAPTURE(range);
    const TwoSidedGrid grid{range};
    for (int bits = 1; bits <= 8; ++bits) {
      CAPTURE(bits);
      const int top = (1 << bits) - 1;
      const IntegerLevels line = grid.levels(bits);
      CHECK(line.level(0) == -top);
      CHECK(line.level(top) == top);
      CHECK(static_cast<double>(line.value(top)) == doctest::Approx(static_cast<double>(range)));
      int mismatches = 0;
      for (int code = 0; code <= top; ++code) {
        mismatches += grid.encode(line.value(code), bits) != code;
        mismatches += grid.encode(-line.value(code), bits) != top - code;
      }
      CHECK(mismatches == 0);
      CHECK(grid.encode(-2.0F * range, bits) == 0);
      CHECK(grid.encode(2.0F * range, bits) == top);
      CHECK(grid.encode(NAN, bits) == 0);
    }
  }
}

TEST_CASE("TernaryGrid: a value on a threshold is zero") {
  const float threshold = 0.25F;
  const float values[] = {-1.0F, -0.25F, 0.0F, 0.25F, 0.26F, NAN};
  const int codes[] = {0, 1, 1, 1, 2, 1};
  for (std::size_t i = 0; i < std::size(values); ++i) {
    CHECK(TernaryGrid::encode(values[i], threshold) == codes[i]);
  }
  CHECK(TernaryGrid::levels(0.5F).value(0) == -0.5F);
  CHECK(TernaryGrid::levels(0.5F).value(1) == 0.0F);
  CHECK(TernaryGrid::levels(0.5F).value(2) == 0.5F);
}

TEST_CASE("FloorGrid: the code of k bits is the code of 8 bits without its low bits") {
  int mismatches = 0;
  for (int i = 0; i <= 200000; ++i) {
    const float u = static_cast<float>(i) / 200000.0F;
    const int byte = FloorGrid::encode(u, 8);
    mismatches += byte != std::min(255, static_cast<int>(std::floor(u * 256.0F)));
    for (int bits = 1; bits < 8; ++bits)
      mismatches += FloorGrid::encode(u, bits) != byte >> (8 - bits);
  }
  CHECK(mismatches == 0);
  CHECK(FloorGrid::encode(1.0F, 3) == 7);
  CHECK(FloorGrid::encode(NAN, 3) == 0);
}

TEST_CASE("cutting codes of the round grid is not rounding: shares and errors of the notes") {
  struct Row {
    double differing, truncated, rounded;
  };
  const Row rows[] = {{0, .28868, .28868},     {.1647, .11739, .09623}, {.2084, .05392, .04124},
                      {.2196, .02564, .01925}, {.2125, .01222, .00931}, {.1853, .00570, .00458},
                      {.1245, .00254, .00227}};
  constexpr int count = 100000;
  for (int bits = 1; bits <= 7; ++bits) {
    CAPTURE(bits);
    const double top = (1 << bits) - 1;
    int differing = 0;
    int apart = 0;
    double truncated = 0.0;
    double rounded = 0.0;
    for (int i = 0; i < count; ++i) {
      const double u = (i + 0.5) / count;
      const int cut = RoundGrid::encode(static_cast<float>(u), 8) >> (8 - bits);
      const int code = RoundGrid::encode(static_cast<float>(u), bits);
      apart = std::max(apart, std::abs(cut - code));
      differing += cut != code ? 1 : 0;
      truncated += std::pow(cut / top - u, 2);
      rounded += std::pow(code / top - u, 2);
    }
    CHECK(apart <= 1);
    const Row& row = rows[bits - 1];
    CHECK(std::abs(static_cast<double>(differing) / count - row.differing) < 2e-4);
    CHECK(std::abs(std::sqrt(truncated / count) - row.truncated) < 2e-5);
    CHECK(std::abs(std::sqrt(rounded / count) - row.rounded) < 2e-5);
  }
}
