// SPDX-License-Identifier: Apache-2.0
// The tanh of every table against its formula, and the formula against the standard library.
#include "every_isa.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include <bitdial/core/tanh.hpp>

using bitdial::hyperbolic_tangent;
using bitdial::kernels::real_kernels_of;
using bitdial_test::for_each_supported_isa;
using bitdial_test::GuardedArray;
namespace kernels = bitdial::kernels;

TEST_CASE("tanh: the same bits in every table, NaN for NaN") {
  const float edges[] = {0.0F,    -0.0F, 1e-45F,
                         -3e-39F, 1e-4F, 9.0F,
                         -10.01F, 1e30F, std::numeric_limits<float>::infinity()};
  for_each_supported_isa([&](const kernels::KernelTable& table) {
    for (const std::int64_t count : {0, 1, 7, 64, 65, 200}) {
      CAPTURE(count);
      GuardedArray<float> x(count);
      for (std::int64_t i = 0; i < count; ++i) {
        const auto place = static_cast<std::size_t>(i);
        x[i] = place < std::size(edges) ? edges[place]
                                        : static_cast<float>((i * 37 % 101) - 50) * 0.07F;
      }
      if (count > 64) x[64] = std::numeric_limits<float>::quiet_NaN();
      const GuardedArray<float> y(count);
      real_kernels_of(table).tanh({.x = x.data(), .count = count, .y = y.data()});
      std::int64_t wrong = 0;
      for (std::int64_t i = 0; i < count; ++i) {
        const float expected = hyperbolic_tangent(x[i]);
        wrong += std::isnan(x[i])
                     ? !std::isnan(y[i])
                     : std::bit_cast<std::uint32_t>(y[i]) != std::bit_cast<std::uint32_t>(expected);
      }
      CHECK(wrong == 0);
    }
  });
}

TEST_CASE("tanh: rounded from double, odd and monotone") {
  float before = 0.0F;
  std::int64_t wrong = 0, falls = 0;
  for (std::uint32_t bits = 0; bits < 0x41400000; bits += 977) {
    const float x = std::bit_cast<float>(bits);
    const float y = hyperbolic_tangent(x);
    const double exact = std::tanh(static_cast<double>(x));
    const float next = std::nextafter(y, y < static_cast<float>(exact) ? 2.0F : -1.0F);
    // The nearest float, or the other one where both are as near as the formula can tell.
    wrong += y != static_cast<float>(exact) &&
             std::fabs(static_cast<double>(y) - exact) >
                 0.501 * std::fabs(static_cast<double>(y) - static_cast<double>(next));
    wrong += hyperbolic_tangent(-x) != -y;
    falls += y < before;
    before = y;
  }
  CHECK(wrong == 0);
  CHECK(falls == 0);
}
