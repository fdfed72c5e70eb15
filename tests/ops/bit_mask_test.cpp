// SPDX-License-Identifier: Apache-2.0
#include <bitdial/ops/bit_mask.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "op_support.hpp"

using namespace bitdial;
using namespace op_test;

TEST_CASE_TEMPLATE("a mask is its predicate, piece by piece", T, float, double) {
  for (const std::int64_t size : {0, 1, 7, 127, 128, 129, 384, 1000}) {
    CAPTURE(size);
    const auto x = random_tensor<T>({size}, 3);
    const auto dy = random_tensor<T>({size}, 4);
    const auto passes = [](T v) { return v > T{0.25}; };
    ops::BitMask mask(size);
    for (std::int64_t begin = 0; begin < size; begin += 256) {
      const std::int64_t end = std::min(size, begin + 256);
      mask.write(begin, end, x.data() + begin, passes);
    }
    Tensor<T> gated({size});
    for (std::int64_t begin = 0; begin < size; begin += 128) {
      mask.gate(begin, std::min(size, begin + 128), dy.data() + begin, gated.data() + begin);
    }
    for (std::int64_t i = 0; i < size; ++i) {
      REQUIRE(mask[i] == passes(x[i]));
      REQUIRE(gated[i] == (passes(x[i]) ? dy[i] : T{0}));
    }
  }
}

TEST_CASE("an intersection has the bits of both masks") {
  const auto x = random_tensor<float>({300}, 3);
  ops::BitMask positive(300), small(300);
  positive.write(0, 300, x.data(), [](float v) { return v > 0.0F; });
  small.write_between(0, 300, x.data(), -0.5F, 0.5F);
  const ops::BitMask both = ops::BitMask::intersection(positive, small);
  for (std::int64_t i = 0; i < 300; ++i) REQUIRE(both[i] == (x[i] > 0.0F && x[i] <= 0.5F));
}

TEST_CASE("a closed gate gives +0, whatever comes") {
  ops::BitMask mask(128);
  const Tensor<float> none({128});
  mask.write(0, 128, none.data(), [](float v) { return v > 0.0F; });
  Tensor<float> wild({128}, std::numeric_limits<float>::quiet_NaN());
  wild[1] = -1.0F;
  mask.gate(0, 128, wild.data(), wild.data());
  for (const float v : wild.span()) {
    REQUIRE(v == 0.0F);
    REQUIRE_FALSE(std::signbit(v));
  }
}

TEST_CASE_TEMPLATE("a rectifier writes its mask", T, float, double) {
  for (const std::int64_t size : {0, 1, 127, 128, 300}) {
    CAPTURE(size);
    const auto x = random_tensor<T>({size}, 3);
    Tensor<T> y({size});
    ops::BitMask mask(size);
    mask.rectify(0, size, x.data(), y.data());
    for (std::int64_t i = 0; i < size; ++i) {
      REQUIRE(mask[i] == (x[i] > T{0}));
      REQUIRE(y[i] == (x[i] > T{0} ? x[i] : T{0}));
    }
  }
}

TEST_CASE("a range is a mask like that of its predicate") {
  for (const std::int64_t size : {0, 1, 127, 128, 300}) {
    CAPTURE(size);
    const auto x = random_tensor<float>({size}, 3);
    ops::BitMask mask(size);
    mask.write_between(0, size, x.data(), -0.5F, 0.25F);
    for (std::int64_t i = 0; i < size; ++i) REQUIRE(mask[i] == (x[i] >= -0.5F && x[i] <= 0.25F));
  }
}
