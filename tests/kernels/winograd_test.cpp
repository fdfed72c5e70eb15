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

namespace {

/// Where a test has the numbers of a row: a row between others, in panels or not, in pairs or not.
template <class E>
struct Numbered {
  GuardedArray<E> data;
  kernels::WinogradNumbers<E> to;

  Numbered(std::int64_t groups, std::int64_t channels, std::int64_t panel, bool paired)
      : data{Points::count * step(groups, channels, paired)},
        to{.data = data.data(),
           .step = step(groups, channels, paired),
           .panel = panel,
           .height = 3 * steps(groups, paired),
           .first = steps(groups, paired),
           .paired = paired} {
    data.fill([] { return E{1}; });
  }
  static std::int64_t steps(std::int64_t groups, bool paired) {
    return paired ? (groups + 1) / 2 : groups;
  }
  static std::int64_t step(std::int64_t groups, std::int64_t channels, bool paired) {
    return 3 * steps(groups, paired) * channels * (paired ? 2 : 1);
  }
};

/// `write(table, to)` writes the same bits with the table as with the portable one.
template <class E, class Write>
void check_numbers(const kernels::RealKernels& table, std::int64_t groups, std::int64_t channels,
                   Write write) {
  for (const std::int64_t panel : {channels, std::int64_t{16}}) {
    for (const bool paired : {false, true}) {
      if (paired && std::is_same_v<E, float>) continue;
      CAPTURE(panel);
      CAPTURE(paired);
      const Numbered<E> numbers(groups, channels, panel, paired);
      const Numbered<E> expected(groups, channels, panel, paired);
      write(table, numbers.to);
      write(portable(), expected.to);
      CHECK(std::equal(numbers.data.data(), numbers.data.data() + numbers.data.size(),
                       expected.data.data()));
    }
  }
}

}  // namespace

TEST_CASE("winograd_inputs: the same bits, zeros outside the row") {
  for_each_size([](const kernels::RealKernels& table, std::int64_t pixels, std::int64_t channels,
                   Numbers& numbers) {
    const RandomArray x(pixels * channels, numbers);
    for (const std::int64_t first : {-2, -1, 0, 1}) {
      const std::int64_t groups = (pixels + 3) / 4;
      const auto operands = [&]<class E>(const kernels::WinogradNumbers<E>& to) {
        return kernels::WinogradInputs<E>{.groups = groups,
                                          .pixels = pixels,
                                          .first = first,
                                          .channels = channels,
                                          .x = x.data(),
                                          .v = to};
      };
      check_numbers<float>(table, groups, channels, [&](const auto& kernels, const auto& to) {
        kernels.winograd_inputs(operands(to));
      });
      check_numbers<std::uint16_t>(
          table, groups, channels,
          [&](const auto& kernels, const auto& to) { kernels.winograd_inputs_bf16(operands(to)); });
    }
  });
}

TEST_CASE("winograd_slopes: the same bits, zeros behind the row") {
  for_each_size([](const kernels::RealKernels& table, std::int64_t pixels, std::int64_t channels,
                   Numbers& numbers) {
    const RandomArray dy(pixels * channels, numbers);
    const std::int64_t groups = (pixels + 3) / 4;
    const auto operands = [&]<class E>(const kernels::WinogradNumbers<E>& to) {
      return kernels::WinogradSlopes<E>{
          .groups = groups, .pixels = pixels, .channels = channels, .dy = dy.data(), .u = to};
    };
    check_numbers<float>(table, groups, channels, [&](const auto& kernels, const auto& to) {
      kernels.winograd_slopes(operands(to));
    });
    check_numbers<std::uint16_t>(table, groups, channels, [&](const auto& kernels, const auto& to) {
      kernels.winograd_slopes_bf16(operands(to));
    });
  });
}

