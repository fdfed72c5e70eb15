// SPDX-License-Identifier: Apache-2.0
// Byte order, round trips, and a reader that never leaves its bytes.
#include <bitdial/io/byte_io.hpp>

#include <doctest/doctest.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace {

using bitdial::io::ByteReader;
using bitdial::io::ByteWriter;

int at(const ByteWriter& writer, std::size_t i) {
  return std::to_integer<int>(writer.bytes()[i]);
}

TEST_CASE("ByteWriter is little-endian") {
  ByteWriter writer;
  writer.put(std::uint32_t{0x01020304});
  CHECK(writer.size() == 4);
  CHECK(at(writer, 0) == 4);
  CHECK(at(writer, 3) == 1);
  writer.put(1.0F);  // 0x3f800000
  CHECK(at(writer, 6) == 0x80);
  CHECK(at(writer, 7) == 0x3f);
  writer.put(std::int16_t{-2});
  CHECK(at(writer, 8) == 0xfe);
  CHECK(at(writer, 9) == 0xff);
  writer.align(64);
  CHECK(writer.size() == 64);
  CHECK(at(writer, 63) == 0);
  writer.align(64);
  CHECK(writer.size() == 64);
}

TEST_CASE("what was written is read back") {
  ByteWriter writer;
  writer.put(std::uint8_t{200});
  writer.put(std::int32_t{-5});
  writer.put(std::numeric_limits<std::uint64_t>::max());
  writer.put(-0.0F);
  writer.put(0.1);
  writer.put_text("w4a4 \xc3\xa9");
  writer.put_text("");
  const std::vector<float> values{1.5F, -2.25F, std::numeric_limits<float>::infinity()};
  writer.put_array(std::span<const float>{values});
  ByteReader reader{writer.bytes()};
  CHECK(reader.get<std::uint8_t>() == 200);
  CHECK(reader.get<std::int32_t>() == -5);
  CHECK(reader.get<std::uint64_t>() == std::numeric_limits<std::uint64_t>::max());
  CHECK(std::bit_cast<std::uint32_t>(reader.get<float>()) == 0x80000000U);
  CHECK(reader.get<double>() == 0.1);
  CHECK(reader.get_text() == "w4a4 \xc3\xa9");
  CHECK(reader.get_text().empty());
  CHECK(reader.get_array<float>() == values);
  CHECK(reader.remaining() == 0);
  CHECK_FALSE(reader.failed());
}

TEST_CASE("ByteReader: the first failure sticks and names the place") {
  ByteWriter writer;
  writer.put(std::uint16_t{7});
  ByteReader reader{writer.bytes()};
  CHECK(reader.get<std::uint32_t>() == 0);
  CHECK(reader.failed());
  CHECK(reader.error() == "ends early: needs 4 bytes at offset 0, 2 are left");
  CHECK(reader.get<std::uint16_t>() == 0);  // would fit, but the reader has stopped
  reader.fail("another reason");
  CHECK(reader.error() == "ends early: needs 4 bytes at offset 0, 2 are left");
}

TEST_CASE("ByteReader: an announced count never allocates more than the bytes can hold") {
  ByteWriter writer;
  writer.put(std::uint32_t{0xFFFFFFFF});
  writer.put(std::uint32_t{1});
  ByteReader array{writer.bytes()};
  CHECK(array.get_array<float>().empty());
  CHECK(array.error() ==
        "ends early: announces 4294967295 elements of at least 4 bytes at offset 0, 4 bytes are "
        "left");
  ByteReader text{writer.bytes()};
  CHECK(text.get_text().empty());
  CHECK(text.failed());
  ByteReader bytes{writer.bytes()};
  CHECK(bytes.get_bytes(std::numeric_limits<std::size_t>::max()).empty());
  CHECK(bytes.failed());
}

}  // namespace
