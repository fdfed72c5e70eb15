// SPDX-License-Identifier: Apache-2.0
// Counting of common bits: outputs in the lanes of one vector, 32 codes of K a step.
// Vocabulary: Bits, planes_cols (lanes of 32 bits), load_bits, broadcast_bits, and_bits,
// add_counts, store_counts; planes_rows; count_bits(counts, bits) -> counts; max_counts. Where it
// is 0, counts are the lanes, the sums themselves. Else they are smaller, exact for max_counts
// calls of count_bits, and fold_counts(counts) makes one count a lane of them.

/// C = times * C + popcount(A_s & B_p) for one pair of planes; `times` is 0, where C holds nothing
/// yet, 1 or 2. A function of its own that reads C last: few values live across the loops. One copy
/// serves all tiles that have such a part.
template <int rows>
[[gnu::noinline]] inline void add_plane_pair(const GemmPlanesTile& t, const std::uint8_t* a,
                                             const std::uint32_t* b, int times) noexcept {
  const std::int64_t a_stride = t.a_stride, words_of_segment = t.words;
  const std::int64_t* offset = t.offsets;
  const std::int64_t* const end = offset + t.segments;
  Bits total[rows];
  unroll<rows>([&](auto r) __attribute__((always_inline)) { total[r] = Bits{}; });
  const auto count_words = [&](const std::uint8_t* run, std::int64_t words, Bits(&counts)[rows])
      __attribute__((always_inline)) {
    for (; words > 0; --words, run += 4, b += planes_cols) {
      const Bits bv = load_bits(b);
      unroll<rows>([&](auto r) __attribute__((always_inline)) {
        std::uint32_t word = 0;
        std::memcpy(&word, run + r * a_stride, sizeof word);
        counts[r] = count_bits(counts[r], and_bits(broadcast_bits(word), bv));
      });
    }
  };
  if constexpr (max_counts == 0) {
    for (; offset != end; ++offset) count_words(a + *offset, words_of_segment, total);
  } else {
    const std::uint8_t* run = a;
    std::int64_t left = 0;
    while (offset != end || left > 0) {
      Bits counts[rows];
      unroll<rows>([&](auto r) __attribute__((always_inline)) { counts[r] = Bits{}; });
      for (std::int64_t room = max_counts; room > 0 && (offset != end || left > 0);) {
        if (left == 0) {
          run = a + *offset++;
          left = words_of_segment;
        }
        const std::int64_t words = std::min(left, room);
        count_words(run, words, counts);
        run += 4 * words;
        left -= words;
        room -= words;
      }
      unroll<rows>([&](auto r) __attribute__((always_inline)) {
        total[r] = add_counts(total[r], fold_counts(counts[r]));
      });
    }
  }
  std::int32_t* const c = t.c;
  const std::int64_t c_stride = t.c_stride;
  if (times > 0) {
    unroll<rows>([&](auto r) __attribute__((always_inline)) {
      const Bits before = load_bits(reinterpret_cast<const std::uint32_t*>(c + r * c_stride));
      total[r] = add_counts(total[r], before);
      if (times > 1) total[r] = add_counts(total[r], before);
    });
  }
  unroll<rows>([&](auto r)
                   __attribute__((always_inline)) { store_counts(c + r * c_stride, total[r]); });
}

/// Adds a pair of planes to all rows of a tile: `plane` bytes behind A, and `b`.
[[gnu::always_inline]] inline void add_plane_pairs(const GemmPlanesTile& t, std::int64_t plane,
                                                   const std::uint32_t* b, int times) noexcept {
  with_rows<planes_rows>(t, [=](auto rows, const GemmPlanesTile& part) {
    add_plane_pair<rows>(part, part.a + plane, b, times);
  });
}

/// Horner's rule over the weights of the pairs: plane s of A and p of B, most significant first,
/// weigh 2^(S - 1 - s + P - 1 - p), so all pairs with s + p = d share one weight and
/// total = 2 * total + sum over s + p = d, for ascending d.
inline void gemm_planes(const GemmPlanesTile& t) noexcept {
  if (t.a_planes * t.b_planes == 1) return add_plane_pairs(t, 0, t.b, 0);
  int times = 0;
  for (std::int64_t d = 0; d < t.a_planes + t.b_planes - 1; ++d) {
    const std::int64_t last = std::min(d, t.a_planes - 1);
    for (std::int64_t s = std::max(std::int64_t{0}, d - t.b_planes + 1); s <= last; ++s) {
      add_plane_pairs(t, s * t.plane_stride, t.b + (d - s) * t.segments * t.words * planes_cols,
                      times);
      times = 1;
    }
    times = 2;
  }
}
