// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include <bitdial/quant/statistics.hpp>

using namespace bitdial;

TEST_CASE("abs_statistics: maximum, its first index, sum") {
  const AbsStatistics statistics = abs_statistics(std::vector<float>{1.0F, -3.0F, 3.0F, 0.5F});
  CHECK(statistics.max == 3.0F);
  CHECK(statistics.index == 1);
  CHECK(statistics.sum == 7.5);
  CHECK(statistics.mean() == 1.875);
  const AbsStatistics empty = abs_statistics({});
  CHECK(empty.max == 0.0F);
  CHECK(empty.index == -1);
  CHECK(empty.sum == 0.0);
  CHECK(empty.mean() == 0.0);
  CHECK(abs_statistics(std::vector<float>(3)).index == -1);
  CHECK(abs_statistics(std::vector<float>{NAN, 2.0F}).max == 2.0F);
}

TEST_CASE("abs_statistics: across chunks the first maximum wins") {
  std::vector<float> x(40000, 0.5F);
  x[20000] = -2.0F;
  x[39999] = 2.0F;
  const AbsStatistics statistics = abs_statistics(x);
  CHECK(statistics.max == 2.0F);
  CHECK(statistics.index == 20000);
  CHECK(statistics.sum == 39998 * 0.5 + 4.0);
}

TEST_CASE("weight_statistics refuses what is not finite") {
  CHECK(weight_statistics("P", std::vector<float>{-1.0F, 2.0F}).sum == 3.0);
  CHECK_THROWS_WITH_AS(
      static_cast<void>(weight_statistics("P", std::vector<float>{1.0F, INFINITY, NAN})),
      "P: expected finite weights, element 1 of 3 is inf", Error);
}
