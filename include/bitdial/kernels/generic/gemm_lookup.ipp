// SPDX-License-Identifier: Apache-2.0
// Products by table look-up: a vector holds one table of 16 sums per 16 bytes, a weight nibble of
// each column is the index. Sums stay bytes as long as they fit, then 16 bits: even and odd bytes
// apart, where `both` sums the pairs as they stand and `high` the odd bytes alone.
// Vocabulary: Bytes, byte_lanes (32 or 64), lookup_rows, lookup_vectors (of 16 columns),
// load_bytes, store_bytes, broadcast_block (16 bytes to every 16 bytes), look_up, low_nibbles,
// high_nibbles, add_u8, add_u16, high_bytes (odd bytes as 16 bits), low_bytes_sum(both, high),
// LookupSums (16 of int32), widen_lookup_sums(low, high) (adds the parts of 128 bits, exact while
// their sums fit 16 bits), load_lookup_sums, add_lookup_sums, store_lookup_sums.

inline constexpr std::int64_t lookup_cols = lookup_vectors * 16;

/// Vectors of one block of tables: 64 bytes.
inline constexpr int lookup_parts = static_cast<int>(64 / byte_lanes);

template <int rows>
struct LookupAccumulators {
  Bytes bytes[rows][lookup_vectors], both[rows][lookup_vectors], high[rows][lookup_vectors];

  [[gnu::always_inline]] void fold() noexcept {
    unroll<rows * lookup_vectors>([&](auto i) __attribute__((always_inline)) {
      constexpr int r = i / lookup_vectors, v = i % lookup_vectors;
      both[r][v] = add_u16(both[r][v], bytes[r][v]);
      high[r][v] = add_u16(high[r][v], high_bytes(bytes[r][v]));
      bytes[r][v] = Bytes{};
    });
  }
};

/// A fold adds at most 248, and an iteration that ends a segment folds twice: over all parts of a
/// block 4 * 65 * 248 < 2^16.
inline constexpr std::int64_t max_lookup_folds = 64;

/// Adds the look-ups of a pair of blocks, or of the first block alone.
template <int rows, bool fold_each, bool second_half>
[[gnu::always_inline]] inline void add_lookups(LookupAccumulators<rows>& sums,
                                               const std::uint8_t* a, std::int64_t a_stride,
                                               const std::uint8_t* b) noexcept {
  unroll<lookup_parts>([&](auto part) __attribute__((always_inline)) {
    Bytes first[lookup_vectors], second[lookup_vectors];
    unroll<lookup_vectors>([&](auto v) __attribute__((always_inline)) {
      const Bytes both = load_bytes(b + v * 64 + part * byte_lanes);
      first[v] = low_nibbles(both);
      if constexpr (second_half) second[v] = high_nibbles(both);
    });
    unroll<rows>([&](auto r) __attribute__((always_inline)) {
      const std::uint8_t* const row = a + r * a_stride + part * byte_lanes;
      const Bytes table = load_bytes(row);
      unroll<lookup_vectors>([&](auto v) __attribute__((always_inline)) {
        sums.bytes[r][v] = add_u8(sums.bytes[r][v], look_up(table, first[v]));
      });
      if constexpr (second_half) {
        const Bytes next_table = load_bytes(row + 64);
        unroll<lookup_vectors>([&](auto v) __attribute__((always_inline)) {
          sums.bytes[r][v] = add_u8(sums.bytes[r][v], look_up(next_table, second[v]));
        });
      }
    });
    if constexpr (fold_each) sums.fold();
  });
}