TEST_CASE("bfloat16 numbers are those of floats, rounded; pairs are the halves of a row") {
  Numbers numbers(7);
  constexpr std::int64_t channels = 21, pixels = 18, groups = 5, steps = 3;
  const RandomArray x(pixels * channels, numbers);
  float v[Points::count * groups * channels];
  portable().winograd_inputs(
      {.groups = groups,
       .pixels = pixels,
       .first = -1,
       .channels = channels,
       .x = x.data(),
       .v = {.data = v, .step = groups * channels, .panel = channels, .height = groups}});
  std::uint16_t pairs[Points::count * steps * channels * 2];
  portable().winograd_inputs_bf16({.groups = groups,
                                   .pixels = pixels,
                                   .first = -1,
                                   .channels = channels,
                                   .x = x.data(),
                                   .v = {.data = pairs,
                                         .step = 2 * steps * channels,
                                         .panel = channels,
                                         .height = steps,
                                         .paired = true}});
  for (std::int64_t k = 0; k < Points::count; ++k) {
    for (std::int64_t g = 0; g < 2 * steps; ++g) {
      for (std::int64_t c = 0; c < channels; ++c) {
        const float value = g < groups ? v[(k * groups + g) * channels + c] : 0.0F;
        CHECK(pairs[((k * steps + g % steps) * channels + c) * 2 + g / steps] ==
              kernels::round_bf16_one(value));
      }
    }
  }
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

TEST_CASE("winograd_taps: the same bits, overwritten or added to") {
  for_each_size([](const kernels::RealKernels& table, std::int64_t rows, std::int64_t channels,
                   Numbers& numbers) {
    const RandomArray m(6 * rows * channels, numbers);
    for (const bool accumulate : {false, true}) {
      const RandomArray y(3 * rows * channels, numbers);
      const GuardedArray<float> expected(y.size());
      std::copy_n(y.data(), y.size(), expected.data());
      kernels::WinogradTaps operands{.rows = rows,
                                     .channels = channels,
                                     .m = m.data(),
                                     .m_step = rows * channels,
                                     .m_stride = channels,
                                     .y = y.data(),
                                     .y_stride = 3 * channels,
                                     .tap_stride = channels,
                                     .accumulate = accumulate};
      table.winograd_taps(operands);
      operands.y = expected.data();
      portable().winograd_taps(operands);
      CHECK(same(y, expected));
    }
  });
}

TEST_CASE("six products are a filter of three taps, and the derivative by its taps") {
  Numbers numbers(1);
  const RandomArray d(6, numbers), w(3, numbers), dy(4, numbers), v(6, numbers), u(6, numbers);
  portable().winograd_inputs(
      {.groups = 1, .pixels = 6, .channels = 1, .x = d.data(), .v = {.data = v.data(), .step = 1}});
  portable().winograd_slopes({.groups = 1,
                              .pixels = 4,
                              .channels = 1,
                              .dy = dy.data(),
                              .u = {.data = u.data(), .step = 1}});
  float m[6], products[6];
  for (int k = 0; k < 5; ++k) {
    const float p = Points::at[k];
    m[k] = v[k] * (w[0] + p * w[1] + p * p * w[2]) / Points::distances[k];
  }
  m[5] = v[5] * w[2];
  for (int k = 0; k < 6; ++k) products[k] = v[k] * u[k];
  float y[4] = {};
  portable().winograd_outputs(
      {.pixels = 4, .channels = 1, .m = m, .m_step = 1, .m_stride = 1, .y = y, .y_stride = 1});
  for (int i = 0; i < 4; ++i) {
    CHECK(y[i] == doctest::Approx(w[0] * d[i] + w[1] * d[i + 1] + w[2] * d[i + 2]));
  }
  float taps[3] = {};
  portable().winograd_taps(
      {.rows = 1, .channels = 1, .m = products, .m_step = 1, .y = taps, .tap_stride = 1});
  for (int t = 0; t < 3; ++t) {
    double expected = 0.0;
    for (int i = 0; i < 4; ++i) {
      expected += static_cast<double>(dy[i]) * static_cast<double>(d[i + t]);
    }
    CHECK(taps[t] == doctest::Approx(expected).epsilon(1e-4));
  }
}
