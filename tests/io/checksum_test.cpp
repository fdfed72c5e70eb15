// SPDX-License-Identifier: Apache-2.0
// XXH64 against the reference implementation's known answers.
#include <bitdial/io/checksum.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace {

using bitdial::io::xxh64;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text.data(), text.size()});
}

// The generator of xxHash's own sanity check: byte i is the top byte of a running product.
std::vector<std::byte> sanity_bytes(std::size_t size) {
  std::vector<std::byte> bytes(size);
  std::uint64_t generator = 2654435761U;
  for (std::byte& byte : bytes) {
    byte = static_cast<std::byte>(generator >> 56);
    generator *= 11400714785074694797U;
  }
  return bytes;
}

TEST_CASE("xxh64: known answers of texts") {
  CHECK(xxh64(bytes_of("")) == 0xEF46DB3751D8E999U);
  CHECK(xxh64(bytes_of("a")) == 0xD24EC4F1A98C6E5BU);
  CHECK(xxh64(bytes_of("abc")) == 0x44BC2CF5AD770999U);
  CHECK(xxh64(bytes_of("xxhash"), 20141025) == 0xB559B98D844E0635U);
  CHECK(xxh64(bytes_of("Nobody inspects the spammish repetition")) == 0xFBCEA83C8A378BF1U);
}

TEST_CASE("xxh64: known answers of the reference's sanity buffer") {
  const std::uint64_t seed = 2654435761U;
  CHECK(xxh64(sanity_bytes(0), seed) == 0xAC75FDA2929B17EFU);
  CHECK(xxh64(sanity_bytes(1)) == 0xE934A84ADB052768U);
  CHECK(xxh64(sanity_bytes(1), seed) == 0x5014607643A9B4C3U);
  CHECK(xxh64(sanity_bytes(4)) == 0x9136A0DCA57457EEU);
  CHECK(xxh64(sanity_bytes(14)) == 0x8282DCC4994E35C8U);
  CHECK(xxh64(sanity_bytes(14), seed) == 0xC3BD6BF63DEB6DF0U);
  CHECK(xxh64(sanity_bytes(222)) == 0xB641AE8CB691C174U);
  CHECK(xxh64(sanity_bytes(222), seed) == 0x20CB8AB7AE10C14AU);
}

TEST_CASE("xxh64: every single-bit change is seen") {
  std::vector<std::byte> bytes = sanity_bytes(77);
  const std::uint64_t clean = xxh64(bytes);
  for (std::byte& byte : bytes) {
    for (int bit = 0; bit < 8; ++bit) {
      byte ^= static_cast<std::byte>(1U << bit);
      CHECK(xxh64(bytes) != clean);
      byte ^= static_cast<std::byte>(1U << bit);
    }
  }
}

}  // namespace
