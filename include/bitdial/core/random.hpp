// SPDX-License-Identifier: Apache-2.0
// Counter-based random numbers: number i of a stream is a pure function of (seed, stream, i), so
// there is no state to save, and any thread can compute any number.
// Philox4x32-10: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>

#include <bitdial/core/assert.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Ten rounds of Philox4x32: four random words from a 128-bit counter and a 64-bit key.
[[nodiscard]] constexpr std::array<std::uint32_t, 4> philox4x32(
    std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) noexcept {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53U} * counter[0];
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57U} * counter[2];
    counter = {
        static_cast<std::uint32_t>(p1 >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(p1),
        static_cast<std::uint32_t>(p0 >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(p0)};
    key[0] += 0x9E3779B9U;
    key[1] += 0xBB67AE85U;
  }
  return counter;
}

/// A stream of random numbers. Equal (seed, stream) give equal `next`, `below` and `uniform` on
/// every machine; `normal` needs the logarithm and cosine of the C library, which may differ.
///
/// Draw in sequence (`next()`, `uniform()`, ...) or jump with `seek(i)`. Streams are independent:
/// use one per purpose and object, for example (seed, epoch * images + image).
class Random {
 public:
  constexpr Random(std::uint64_t seed, std::uint64_t stream) noexcept
      : key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)},
        stream_{stream} {}

  /// The next draw is number `index` of the stream.
  constexpr void seek(std::uint64_t index) noexcept { index_ = index; }
  [[nodiscard]] constexpr std::uint64_t position() const noexcept { return index_; }

  /// 32 uniform random bits.
  constexpr std::uint32_t next() noexcept {
    const std::uint64_t block = index_ / 4;
    if (block != cached_block_) {
      words_ = philox4x32(
          {static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32),
           static_cast<std::uint32_t>(stream_), static_cast<std::uint32_t>(stream_ >> 32)},
          key_);
      cached_block_ = block;
    }
    return words_[index_++ % 4];
  }

  /// Uniform in [0, 1), a multiple of 2^-24.
  constexpr float uniform() noexcept { return static_cast<float>(next() >> 8) * 0x1p-24F; }
  /// Uniform in [low, high], low + (high - low) u. One `std::fma`: the product is not rounded, with
  /// any compiler and flags.
  float uniform(float low, float high) noexcept { return std::fma(high - low, uniform(), low); }

  /// Uniform in 0 .. bound - 1 without bias that matters (2^-32 per value); bound > 0.
  constexpr std::uint32_t below(std::uint32_t bound) noexcept {
    BITDIAL_ASSERT(bound > 0);
    return static_cast<std::uint32_t>((std::uint64_t{next()} * bound) >> 32);
  }

  /// Standard normal (Box-Muller, computed in double so that libraries agree to the last float bit
  /// almost always).
  float normal() noexcept {
    const double u = (static_cast<double>(next()) + 1.0) * 0x1p-32;
    const double v = static_cast<double>(next()) * 0x1p-32;
    return static_cast<float>(std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v));
  }

 private:
  std::array<std::uint32_t, 2> key_;
  std::uint64_t stream_;
  std::uint64_t index_ = 0;
  std::uint64_t cached_block_ = ~std::uint64_t{0};
  std::array<std::uint32_t, 4> words_{};
};

}  // namespace bitdial::inline BITDIAL_ABI
