// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <bit>
#include <cstdint>
#include <numeric>
#include <vector>

#include <bitdial/core/random.hpp>
#include <bitdial/quant/bit_layout.hpp>

using namespace bitdial;

static_assert(BitLayout<Interleaved> && BitLayout<BitPlanes>);
static_assert(!Interleaved::has_plane_prefixes && BitPlanes::has_plane_prefixes);
static_assert(padded_row_bytes(0) == 0 && padded_row_bytes(1) == 64);
static_assert(padded_row_bytes(512) == 64 && padded_row_bytes(513) == 128);
static_assert(Interleaved{3, 171, 3}.row_bytes() == 128 &&
              Interleaved{3, 170, 3}.row_bytes() == 64);
static_assert(BitPlanes{3, 513, 2}.bytes() == 2 * 3 * 128);

namespace {

struct Extents {
  std::int64_t rows, cols;
};

/// Calls f(layout) for both layouts, every width and sizes around the padding boundaries.
template <class F>
void for_each_layout(F f) {
  for (int bits = 1; bits <= 8; ++bits) {
    for (const Extents e : {Extents{1, 1}, Extents{3, 7}, Extents{2, 64}, Extents{2, 65},
                            Extents{1, 512}, Extents{3, 513}, Extents{0, 5}, Extents{4, 0}}) {
      CAPTURE(bits);
      CAPTURE(e.rows);
      CAPTURE(e.cols);
      f(Interleaved{e.rows, e.cols, bits});
      f(BitPlanes{e.rows, e.cols, bits});
    }
  }
}

template <class L>
std::vector<std::uint8_t> random_codes(const L& layout) {
  Random random(1, static_cast<std::uint64_t>(layout.bits));
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(layout.rows * layout.cols));
  for (auto& code : codes) code = static_cast<std::uint8_t>(random.below(1U << layout.bits));
  return codes;
}

template <class L>
std::vector<std::uint8_t> packed(const L& layout, const std::vector<std::uint8_t>& codes) {
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(layout.bytes()), 0xFF);
  pack_codes(layout, codes, bytes);
  return bytes;
}

}  // namespace

TEST_CASE("bit_offset is a bijection into the bytes, rows are aligned") {
  for_each_layout([](const auto& layout) {
    std::vector<int> hits(static_cast<std::size_t>(layout.bytes() * 8));
    std::int64_t outside = 0;
    for (std::int64_t row = 0; row < layout.rows; ++row) {
      for (std::int64_t col = 0; col < layout.cols; ++col) {
        for (int bit = 0; bit < layout.bits; ++bit) {
          const std::int64_t offset = layout.bit_offset(row, col, bit);
          if (offset < 0 || offset >= layout.bytes() * 8) {
            ++outside;
          } else {
            ++hits[static_cast<std::size_t>(offset)];
          }
        }
      }
    }
    CHECK(outside == 0);
    CHECK(std::ranges::count(hits, 1) == layout.rows * layout.cols * layout.bits);
    CHECK(std::ranges::count(hits, 0) + std::ranges::count(hits, 1) == layout.bytes() * 8);
    CHECK(layout.row_bytes() % 64 == 0);
  });
}

TEST_CASE("pack and unpack are inverse, padding is zero, code_at looks at the same bits") {
  for_each_layout([](const auto& layout) {
    const auto codes = random_codes(layout);
    const auto bytes = packed(layout, codes);
    std::vector<std::uint8_t> again(codes.size(), 0xFF);
    unpack_codes(layout, bytes, again);
    CHECK(again == codes);
    // All set bits are those of the codes: so the padding is zero.
    const auto ones = [](const std::vector<std::uint8_t>& bits) {
      return std::accumulate(bits.begin(), bits.end(), 0,
                             [](int sum, std::uint8_t byte) { return sum + std::popcount(byte); });
    };
    CHECK(ones(bytes) == ones(codes));
    if (layout.rows > 1 && layout.cols > 5) {
      CHECK(code_at(layout, bytes, 1, 5) == codes[static_cast<std::size_t>(layout.cols) + 5]);
    }
  });
}

TEST_CASE("interleaved codes are a little-endian bit string") {
  const auto two = packed(Interleaved{1, 5, 2}, {1, 2, 3, 0, 2});
  CHECK(two.size() == 64);
  CHECK(two[0] == 0b00'11'10'01);
  CHECK(two[1] == 0b10);
  const auto three = packed(Interleaved{2, 3, 3}, {1, 2, 7, 5, 0, 0});
  CHECK(three[0] == 0b11'010'001);  // the third code crosses into the next byte
  CHECK(three[1] == 0b1);
  CHECK(three[64] == 0b101);
  const auto eight = packed(Interleaved{1, 3, 8}, {1, 200, 255});
  CHECK(eight[0] == 1);
  CHECK(eight[1] == 200);
  CHECK(eight[2] == 255);
}

TEST_CASE("bit planes stand most significant first") {
  const BitPlanes layout{2, 9, 2};
  const auto bytes = packed(layout, {1, 2, 3, 0, 0, 0, 0, 0, 2,  //
                                     0, 0, 0, 0, 0, 0, 0, 1, 0});
  REQUIRE(bytes.size() == 256);
  CHECK(bytes[0] == 0b110);         // plane of the high bit, row 0
  CHECK(bytes[1] == 0b1);           // its column 8
  CHECK(bytes[64] == 0);            // row 1
  CHECK(bytes[128] == 0b101);       // plane of the low bit, row 0
  CHECK(bytes[192] == 0b10000000);  // row 1
}

TEST_CASE("the first k planes are the top k bits of the codes") {
  const BitPlanes layout{3, 70, 8};
  const auto codes = random_codes(layout);
  const auto bytes = packed(layout, codes);
  for (int k = 1; k <= 8; ++k) {
    std::vector<std::uint8_t> top(codes);
    for (auto& code : top) code = static_cast<std::uint8_t>(code >> (8 - k));
    const auto expected = packed(layout.prefix(k), top);
    CHECK(std::equal(expected.begin(), expected.end(), bytes.begin()));
    CHECK(layout.prefix(k).bytes() == k * layout.plane_bytes());
  }
}
