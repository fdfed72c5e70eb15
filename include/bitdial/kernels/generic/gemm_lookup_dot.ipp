// SPDX-License-Identifier: Apache-2.0
// Products by table look-up with tables of 64 entries, the four of a block: the four bytes that a
// look-up finds for a column stand side by side, and the dot product with ones adds them to its
// sum in 32 bits. Nothing is folded or widened, whatever the bits of the codes.
// Vocabulary: that of gemm_u8s8.ipp; Bytes, load_bytes, store_bytes, add_u8, add_sums; lookup_rows,
// lookup_vectors, low_entries, high_entries (for a nibble of byte i the entry 16 (i % 4) + nibble),
// look_up_entries(tables, entries), add_groups(sums, bytes); order_groups (groups 0 1 8 9 2 3 10 11
// 4 5 12 13 6 7 14 15), add_byte_pairs (to 16 bits), unpack_low32, unpack_high32; narrower, the
// namespace of the next weaker table.

inline constexpr std::int64_t lookup_cols = lookup_vectors * u8s8_lanes;

/// Adds the look-ups of a pair of blocks, or of the first block alone: two entries fit a byte.
template <int rows, bool second_half>
[[gnu::always_inline]] inline void add_lookups(U8S8Sums (&c)[rows][lookup_vectors],
                                               const std::uint8_t* a, std::int64_t a_stride,
                                               const std::uint8_t* b) noexcept {
  if constexpr (rows == 1) prefetch_stream<lookup_cols * 4>(b);
  Bytes first[lookup_vectors], second[lookup_vectors];
  unroll<lookup_vectors>([&](auto v) __attribute__((always_inline)) {
    const Bytes both = load_bytes(b + v * 64);
    first[v] = low_entries(both);
    if constexpr (second_half) second[v] = high_entries(both);
  });
  unroll<rows>([&](auto r) __attribute__((always_inline)) {
    const Bytes tables = load_bytes(a + r * a_stride);
    Bytes next_tables{};
    if constexpr (second_half) next_tables = load_bytes(a + r * a_stride + 64);
    unroll<lookup_vectors>([&](auto v) __attribute__((always_inline)) {
      Bytes found = look_up_entries(tables, first[v]);
      if constexpr (second_half) found = add_u8(found, look_up_entries(next_tables, second[v]));
      c[r][v] = add_groups(c[r][v], found);
    });
  });
}

/// Not inlined: one copy serves all tiles that have such a part.
template <int rows>
[[gnu::noinline]] inline void gemm_lookup_rows(const GemmLookupTile& t) noexcept {
  auto* const c_out = t.c;
  const std::int64_t c_stride = t.c_stride, a_stride = t.a_stride;
  U8S8Sums c[rows][lookup_vectors];
  unroll<rows * lookup_vectors>([&](auto i) __attribute__((always_inline)) {
    c[i / lookup_vectors][i % lookup_vectors] = U8S8Sums{};
  });
  const std::uint8_t* b = t.b;
  for (std::int64_t p = 0; p < t.planes; ++p) {
    unroll<rows * lookup_vectors>([&](auto i) __attribute__((always_inline)) {
      auto& sums = c[i / lookup_vectors][i % lookup_vectors];
      sums = add_sums(sums, sums);
    });
    for (std::int64_t s = 0; s < t.segments; ++s) {
      const std::uint8_t* a = t.a + s * t.segment_stride;
      std::int64_t left = t.blocks;
      for (; left > 1; left -= 2, a += 128, b += lookup_cols * 4) {
        add_lookups<rows, true>(c, a, a_stride, b);
      }
      if (left > 0) {
        add_lookups<rows, false>(c, a, a_stride, b);
        b += lookup_cols * 4;
      }
    }
  }
  unroll<rows * lookup_vectors>([&](auto i) __attribute__((always_inline)) {
    store_sums(c_out + i / lookup_vectors * c_stride + i % lookup_vectors * u8s8_lanes,
               c[i / lookup_vectors][i % lookup_vectors]);
  });
}

inline void gemm_lookup(const GemmLookupTile& t) noexcept {
  with_rows<lookup_rows>(
      t, [](auto rows, const GemmLookupTile& part) { gemm_lookup_rows<rows>(part); });
}

/// Where in the bytes a b c d, a + b, 0, c + d, 0 of its group a table finds, entry by entry, the
/// sum over the bits 0 and 1 (low), and over the bits 2 and 3 (high).
struct SubsetPlaces {
  std::uint8_t low[128], high[128];
};
inline constexpr SubsetPlaces subset_places = [] {
  constexpr int of_low[4] = {5, 0, 1, 4}, of_high[4] = {5, 2, 3, 6};
  SubsetPlaces s{};
  for (int at = 0; at < 128; ++at) {
    s.low[at] = static_cast<std::uint8_t>(at / 16 * 8 + of_low[at % 4]);
    s.high[at] = static_cast<std::uint8_t>(at / 16 * 8 + of_high[at / 4 % 4]);
  }
  return s;
}();

inline void subset_sums(const SubsetSums& s) noexcept {
  const Bytes low[2] = {load_bytes(subset_places.low), load_bytes(subset_places.low + 64)};
  const Bytes high[2] = {load_bytes(subset_places.high), load_bytes(subset_places.high + 64)};
  std::uint8_t* out = s.tables;
  std::int64_t k = 0;
  for (; k + 64 <= s.count; k += 64, out += 256) {
    const Bytes codes = order_groups(load_bytes(s.codes + k));
    const Bytes pairs = add_byte_pairs(codes);
    const Bytes groups[2] = {unpack_low32(codes, pairs), unpack_high32(codes, pairs)};
    unroll<4>([&](auto i) __attribute__((always_inline)) {
      store_bytes(out + i * 64, add_u8(look_up_entries(groups[i / 2], low[i % 2]),
                                       look_up_entries(groups[i / 2], high[i % 2])));
    });
  }
  narrower::subset_sums({.codes = s.codes + k, .count = s.count - k, .tables = out});
}
