// SPDX-License-Identifier: Apache-2.0
// The kernels of Winograd's minimal filtering: every table against the portable one, and that one
// against the filter that it computes.
#include "every_isa.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

using bitdial::kernels::real_kernels_of;
using bitdial_test::for_each_supported_isa;
using bitdial_test::GuardedArray;
using bitdial_test::Numbers;
namespace kernels = bitdial::kernels;
using Points = kernels::WinogradPoints;

namespace {

const std::int64_t channel_counts[] = {1, 7, 8, 15, 16, 17, 40};
const std::int64_t pixel_counts[] = {1, 2, 3, 4, 5, 7, 8, 13};

struct RandomArray : GuardedArray<float> {
  RandomArray(std::int64_t size, Numbers& numbers) : GuardedArray<float>(size) {
    fill([&] { return numbers.real(-2, 2); });
  }
};

bool same(const GuardedArray<float>& a, const GuardedArray<float>& b) {
  return std::equal(a.data(), a.data() + a.size(), b.data());
}

template <class Body>
void for_each_size(Body body) {
  for_each_supported_isa([&](const kernels::KernelTable& table) {
    for (const std::int64_t channels : channel_counts) {
      for (const std::int64_t pixels : pixel_counts) {
        CAPTURE(channels);
        CAPTURE(pixels);
        Numbers numbers(static_cast<std::uint64_t>(channels * 100 + pixels));
        body(real_kernels_of(table), pixels, channels, numbers);
      }
    }
  });
}

const kernels::RealKernels& portable() {
  return kernels::scalar::real_kernels;
}

}  // namespace

TEST_CASE("winograd_inputs: the same bits, zeros outside the row") {
  for_each_size([](const kernels::RealKernels& table, std::int64_t pixels, std::int64_t channels,
                   Numbers& numbers) {
    const RandomArray x(pixels * channels, numbers);
    for (const std::int64_t first : {-2, -1, 0, 1}) {
      const std::int64_t groups = (pixels + 3) / 4;
      const RandomArray v(6 * groups * channels, numbers);
      const RandomArray expected(v.size(), numbers);
      kernels::WinogradInputs operands{.groups = groups,
                                       .pixels = pixels,
                                       .first = first,
                                       .channels = channels,
                                       .x = x.data(),
                                       .v = v.data(),
                                       .v_step = groups * channels};
      table.winograd_inputs(operands);
      operands.v = expected.data();
      portable().winograd_inputs(operands);
      CHECK(same(v, expected));
    }
  });
}

TEST_CASE("winograd_slopes: the same bits, zeros behind the row") {
  for_each_size([](const kernels::RealKernels& table, std::int64_t pixels, std::int64_t channels,
                   Numbers& numbers) {
    const RandomArray dy(pixels * channels, numbers);
    const std::int64_t groups = (pixels + 3) / 4;
    const RandomArray u(6 * groups * channels, numbers);
    const RandomArray expected(u.size(), numbers);
    kernels::WinogradSlopes operands{.groups = groups,
                                     .pixels = pixels,
                                     .channels = channels,
                                     .dy = dy.data(),
                                     .u = u.data(),
                                     .u_step = groups * channels};
    table.winograd_slopes(operands);
    operands.u = expected.data();
    portable().winograd_slopes(operands);
    CHECK(same(u, expected));
  });
}

TEST_CASE("winograd_outputs: the same bits, overwritten or added to") {
  for_each_size([](const kernels::RealKernels& table, std::int64_t pixels, std::int64_t channels,
                   Numbers& numbers) {
    const std::int64_t groups = (pixels + 3) / 4;
    const RandomArray m(6 * groups * channels, numbers);
    for (const bool accumulate : {false, true}) {
      const RandomArray y(pixels * channels, numbers);
      const GuardedArray<float> expected(y.size());
      std::copy_n(y.data(), y.size(), expected.data());
      kernels::WinogradOutputs operands{.pixels = pixels,
                                        .channels = channels,
                                        .m = m.data(),
                                        .m_step = groups * channels,
                                        .m_stride = channels,
                                        .y = y.data(),
                                        .y_stride = channels,
                                        .accumulate = accumulate};
      table.winograd_outputs(operands);
      operands.y = expected.data();
      portable().winograd_outputs(operands);
      CHECK(same(y, expected));
    }
  });
}

TEST_CASE("six products are a filter of three taps, and the derivative by its taps") {
  Numbers numbers(1);
  const RandomArray d(6, numbers), w(3, numbers), dy(4, numbers), v(6, numbers), u(6, numbers);
  portable().winograd_inputs(
      {.groups = 1, .pixels = 6, .channels = 1, .x = d.data(), .v = v.data(), .v_step = 1});
  portable().winograd_slopes(
      {.groups = 1, .pixels = 4, .channels = 1, .dy = dy.data(), .u = u.data(), .u_step = 1});
  float m[6];
  double products[6];
  for (int k = 0; k < 5; ++k) {
    const float p = Points::at[k];
    m[k] = v[k] * (w[0] + p * w[1] + p * p * w[2]) / Points::distances[k];
    products[k] = static_cast<double>(v[k]) * static_cast<double>(u[k] / Points::distances[k]);
  }
  m[5] = v[5] * w[2];
  products[5] = static_cast<double>(v[5]) * static_cast<double>(u[5]);
  float y[4] = {};
  portable().winograd_outputs(
      {.pixels = 4, .channels = 1, .m = m, .m_step = 1, .m_stride = 1, .y = y, .y_stride = 1});
  for (int i = 0; i < 4; ++i) {
    CHECK(y[i] == doctest::Approx(w[0] * d[i] + w[1] * d[i + 1] + w[2] * d[i + 2]));
  }
  for (int t = 0; t < 3; ++t) {
    double sum = t == 2 ? products[5] : 0.0, expected = 0.0;
    for (int k = 0; k < 5; ++k)
      sum += std::pow(static_cast<double>(Points::at[k]), t) * products[k];
    for (int i = 0; i < 4; ++i) {
      expected += static_cast<double>(dy[i]) * static_cast<double>(d[i + t]);
    }
    CHECK(sum == doctest::Approx(expected));
  }
}
