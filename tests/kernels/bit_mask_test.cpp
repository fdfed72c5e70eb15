// SPDX-License-Identifier: Apache-2.0
// The kernels of masks of every table against the formulas of bit_mask.hpp.
#include "every_isa.hpp"

#if defined(__SSE__)
#  include <xmmintrin.h>
#endif

#include <cmath>
#include <cstdint>
#include <limits>

using bitdial::kernels::real_kernels_of;
using bitdial_test::for_each_supported_isa;
using bitdial_test::GuardedArray;
using bitdial_test::Numbers;
namespace kernels = bitdial::kernels;

namespace {

using Words = GuardedArray<std::uint32_t>;

/// Numbers of both signs, and all that compare in their own way.
struct Values : GuardedArray<float> {
  Values(std::int64_t blocks, Numbers& numbers)
      : GuardedArray<float>(blocks * kernels::mask_block) {
    fill([&] { return numbers.real(-2, 2); });
    const float infinity = std::numeric_limits<float>::infinity();
    const float special[] = {0.0F,
                             -0.0F,
                             1.0F,
                             -1.0F,
                             std::nextafter(1.0F, 2.0F),
                             infinity,
                             -infinity,
                             std::numeric_limits<float>::quiet_NaN(),
                             std::numeric_limits<float>::denorm_min()};
    std::int64_t at = 3;
    for (const float value : special) {
      if (blocks > 0) (*this)[at * 13 % size()] = value;
      ++at;
    }
  }
};

bool bit_of(const Words& words, std::int64_t i) {
  const std::int64_t in_block = i % kernels::mask_block;
  const std::uint32_t word =
      words[i / kernels::mask_block * kernels::mask_words + in_block % kernels::mask_words];
  return (word >> (in_block / kernels::mask_words) & 1U) != 0;
}

template <class Body>
void for_each_size(Body body) {
  for_each_supported_isa([&](const kernels::KernelTable& table) {
    for (const std::int64_t blocks : {0, 1, 2, 5}) {
      CAPTURE(blocks);
      Numbers numbers(static_cast<std::uint64_t>(blocks));
      const Values x(blocks, numbers);
      const Words words(blocks * kernels::mask_words);
      body(real_kernels_of(table), blocks, x, words);
    }
  });
}

}  // namespace

TEST_CASE("mark_between: both ends pass, NaN does not") {
  for_each_size([](const kernels::RealKernels& table, std::int64_t blocks, const Values& x,
                   const Words& words) {
    for (const float low : {-1.0F, 0.0F}) {
      table.mark_between(
          {.blocks = blocks, .x = x.data(), .low = low, .high = 1.0F, .words = words.data()});
      std::int64_t wrong = 0;
      for (std::int64_t i = 0; i < x.size(); ++i) {
        wrong += bit_of(words, i) != (low <= x[i] && x[i] <= 1.0F);
      }
      CHECK(wrong == 0);
    }
  });
}

TEST_CASE("rectify: positive numbers pass, everything else is +0, also in place") {
  for_each_size([](const kernels::RealKernels& table, std::int64_t blocks, const Values& x,
                   const Words& words) {
    const GuardedArray<float> y(x.size());
    table.rectify({.blocks = blocks, .x = x.data(), .y = y.data(), .words = words.data()});
    std::int64_t wrong = 0;
    for (std::int64_t i = 0; i < x.size(); ++i) {
      const bool passes = x[i] > 0.0F;
      wrong += bit_of(words, i) != passes || y[i] != (passes ? x[i] : 0.0F) || std::signbit(y[i]);
    }
    table.rectify({.blocks = blocks, .x = x.data(), .y = x.data(), .words = words.data()});
    for (std::int64_t i = 0; i < x.size(); ++i) wrong += x[i] != y[i];
    CHECK(wrong == 0);
  });
}

#if defined(__SSE__)
TEST_CASE("rectify: subnormal numbers do not pass while they count as zeros") {
  for_each_size([](const kernels::RealKernels& table, std::int64_t blocks, const Values& x,
                   const Words& words) {
    const float least = std::numeric_limits<float>::min();
    for (std::int64_t i = 0; i < x.size(); ++i) {
      x[i] = i % 5 == 0 ? least : static_cast<float>(i % 3 - 1) * (least / 2);
    }
    const GuardedArray<float> y(x.size());
    constexpr unsigned subnormals_are_zeros = 0x8040;
    const unsigned saved = _mm_getcsr();
    _mm_setcsr(saved | subnormals_are_zeros);
    table.rectify({.blocks = blocks, .x = x.data(), .y = y.data(), .words = words.data()});
    _mm_setcsr(saved);
    std::int64_t wrong = 0;
    for (std::int64_t i = 0; i < x.size(); ++i) {
      const bool passes = i % 5 == 0;
      wrong += bit_of(words, i) != passes || y[i] != (passes ? least : 0.0F) || std::signbit(y[i]);
    }
    CHECK(wrong == 0);
  });
}
#endif

TEST_CASE("gate: what does not pass is +0, whatever it was") {
  for_each_size([](const kernels::RealKernels& table, std::int64_t blocks, const Values& x,
                   const Words& words) {
    Numbers numbers(7);
    for (std::int64_t i = 0; i < words.size(); ++i) {
      words[i] = static_cast<std::uint32_t>(numbers.bits());
    }
    const GuardedArray<float> gated(x.size());
    table.gate({.blocks = blocks, .words = words.data(), .x = x.data(), .y = gated.data()});
    std::int64_t wrong = 0;
    for (std::int64_t i = 0; i < x.size(); ++i) {
      if (bit_of(words, i)) {
        wrong += gated[i] != x[i] && !std::isnan(x[i]);
      } else {
        wrong += gated[i] != 0.0F || std::signbit(gated[i]);
      }
    }
    CHECK(wrong == 0);
  });
}

TEST_CASE("add_gated: each term where its bit is set, also in place") {
  for_each_size([](const kernels::RealKernels& table, std::int64_t blocks, const Values& x,
                   const Words& words) {
    Numbers numbers(8);
    GuardedArray<float> a(x.size()), b(x.size()), y(x.size());
    a.fill([&] { return numbers.real(-2, 2); });
    b.fill([&] { return numbers.real(-2, 2); });
    const GuardedArray<std::uint32_t> other(words.size());
    for (std::int64_t i = 0; i < words.size(); ++i) {
      words[i] = static_cast<std::uint32_t>(numbers.bits());
      other[i] = static_cast<std::uint32_t>(numbers.bits());
    }
    std::int64_t wrong = 0;
    for (const bool gates_a : {false, true}) {
      for (const bool gates_b : {false, true}) {
        table.add_gated({.blocks = blocks,
                         .a_words = gates_a ? words.data() : nullptr,
                         .a = a.data(),
                         .b_words = gates_b ? other.data() : nullptr,
                         .b = b.data(),
                         .y = y.data()});
        for (std::int64_t i = 0; i < x.size(); ++i) {
          const float first = !gates_a || bit_of(words, i) ? a[i] : 0.0F;
          const float second = !gates_b || bit_of(other, i) ? b[i] : 0.0F;
          wrong += y[i] != first + second;
        }
      }
    }
    table.add_gated({.blocks = blocks,
                     .a_words = words.data(),
                     .a = a.data(),
                     .b_words = other.data(),
                     .b = b.data(),
                     .y = a.data()});
    for (std::int64_t i = 0; i < x.size(); ++i) wrong += a[i] != y[i];
    CHECK(wrong == 0);
  });
}
