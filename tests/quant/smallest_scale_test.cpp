// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cmath>
#include <initializer_list>
#include <limits>

#include <bitdial/quant/smallest_scale.hpp>

using namespace bitdial;

TEST_CASE("the smallest scale has an inverse, a number that counts as zero need not") {
  CHECK(std::isfinite(1.0F / smallest_scale));
  CHECK(std::isinf(1.0F / std::numeric_limits<float>::denorm_min()));
}

TEST_CASE("a measured scale that counts as zero is 1") {
  const float below = std::nextafter(smallest_scale, 0.0F);
  for (const float measured : {0.0F, -0.0F, below, -1.0F, -smallest_scale, NAN}) {
    CAPTURE(measured);
    CHECK(scale_or_one(measured) == 1.0F);
  }
  for (const float measured : {smallest_scale, 0.3F, 1.0F, 1e30F}) {
    CHECK(scale_or_one(measured) == measured);
  }
}

TEST_CASE("a learned scale has no sign and is never less than the smallest") {
  for (const float learned : {0.0F, -0.0F, 1e-40F, -1e-40F, NAN}) {
    CAPTURE(learned);
    CHECK(scale_size(learned) == smallest_scale);
  }
  CHECK(scale_size(0.3F) == 0.3F);
  CHECK(scale_size(-0.3F) == 0.3F);
}
