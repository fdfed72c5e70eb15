// SPDX-License-Identifier: Apache-2.0
#include <bitdial/ops/detail/exact_fma.hpp>

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include <bitdial/core/random.hpp>

using namespace bitdial;

namespace {

// How many of the elements differ from std::fma in any bit (NaN equals NaN).
int differing(const std::vector<float>& x, const std::vector<float>& g,
              const std::vector<float>& h) {
  std::vector<float> y(x.size());
  ops::detail::fma_span(static_cast<std::int64_t>(x.size()), y.data(), x.data(), g.data(),
                        h.data());
  int count = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float expected = std::fma(x[i], g[i], h[i]);
    if (std::isnan(expected) && std::isnan(y[i])) continue;
    count += std::bit_cast<std::uint32_t>(y[i]) != std::bit_cast<std::uint32_t>(expected);
  }
  return count;
}

std::vector<float> fill(std::size_t n, float value) {
  return std::vector<float>(n, value);
}

}  // namespace

TEST_CASE("fma_span equals std::fma on random bit patterns") {
  Random random(1, 0);
  const auto any = [&] { return std::bit_cast<float>(random.next()); };
  for (int round = 0; round < 200; ++round) {
    std::vector<float> x(1000 + static_cast<std::size_t>(round % 16));
    std::vector<float> g = x;
    std::vector<float> h = x;
    for (float& v : x) v = any();
    for (float& v : g) v = any();
    for (float& v : h) v = any();
    CHECK(differing(x, g, h) == 0);
  }
}

TEST_CASE("fma_span equals std::fma on ordinary values") {
  Random random(2, 0);
  for (int round = 0; round < 200; ++round) {
    std::vector<float> x(1000);
    std::vector<float> g = x;
    std::vector<float> h = x;
    for (float& v : x) v = static_cast<float>(random.below(4001)) - 2000.0F;
    for (float& v : g) v = random.uniform(-0.01F, 0.01F);
    for (float& v : h) v = random.uniform(-4.0F, 4.0F);
    CHECK(differing(x, g, h) == 0);
  }
}

TEST_CASE("fma_span rounds once where rounding twice gives another float") {
  // 1 + 2^-24 is half-way between two floats; 2^-80 more or less decides, and is lost in double.
  for (const float sign : {1.0F, -1.0F}) {
    const auto x = fill(16, 0x1p-40F);
    const auto g = fill(16, sign * 0x1p-40F);
    // h cannot hold 1 + 2^-24: let the product do it and h decide.
    const auto whole = fill(16, 1.0F + 0x1p-12F);
    const auto part = fill(16, 1.0F - 0x1p-12F + 0x1p-23F);
    CHECK(differing(whole, part, fill(16, sign * 0x1p-80F)) == 0);
    CHECK(differing(x, g, fill(16, 1.0F)) == 0);
    CHECK(differing(fill(16, 4097.0F), fill(16, 4097.0F), fill(16, sign * 0x1p-60F)) == 0);
  }
  // The last case indeed needs the single rounding: 4097^2 = 2^24 + 2^13 + 1 is half-way.
  const float twice = static_cast<float>(4097.0 * 4097.0 + 0x1p-60);
  CHECK(std::fma(4097.0F, 4097.0F, 0x1p-60F) != twice);
}

TEST_CASE("fma_span of subnormal results, zeros, infinities") {
  const float inf = std::numeric_limits<float>::infinity();
  const float least = std::numeric_limits<float>::denorm_min();
  const float most = std::numeric_limits<float>::max();
  for (const float x : {0.0F, -0.0F, 1.0F, 0x1p-70F, -0x1.8p-75F, most, inf, -inf, least}) {
    for (const float g : {0.0F, -0.0F, 1.0F, -0x1p-75F, 0x1.000002p-74F, 2.0F, inf}) {
      for (const float h : {0.0F, -0.0F, least, -least, 0x1.000002p-127F, 1.0F, -most, inf}) {
        CHECK(differing(fill(17, x), fill(17, g), fill(17, h)) == 0);
      }
    }
  }
}
