// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/data/gzip.hpp>

#include "scratch_file.hpp"

using bitdial::FileError;
using bitdial::data::gunzip;
using bitdial::data::read_file_or_gzip;
using Bytes = std::vector<std::byte>;

namespace {

/// One gzip member with the given content.
Bytes gzip(const Bytes& content) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, 16 + 15, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  Bytes out(deflateBound(&stream, static_cast<uLong>(content.size())) + 64);
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

Bytes pattern(std::size_t size) {
  Bytes content(size);
  for (std::size_t i = 0; i < size; ++i) content[i] = static_cast<std::byte>(i * i >> 5);
  return content;
}

Bytes joined(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

}  // namespace

TEST_CASE("what was compressed comes back, at sizes around the growth of the buffer") {
  for (const std::size_t size : {0U, 1U, 65535U, 65536U, 65537U, 131072U, 1000000U}) {
    CAPTURE(size);
    CHECK(gunzip(gzip(pattern(size)), "x") == pattern(size));
    CHECK(gunzip(gzip(pattern(size)), "x", size) == pattern(size));
  }
}

TEST_CASE("members in a row are one content") {
  const Bytes both = joined(gzip(pattern(70000)), joined(gzip({}), gzip(pattern(5))));
  CHECK(gunzip(both, "x") == joined(pattern(70000), pattern(5)));
}

TEST_CASE("gzip cut at any byte is refused") {
  const Bytes whole =
      gzip(scratch::bytes("a sentence that is long enough to compress, long enough"));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    CHECK_THROWS_WITH_AS(static_cast<void>(gunzip(cut, "cut.gz")),
                         doctest::Contains("cut.gz: expected "), FileError);
  }
}

TEST_CASE("a damaged byte is refused or harmless, never a different content") {
  const Bytes content = scratch::bytes("another sentence, with a checksum at its end");
  const Bytes whole = gzip(content);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    CAPTURE(at);
    Bytes damaged = whole;
    damaged[at] ^= std::byte{0x10};
    Bytes found = content;
    bool refused = false;
    try {
      found = gunzip(damaged, "x");  // works where the header's time or system was hit
    } catch (const FileError&) {
      refused = true;
    }
    CHECK(found == content);
    if (at >= 10) CHECK(refused);  // beyond the header every byte counts
  }
  Bytes damaged = whole;
  damaged[whole.size() - 6] ^= std::byte{1};  // the checksum
  CHECK_THROWS_WITH_AS(static_cast<void>(gunzip(damaged, "x")),
                       doctest::Contains("incorrect data check"), FileError);
}

TEST_CASE("bytes after the end are refused") {
  CHECK_THROWS_WITH_AS(
      static_cast<void>(gunzip(joined(gzip(pattern(9)), scratch::bytes("junk")), "x")),
      doctest::Contains("found 4 more bytes"), FileError);
}

TEST_CASE("a bomb is refused at the limit") {
  const Bytes bomb = gzip(Bytes(std::size_t{64} << 20));
  CHECK(bomb.size() < 100000);
  CHECK_THROWS_WITH_AS(static_cast<void>(gunzip(bomb, "bomb.gz", 1000000)),
                       "bomb.gz: expected at most 1000000 bytes after decompression, found more",
                       FileError);
  CHECK_THROWS_AS(static_cast<void>(gunzip(gzip(pattern(1000)), "x", 999)), FileError);
  CHECK_THROWS_AS(static_cast<void>(gunzip(gzip(pattern(1)), "x", 0)), FileError);
}

TEST_CASE("a file is decompressed only if it is gzip") {
  const Bytes content = pattern(3000);
  const scratch::File plain(content);
  const scratch::File packed(gzip(content));
  CHECK(read_file_or_gzip(plain.path()) == content);
  CHECK(read_file_or_gzip(packed.path()) == content);
  CHECK_THROWS_AS(static_cast<void>(read_file_or_gzip(packed.path(), 2999)), FileError);
}
