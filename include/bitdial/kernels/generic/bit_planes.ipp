// SPDX-License-Identifier: Apache-2.0
// Counting of common or differing bits: outputs in the lanes of one vector, 32 codes of K a step.
// Vocabulary: Bits, planes_cols (lanes of 32 bits), load_bits, broadcast_bits, and_bits, xor_bits,
// add_counts, store_counts; planes_rows; count_bits(counts, bits) -> counts; max_counts. Where it
// is 0, counts are the lanes, the sums themselves. Else they are smaller, exact for max_counts
// calls of count_bits, and fold_counts(counts) makes one count a lane of them.

/// C = times * C + popcount(A_s & B_p), or times * C + starts + popcount(A_s ^ B_p), for one pair
/// of planes; `times` is 0, where C holds nothing yet, 1 or 2. A function of its own that reads C
/// last: few values live across the loops. One copy serves all tiles that have such a part.
template <int rows>
[[gnu::noinline]] inline void add_plane_pair(const GemmPlanesTile& t, std::int64_t row,
                                             const std::uint8_t* a, const std::uint32_t* b,
                                             const std::int32_t* starts, int times) noexcept {
  const std::int64_t a_stride = t.a_stride, words_of_segment = t.words;
  const std::int64_t* offset = t.offsets;
  const std::int64_t* const end = offset + t.segments;
  a += row * a_stride;
  Bits start{};
  if (starts != nullptr) start = load_bits(reinterpret_cast<const std::uint32_t*>(starts));
  Bits total[rows];
  unroll<rows>([&](auto r) __attribute__((always_inline)) { total[r] = start; });
  const auto count_words = [&](const std::uint8_t* run, std::int64_t words, Bits(&counts)[rows])
      __attribute__((always_inline)) {
    const auto count = [&](auto differing) __attribute__((always_inline)) {
      for (; words > 0; --words, run += 4, b += planes_cols) {
        const Bits bv = load_bits(b);
        const std::uint8_t* row_of_four = run;
        unroll<rows>([&](auto r) __attribute__((always_inline)) {
          if constexpr (r > 0 && r % 4 == 0) row_of_four += 4 * a_stride;
          std::uint32_t word = 0;
          std::memcpy(&word, row_of_four + r % 4 * a_stride, sizeof word);
          const Bits av = broadcast_bits(word);
          counts[r] = count_bits(counts[r], differing ? xor_bits(av, bv) : and_bits(av, bv));
        });
      }
    };
    starts == nullptr ? count(std::false_type{}) : count(std::true_type{});
  };
  if constexpr (max_counts == 0) {
    for (; offset != end; ++offset) count_words(a + *offset, words_of_segment, total);
  } else {
    const std::uint8_t* run = a;
    std::int64_t unread = 0;
    while (offset != end || unread > 0) {
      Bits counts[rows];
      unroll<rows>([&](auto r) __attribute__((always_inline)) { counts[r] = Bits{}; });
      for (std::int64_t room = max_counts; room > 0 && (offset != end || unread > 0);) {
        if (unread == 0) {
          run = a + *offset++;
          unread = words_of_segment;
        }
        const std::int64_t words = std::min(unread, room);
        count_words(run, words, counts);
        run += 4 * words;
        unread -= words;
        room -= words;
      }
      unroll<rows>([&](auto r) __attribute__((always_inline)) {
        total[r] = add_counts(total[r], fold_counts(counts[r]));
      });
    }
  }
  const std::int64_t c_stride = t.c_stride;
  std::int32_t* const c = t.c + row * c_stride;
  for (; times > 0; --times) {
    unroll<rows>([&](auto r) __attribute__((always_inline)) {
      const Bits before = load_bits(reinterpret_cast<const std::uint32_t*>(c + r * c_stride));
      total[r] = add_counts(total[r], before);
    });
  }
  unroll<rows>([&](auto r)
                   __attribute__((always_inline)) { store_counts(c + r * c_stride, total[r]); });
}

/// Adds a pair of planes to the rows of a tile from `row` on: whole tiles, then at most `most`
/// rows. There is code for 1, 4 and from 6 rows on; other numbers, which are rare, are sums of
/// these.
template <int most = planes_rows>
[[gnu::always_inline]] inline void add_plane_pairs(const GemmPlanesTile& t, std::int64_t row,
                                                   const std::uint8_t* a, const std::uint32_t* b,
                                                   const std::int32_t* starts, int times) noexcept {
  constexpr int part = most >= 6 ? most : most >= 4 ? 4 : 1;
  for (; t.rows - row > part; row += part) add_plane_pair<part>(t, row, a, b, starts, times);
  if constexpr (part > 1) {
    if (t.rows - row < part) return add_plane_pairs<part - 1>(t, row, a, b, starts, times);
  }
  add_plane_pair<part>(t, row, a, b, starts, times);
}

/// Horner's rule over the weights of the pairs: plane s of A and p of B, most significant first,
/// weigh 2^(S - 1 - s + P - 1 - p), so all pairs with s + p = d share one weight and
/// total = 2 * total + sum over s + p = d, for ascending d.
inline void gemm_planes(const GemmPlanesTile& t) noexcept {
  if (t.a_planes * t.b_planes == 1) return add_plane_pairs(t, 0, t.a, t.b, t.starts, 0);
  int times = 0;
  for (std::int64_t d = 0; d < t.a_planes + t.b_planes - 1; ++d) {
    const std::int64_t last = std::min(d, t.a_planes - 1);
    for (std::int64_t s = std::max(std::int64_t{0}, d - t.b_planes + 1); s <= last; ++s) {
      const std::int64_t p = d - s;
      add_plane_pairs(t, 0, t.a + s * t.plane_stride, t.b + p * t.segments * t.words * planes_cols,
                      t.starts == nullptr ? nullptr : t.starts + p * planes_cols, times);
      times = 1;
    }
    times = 2;
  }
}
