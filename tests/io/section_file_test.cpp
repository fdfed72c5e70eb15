// SPDX-License-Identifier: Apache-2.0
// The section container: layout, unknown sections, versions, and damage of every kind.
#include <bitdial/io/section_file.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace {

using bitdial::io::ByteWriter;
using bitdial::io::SectionFile;
using bitdial::io::SectionFileKind;
using bitdial::io::SectionFileWriter;
using bitdial::io::SectionKey;
using bitdial::io::xxh64;

constexpr SectionFileKind kind{{'B', 'I', 'T', 'T', 'E', 'S', 'T', '\0'}, 3, 1, "bitdial test"};

std::vector<std::byte> filled(std::size_t size, int value) {
  return std::vector<std::byte>(size, static_cast<std::byte>(value));
}

std::vector<std::byte> sample(const SectionFileKind& of = kind) {
  SectionFileWriter writer{of};
  writer.add({7, 0}, filled(3, 1));
  writer.add({2, 1}, filled(100, 2));
  writer.add({2, 0}, filled(0, 0));
  return writer.finish();
}

// Writes `value` at `offset` and repairs the header checksum, as an attacker would.
template <class T>
std::vector<std::byte> with_field(std::vector<std::byte> bytes, std::size_t offset, T value) {
  ByteWriter field;
  field.put(value);
  std::ranges::copy(field.bytes(), bytes.begin() + static_cast<std::ptrdiff_t>(offset));
  const std::span<const std::byte> file{bytes};
  ByteWriter checksum;
  checksum.put(xxh64(file.subspan(64, 3 * 32), xxh64(file.first(56))));
  std::ranges::copy(checksum.bytes(), bytes.begin() + 56);
  return bytes;
}

std::string error_of(const std::vector<std::byte>& bytes) {
  const auto file = SectionFile::parse(bytes, kind, "x");
  return file ? "" : file.error();
}

TEST_CASE("sections are aligned, found by key, and equal what was added") {
  const std::vector<std::byte> bytes = sample();
  const auto file = SectionFile::parse(bytes, kind, "x");
  REQUIRE(file);
  CHECK(file->minor() == 1);
  CHECK(file->verify());
  const auto small = file->section({7, 0});
  REQUIRE(small);
  CHECK(std::ranges::equal(*small, filled(3, 1)));
  CHECK((small->data() - bytes.data()) == 192);  // 64 header + 3 * 32 table, aligned to 64
  const auto large = file->section({2, 1});
  REQUIRE(large);
  CHECK(std::ranges::equal(*large, filled(100, 2)));
  CHECK((large->data() - bytes.data()) == 256);
  const auto empty = file->section({2, 0});
  REQUIRE(empty);
  CHECK(empty->empty());
  CHECK(file->count(2) == 2);
  CHECK(file->count(7) == 1);
  CHECK(file->count(1) == 0);
  const auto missing = file->section({2, 2});
  CHECK_FALSE(missing);
  CHECK(missing.error() == "x: damaged bitdial test: section 2.2 is missing");
  CHECK(sample() == bytes);
}

TEST_CASE("versions: newer minor is read, another major is refused") {
  SectionFileKind newer = kind;
  newer.minor = 9;
  const std::vector<std::byte> readable = sample(newer);
  const auto file = SectionFile::parse(readable, kind, "x");
  REQUIRE(file);
  CHECK(file->minor() == 9);
  newer.major = 4;
  CHECK(error_of(sample(newer)) == "x: bitdial test version 4.9, this build reads version 3.x");
}

TEST_CASE("foreign files are named as such") {
  CHECK(error_of({}) ==
        "x: is not a bitdial test file: it starts with nothing, expected "
        "42 49 54 54 45 53 54 00");
  CHECK(error_of(filled(200, 0x50))
            .starts_with(
                "x: is not a bitdial test file: it starts with 50 50 50 50 50 50 50 50, expected"));
}

TEST_CASE("every truncation and every extension is refused") {
  std::vector<std::byte> bytes = sample();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const std::vector<std::byte> shorter(bytes.begin(),
                                         bytes.begin() + static_cast<std::ptrdiff_t>(size));
    CHECK(error_of(shorter) != "");
  }
  bytes.push_back(std::byte{0});
  CHECK(error_of(bytes) ==
        "x: damaged bitdial test: too long: 385 bytes, the header announces 384");
}

TEST_CASE("every flipped byte is refused or lies in the padding between sections") {
  const std::vector<std::byte> clean = sample();
  int unnoticed = 0;
  for (std::size_t i = 0; i < clean.size(); ++i) {
    std::vector<std::byte> bytes = clean;
    bytes[i] ^= std::byte{0x20};
    const auto file = SectionFile::parse(bytes, kind, "x");
    if (file && file->verify()) {
      ++unnoticed;
      CHECK(((i >= 160 && i < 192) || (i >= 195 && i < 256) || i >= 356));
    }
  }
  CHECK(unnoticed == 32 + 61 + 28);
}

TEST_CASE("hostile tables with valid checksums are refused") {
  const std::vector<std::byte> clean = sample();
  const std::size_t first = 64, second = 96;
  REQUIRE(error_of(with_field(clean, first, std::uint32_t{7})).empty());
  CHECK(
      error_of(with_field(clean, 24, std::uint32_t{0x0FFFFFFF})).find("cannot hold their table") !=
      std::string::npos);
  CHECK(error_of(with_field(clean, 16, std::uint64_t{1} << 63)).find("truncated") !=
        std::string::npos);
  for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{64}, std::uint64_t{193},
                                     std::uint64_t{448}, ~std::uint64_t{63}}) {
    CHECK(error_of(with_field(clean, first + 8, offset)).find("does not fit") != std::string::npos);
  }
  for (const std::uint64_t size : {std::uint64_t{300}, ~std::uint64_t{0}, std::uint64_t{1} << 63}) {
    CHECK(error_of(with_field(clean, first + 16, size)).find("does not fit") != std::string::npos);
  }
  std::vector<std::byte> twice = with_field(clean, second, std::uint32_t{7});
  twice = with_field(twice, second + 4, std::uint32_t{0});
  CHECK(error_of(twice) == "x: damaged bitdial test: section 7.0 appears twice");
}

TEST_CASE("a damaged section is found when it is read, the others still serve") {
  std::vector<std::byte> bytes = sample();
  bytes[256] ^= std::byte{1};
  const auto file = SectionFile::parse(bytes, kind, "x");
  REQUIRE(file);
  CHECK(file->section({7, 0}));
  const auto damaged = file->section({2, 1});
  CHECK_FALSE(damaged);
  CHECK(damaged.error() ==
        "x: damaged bitdial test: section 2.1 at offset 256, 100 bytes, has a wrong checksum");
  CHECK(file->unverified({2, 1}).size() == 100);
  CHECK_FALSE(file->verify());
}

}  // namespace
