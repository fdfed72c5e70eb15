// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <bitdial/core/parallel.hpp>
#include <bitdial/core/random.hpp>
#include <bitdial/quant/learned_parameter.hpp>
#include <bitdial/quant/span_loops.hpp>

using namespace bitdial;

namespace {

/// More than two chunks, the last of them not full.
std::vector<float> sample(std::uint64_t seed) {
  std::vector<float> x(2 * static_cast<std::size_t>(detail::span_grain) + 77);
  Random random(seed, 0);
  for (float& value : x) value = random.normal();
  return x;
}

}  // namespace

TEST_CASE("sum_spans: several sums over one span") {
  const std::vector<float> x{1.0F, -2.0F, 0.5F};
  const auto sums = detail::sum_spans<2>(
      [](float value) {
        return std::array{static_cast<double>(value), value < 0.0F ? 1.0 : 0.0};
      },
      std::span<const float>{x});
  CHECK(sums == std::array{-0.5, 1.0});
  CHECK(detail::sum_spans<1>([](float) { return std::array{1.0}; }, std::span<const float>{}) ==
        std::array{0.0});
}

TEST_CASE("sum_spans: chunk sums are added in order, for every number of threads") {
  const std::vector<float> x = sample(3);
  double expected = 0.0;
  for (std::size_t begin = 0; begin < x.size();) {
    const auto end = std::min(x.size(), begin + static_cast<std::size_t>(detail::span_grain));
    double chunk = 0.0;
    for (; begin < end; ++begin) chunk += static_cast<double>(x[begin]);
    expected += chunk;
  }
  const auto sum = [&] {
    return detail::sum_spans<1>([](float value) { return std::array{static_cast<double>(value)}; },
                                std::span<const float>{x})[0];
  };
  for (const int threads : {1, 2, 7}) {
    CAPTURE(threads);
    set_thread_count(threads);
    CHECK(sum() == expected);
  }
  set_thread_count(0);
}

TEST_CASE("sum_gradients gives each value its own upstream gradient, in double") {
  const std::vector<float> x{1.0F, 2.0F, 3.0F};
  const std::vector<float> dy{0.5F, -1.0F, 2.0F};
  const auto sums = sum_gradients<2>(x, dy, [](float value, double gradient) {
    return std::array{gradient * static_cast<double>(value), gradient};
  });
  CHECK(sums == std::array{4.5, 1.5});
}
