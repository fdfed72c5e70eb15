// SPDX-License-Identifier: Apache-2.0
// The kernel that decodes, of every table, against its formula.
#include "every_isa.hpp"

#include <cstdint>

using bitdial::kernels::real_kernels_of;
using bitdial_test::for_each_supported_isa;
using bitdial_test::GuardedArray;
namespace kernels = bitdial::kernels;

TEST_CASE("decode: one product of the scale and an exact level") {
  for_each_supported_isa([](const kernels::KernelTable& table) {
    for (const std::int64_t count : {0, 1, 7, 8, 15, 16, 17, 40, 256}) {
      CAPTURE(count);
      GuardedArray<std::uint8_t> codes(count);
      for (std::int64_t i = 0; i < count; ++i) codes[i] = static_cast<std::uint8_t>(255 - i);
      const GuardedArray<float> y(count);
      real_kernels_of(table).decode({.codes = codes.data(),
                                     .count = count,
                                     .scale = 0.3F,
                                     .multiplier = 2.0F,
                                     .offset = -255.0F,
                                     .y = y.data()});
      std::int64_t wrong = 0;
      for (std::int64_t i = 0; i < count; ++i) {
        wrong += y[i] != 0.3F * static_cast<float>(2 * codes[i] - 255);
      }
      CHECK(wrong == 0);
    }
  });
}