template <int rows, bool fold_each>
inline void gemm_lookup_rows(const GemmLookupTile& t) noexcept {
  auto* const c_out = t.c;
  const std::int64_t c_stride = t.c_stride;
  const std::int64_t a_stride = t.a_stride;
  const std::int64_t pairs = t.blocks / 2;
  const std::int64_t largest_entry = 4 * ((std::int64_t{1} << t.bits) - 1);
  const std::int64_t pairs_per_fold = fold_each ? 1 : 255 / (largest_entry * 2 * lookup_parts);
  const std::uint8_t* b = t.b;
  for (std::int64_t p = 0; p < t.planes; ++p) {
    bool first = true;
    for (std::int64_t s = 0, done = 0; s < t.segments || first;) {
      LookupAccumulators<rows> sums;
      unroll<rows * lookup_vectors>([&](auto i) __attribute__((always_inline)) {
        constexpr int r = i / lookup_vectors, v = i % lookup_vectors;
        sums.bytes[r][v] = sums.both[r][v] = sums.high[r][v] = Bytes{};
      });
      for (std::int64_t fold = 0; fold < max_lookup_folds && s < t.segments; ++fold) {
        const std::uint8_t* a = t.a + s * t.segment_stride + done * 128;
        const std::int64_t last = std::min(pairs, done + pairs_per_fold);
        for (; done < last; ++done, a += 128, b += lookup_cols * 4) {
          add_lookups<rows, fold_each, true>(sums, a, a_stride, b);
        }
        if constexpr (!fold_each) sums.fold();
        if (done == pairs) {
          if (t.blocks % 2 != 0) {
            add_lookups<rows, fold_each, false>(sums, a, a_stride, b);
            if constexpr (!fold_each) sums.fold();
            b += lookup_cols * 4;
            ++fold;
          }
          ++s;
          done = 0;
        }
      }
      unroll<rows * lookup_vectors>([&](auto i) __attribute__((always_inline)) {
        constexpr int r = i / lookup_vectors, v = i % lookup_vectors;
        std::int32_t* const c = c_out + r * c_stride + v * 16;
        const Bytes high = sums.high[r][v];
        LookupSums total = widen_lookup_sums(low_bytes_sum(sums.both[r][v], high), high);
        if (p > 0 || !first) {
          const LookupSums before = load_lookup_sums(c);
          total = add_lookup_sums(total, before);
          if (first) total = add_lookup_sums(total, before);
        }
        store_lookup_sums(c, total);
      });
      first = false;
    }
  }
}

inline void gemm_lookup(const GemmLookupTile& t) noexcept {
  const bool fold_each = 2 * lookup_parts * 4 * ((1 << t.bits) - 1) > 255;
  for_row_runs<lookup_rows>(t, [&](auto rows, const GemmLookupTile& part) {
    if (fold_each) {
      gemm_lookup_rows<rows, true>(part);
    } else {
      gemm_lookup_rows<rows, false>(part);
    }
  });
}

/// order[i][16 g + e]: the place of code i of group g in a block where bit i of e is set, else 128,
/// which looks up 0.
struct SubsetOrder {
  std::uint8_t order[4][64];
};
inline constexpr SubsetOrder subset_order = [] {
  SubsetOrder s{};
  for (int i = 0; i < 4; ++i) {
    for (int at = 0; at < 64; ++at) {
      s.order[i][at] = static_cast<std::uint8_t>((at >> i & 1) != 0 ? at / 16 * 4 + i : 128);
    }
  }
  return s;
}();

inline void subset_sums(const SubsetSums& s) noexcept {
  Bytes order[4][lookup_parts];
  unroll<4 * lookup_parts>([&](auto i) __attribute__((always_inline)) {
    order[i / lookup_parts][i % lookup_parts] =
        load_bytes(subset_order.order[i / lookup_parts] + i % lookup_parts * byte_lanes);
  });
  std::uint8_t* out = s.tables;
  std::int64_t k = 0;
  for (; k + 16 <= s.count; k += 16, out += 64) {
    const Bytes codes = broadcast_block(s.codes + k);
    unroll<lookup_parts>([&](auto part) __attribute__((always_inline)) {
      Bytes sums = look_up(codes, order[0][part]);
      unroll<3>([&](auto i) __attribute__((always_inline)) {
        sums = add_u8(sums, look_up(codes, order[i + 1][part]));
      });
      store_bytes(out + part * byte_lanes, sums);
    });
  }
  scalar::subset_sums({.codes = s.codes + k, .count = s.count - k, .tables = out});
}
