// SPDX-License-Identifier: Apache-2.0
// Right checksums for a changed section file: so a forged file looks, and so a mutation reaches the
// code behind the checksums.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <bitdial/io/checksum.hpp>

namespace test {

inline void put_number(std::span<std::byte> bytes, std::size_t at, std::uint64_t value,
                       std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) {
    bytes[at + i] = static_cast<std::byte>(value >> (8 * i) & 0xFF);
  }
}

[[nodiscard]] inline std::uint64_t number_at(std::span<const std::byte> bytes, std::size_t at,
                                             std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t i = size; i > 0; --i) {
    value = value << 8 | std::to_integer<std::uint64_t>(bytes[at + i - 1]);
  }
  return value;
}

/// Puts the size of the file and every checksum right, as far as the section table makes sense;
/// false for less than a header.
inline bool seal(std::span<std::byte> bytes) {
  if (bytes.size() < 64) return false;
  put_number(bytes, 16, bytes.size(), 8);
  const std::uint64_t count =
      std::min<std::uint64_t>(number_at(bytes, 24, 4), (bytes.size() - 64) / 32);
  put_number(bytes, 24, count, 4);
  for (std::size_t entry = 64; entry < 64 + 32 * count; entry += 32) {
    const std::uint64_t offset = number_at(bytes, entry + 8, 8);
    const std::uint64_t size = number_at(bytes, entry + 16, 8);
    if (offset > bytes.size() || size > bytes.size() - offset) continue;
    put_number(bytes, entry + 24, bitdial::io::xxh64(bytes.subspan(offset, size)), 8);
  }
  const std::span<const std::byte> all = bytes;
  put_number(bytes, 56,
             bitdial::io::xxh64(all.subspan(64, 32 * count), bitdial::io::xxh64(all.first(56))), 8);
  return true;
}

}  // namespace test
