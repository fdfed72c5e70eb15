// SPDX-License-Identifier: Apache-2.0
// DoReFa's gradients: on the grid, right on average, equal on every number of threads.
#include <bitdial/quant/gradient_grid.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

using namespace bitdial;

namespace {

std::vector<float> gradients(std::size_t size) {
  std::vector<float> g(size);
  Random random(4, 4);
  for (float& value : g) value = 0.01F * random.normal();
  return g;
}

}  // namespace

TEST_CASE("values are 2^G multiples around zero, up to the largest of each image") {
  const std::vector<float> g{0.5F, -1.0F, 0.25F, 0.01F, -0.04F, 0.02F};
  for (const int bits : {1, 2, 4, 6, 8}) {
    CAPTURE(bits);
    std::vector<float> q = g;
    quantize_gradients(q, 2, bits, Random(1, 2));
    const int top = (1 << bits) - 1;
    for (std::size_t i = 0; i < q.size(); ++i) {
      const float largest = i < 3 ? 1.0F : 0.04F;
      const float level = q[i] / (largest / static_cast<float>(top));
      CHECK(level == doctest::Approx(std::nearbyint(level)));
      CHECK(std::abs(static_cast<int>(std::nearbyint(level))) % 2 ==
            1);  // -top, -top + 2, ..., top
      CHECK(std::fabs(q[i] - g[i]) <= 2.0001F * largest / static_cast<float>(top));
    }
    // The largest magnitude is within half a step of the end of the grid.
    CHECK(q[1] <= -1.0F + 2.0001F / static_cast<float>(top));
  }
}

TEST_CASE("the mean over the noise is the gradient") {
  const std::vector<float> g{0.5F, -1.0F, 0.25F, 0.0F, -0.3F};
  constexpr int draws = 4000;
  for (const int bits : {2, 4}) {
    std::vector<double> mean(g.size());
    for (int draw = 0; draw < draws; ++draw) {
      std::vector<float> q = g;
      quantize_gradients(q, 1, bits, Random(7, static_cast<std::uint64_t>(draw)));
      for (std::size_t i = 0; i < g.size(); ++i) mean[i] += static_cast<double>(q[i]) / draws;
    }
    const double step = 2.0 / ((1 << bits) - 1);
    for (std::size_t i = 0; i < g.size(); ++i) {
      if (i == 1) continue;  // the end of the grid is clamped
      CHECK(std::abs(mean[i] - static_cast<double>(g[i])) < 4.0 * step / std::sqrt(draws));
    }
  }
}

TEST_CASE("equal streams give equal bits, on every number of threads; others differ") {
  const std::vector<float> g = gradients(7 * 1000);
  const auto quantized = [&](std::uint64_t stream) {
    std::vector<float> q = g;
    quantize_gradients(q, 7, 4, Random(3, stream));
    return q;
  };
  set_thread_count(1);
  const std::vector<float> once = quantized(5);
  for (const int threads : {2, 7}) {
    set_thread_count(threads);
    CHECK(quantized(5) == once);
  }
  set_thread_count(0);
  CHECK(quantized(6) != once);
}

TEST_CASE("zeros and what is not finite stay as they are") {
  std::vector<float> zeros(4);
  quantize_gradients(zeros, 2, 4, Random(1, 1));
  CHECK(zeros == std::vector<float>(4));
  std::vector<float> bad{1.0F, std::numeric_limits<float>::infinity()};
  quantize_gradients(bad, 1, 4, Random(1, 1));
  CHECK(bad[0] == 1.0F);
  quantize_gradients({}, 3, 4, Random(1, 1));
}

TEST_CASE("bits and images out of range") {
  std::vector<float> g(5);
  CHECK_THROWS_WITH_AS(quantize_gradients(g, 1, 9, Random(1, 1)),
                       "quantize_gradients: bits must be 1..8, got 9", PrecisionError);
  CHECK_THROWS_WITH_AS(quantize_gradients(g, 2, 4, Random(1, 1)),
                       "quantize_gradients: 5 gradients are not 2 images", ShapeError);
}
