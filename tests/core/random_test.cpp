// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cmath>
#include <cstdint>
#include <set>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/core/random.hpp>

using bitdial::philox4x32;
using bitdial::Random;
using Words = std::array<std::uint32_t, 4>;

// Known answers of Philox4x32-10 published with Salmon et al., SC 2011 (Random123, kat_vectors).
static_assert(philox4x32({0, 0, 0, 0}, {0, 0}) ==
              Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
static_assert(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
                         {0xffffffff, 0xffffffff}) ==
              Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
static_assert(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                         {0xa4093822, 0x299f31d0}) ==
              Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});

TEST_CASE("a stream is Philox on (block, stream) with the seed as key") {
  constexpr std::uint64_t seed = 0x299f31d0a4093822;
  constexpr std::uint64_t stream = 0x0370734413198a2e;
  constexpr std::uint64_t block = 0x05a308d3243f6a88;
  const Words expected =
      philox4x32({0x243f6a88, 0x05a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0});
  Random random(seed, stream);
  random.seek(block * 4);
  for (const std::uint32_t word : expected) CHECK(random.next() == word);
  CHECK(random.position() == block * 4 + 4);
}

TEST_CASE("seek is the same as drawing") {
  Random in_order(42, 7);
  std::vector<std::uint32_t> drawn(50);
  for (std::uint32_t& word : drawn) word = in_order.next();
  Random jumping(42, 7);
  for (const std::uint64_t i : {49U, 0U, 3U, 4U, 5U, 48U, 17U}) {
    jumping.seek(i);
    CHECK(jumping.next() == drawn[i]);
  }
}

TEST_CASE("seeds and streams differ in all of their bits") {
  std::set<std::uint32_t> first_words;
  first_words.insert(Random(0, 0).next());
  for (int bit = 0; bit < 64; ++bit) {
    first_words.insert(Random(std::uint64_t{1} << bit, 0).next());
    first_words.insert(Random(0, std::uint64_t{1} << bit).next());
  }
  CHECK(first_words.size() == 129);
}

TEST_CASE("uniform lies in [0, 1) with mean 1/2 and variance 1/12") {
  Random random(3, 0);
  constexpr int count = 200000;
  double sum = 0.0;
  double squares = 0.0;
  for (int i = 0; i < count; ++i) {
    const float x = random.uniform();
    REQUIRE(x >= 0.0F);
    REQUIRE(x < 1.0F);
    sum += static_cast<double>(x);
    squares += static_cast<double>(x) * static_cast<double>(x);
  }
  const double mean = sum / count;
  CHECK(std::abs(mean - 0.5) < 0.003);
  CHECK(std::abs(squares / count - mean * mean - 1.0 / 12.0) < 0.002);
  for (int i = 0; i < 1000; ++i) {
    const float x = random.uniform(-3.0F, -1.0F);
    REQUIRE(x >= -3.0F);
    REQUIRE(x <= -1.0F);
  }
}

TEST_CASE("normal has the moments of the standard normal distribution") {
  Random random(4, 0);
  constexpr int count = 200000;
  std::array<double, 4> moments{};
  for (int i = 0; i < count; ++i) {
    const auto x = static_cast<double>(random.normal());
    REQUIRE(std::isfinite(x));
    double power = 1.0;
    for (double& moment : moments) moment += (power *= x);
  }
  CHECK(std::abs(moments[0] / count) < 0.01);
  CHECK(std::abs(moments[1] / count - 1.0) < 0.02);
  CHECK(std::abs(moments[2] / count) < 0.04);
  CHECK(std::abs(moments[3] / count - 3.0) < 0.1);
}

TEST_CASE("below reaches every value about equally often") {
  Random random(5, 0);
  std::array<int, 7> counts{};
  for (int i = 0; i < 70000; ++i) ++counts.at(random.below(7));
  for (const int count : counts) CHECK(std::abs(count - 10000) < 500);
  for (int i = 0; i < 10; ++i) CHECK(random.below(1) == 0);
}

TEST_CASE("uniform between two numbers rounds once, whatever the compiler fuses") {
  Random drawn(6, 0);
  Random unit(6, 0);
  int rounded_twice = 0;
  for (int i = 0; i < 1000; ++i) {
    const float u = unit.uniform();
    REQUIRE(drawn.uniform(0.1F, 3.2F) == std::fma(3.2F - 0.1F, u, 0.1F));
    const volatile float product = (3.2F - 0.1F) * u;
    rounded_twice += 0.1F + product != std::fma(3.2F - 0.1F, u, 0.1F) ? 1 : 0;
  }
  CHECK(rounded_twice > 10);  // the two differ, so the check above tells them apart
}
