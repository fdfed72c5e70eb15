// SPDX-License-Identifier: Apache-2.0
// The choice between bytes and planes: never planes where their sums could overflow, and a choice
// that the measured times bear out.
#include <bitdial/deploy/kernel_choice.hpp>
#include <bitdial/kernels/dispatch.hpp>

#include <doctest/doctest.h>

#include <cstdint>

namespace {

using namespace bitdial;

TEST_CASE("planes fit while the largest sum of code products is below 2^31") {
  CHECK(planes_fit({.channels = 1, .depth = 33'025, .w = 8, .a = 8}));  // 255 * 255 * 33025
  CHECK_FALSE(planes_fit({.channels = 1, .depth = 33'026, .w = 8, .a = 8}));
  CHECK(planes_fit({.channels = 1, .depth = 65'536, .w = 8, .a = 7}));
  CHECK(planes_fit({.channels = 1, .depth = 65'536, .w = 1, .a = 1}));
}

TEST_CASE("sizes that cannot use planes take bytes on every table") {
  for (const kernels::KernelTable* table : kernels::supported_kernels()) {
    CHECK(choose_path(*table, {.channels = 3, .depth = 65'000, .w = 8, .a = 8}) ==
          KernelPath::bytes);
    CHECK(choose_path(*table, {.channels = 16, .depth = 144, .w = 8, .a = 3}) == KernelPath::bytes);
  }
}

TEST_CASE("popcounts of one bit win against portable multiplications") {
  const auto scalar = kernels::find_kernels("scalar");
  REQUIRE(scalar);
  CHECK(choose_path(**scalar, {.channels = 64, .depth = 1152, .w = 1, .a = 1}) ==
        KernelPath::planes);
}

}  // namespace
