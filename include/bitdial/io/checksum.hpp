// SPDX-License-Identifier: Apache-2.0
// XXH64, the checksum of bitdial's files: finds damage; it is no protection against an attacker.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include <bitdial/core/config.hpp>

namespace bitdial::inline BITDIAL_ABI::io {

namespace detail {

inline constexpr std::uint64_t xxh_prime1 = 0x9E3779B185EBCA87U;
inline constexpr std::uint64_t xxh_prime2 = 0xC2B2AE3D27D4EB4FU;
inline constexpr std::uint64_t xxh_prime3 = 0x165667B19E3779F9U;
inline constexpr std::uint64_t xxh_prime4 = 0x85EBCA77C2B2AE63U;
inline constexpr std::uint64_t xxh_prime5 = 0x27D4EB2F165667C5U;

/// `bytes` little-endian bytes at `p` as a number; compilers turn it into one load.
template <int bytes>
[[nodiscard]] constexpr std::uint64_t load_little_endian(const std::byte* p) noexcept {
  std::uint64_t value = 0;
  for (int i = 0; i < bytes; ++i) value |= static_cast<std::uint64_t>(p[i]) << (8 * i);
  return value;
}

[[nodiscard]] constexpr std::uint64_t xxh_round(std::uint64_t lane, std::uint64_t input) noexcept {
  return std::rotl(lane + input * xxh_prime2, 31) * xxh_prime1;
}

[[nodiscard]] constexpr std::uint64_t xxh_merge(std::uint64_t hash, std::uint64_t lane) noexcept {
  return (hash ^ xxh_round(0, lane)) * xxh_prime1 + xxh_prime4;
}

}  // namespace detail

/// XXH64 of `bytes`.
///
/// Chain two pieces with `xxh64(second, xxh64(first))`; this is not the hash of the concatenation.
/// Cost: about one byte per third of a cycle. Algorithm: Y. Collet, xxHash specification 0.1.1.
[[nodiscard]] constexpr std::uint64_t xxh64(std::span<const std::byte> bytes,
                                            std::uint64_t seed = 0) noexcept {
  using namespace detail;
  const std::byte* p = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t hash = seed + xxh_prime5;
  if (left >= 32) {
    std::uint64_t a = seed + xxh_prime1 + xxh_prime2, b = seed + xxh_prime2, c = seed,
                  d = seed - xxh_prime1;
    for (; left >= 32; left -= 32, p += 32) {
      a = xxh_round(a, load_little_endian<8>(p));
      b = xxh_round(b, load_little_endian<8>(p + 8));
      c = xxh_round(c, load_little_endian<8>(p + 16));
      d = xxh_round(d, load_little_endian<8>(p + 24));
    }
    hash = std::rotl(a, 1) + std::rotl(b, 7) + std::rotl(c, 12) + std::rotl(d, 18);
    for (const std::uint64_t lane : {a, b, c, d}) hash = xxh_merge(hash, lane);
  }
  hash += static_cast<std::uint64_t>(bytes.size());
  for (; left >= 8; left -= 8, p += 8) {
    hash ^= xxh_round(0, load_little_endian<8>(p));
    hash = std::rotl(hash, 27) * xxh_prime1 + xxh_prime4;
  }
  if (left >= 4) {
    hash ^= load_little_endian<4>(p) * xxh_prime1;
    hash = std::rotl(hash, 23) * xxh_prime2 + xxh_prime3;
    left -= 4, p += 4;
  }
  for (; left > 0; --left, ++p) {
    hash ^= load_little_endian<1>(p) * xxh_prime5;
    hash = std::rotl(hash, 11) * xxh_prime1;
  }
  hash = (hash ^ (hash >> 33)) * xxh_prime2;
  hash = (hash ^ (hash >> 29)) * xxh_prime3;
  return hash ^ (hash >> 32);
}

}  // namespace bitdial::inline BITDIAL_ABI::io
