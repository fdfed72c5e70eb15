// SPDX-License-Identifier: Apache-2.0
// Counting of common bits: outputs in the lanes of one vector, 32 codes of K a step.
// Vocabulary: Bits, planes_cols (lanes of 32 bits), load_bits, broadcast_bits, and_bits,
// add_counts, store_counts; planes_rows; count_bits(counts, bits) -> counts; max_counts. Where it
// is 0, counts are the lanes, the sums themselves. Else they are smaller, exact for max_counts
// calls of count_bits, and fold_counts(counts) makes one count a lane of them.

/// Adds popcount(A_s & B_p) of one pair of planes to the totals.
template <int rows>
[[gnu::always_inline]] inline void add_plane_pair(const GemmPlanesTile& t,
                                                  const std::uint8_t* plane, const std::uint32_t* b,
                                                  Bits (&total)[rows]) noexcept {
  const std::int64_t a_stride = t.a_stride;
  const std::uint8_t* a = plane;
  const auto count_words = [&](std::int64_t words, Bits(&counts)[rows])
      __attribute__((always_inline)) {
    for (; words > 0; --words, a += 4, b += planes_cols) {
      const Bits bv = load_bits(b);
      unroll<rows>([&](auto r) __attribute__((always_inline)) {
        std::uint32_t word = 0;
        std::memcpy(&word, a + r * a_stride, sizeof word);
        counts[r] = count_bits(counts[r], and_bits(broadcast_bits(word), bv));
      });
    }
  };
  if constexpr (max_counts == 0) {
    for (std::int64_t s = 0; s < t.segments; ++s) {
      a = plane + t.offsets[s];
      count_words(t.words, total);
    }
  } else {
    std::int64_t s = 0, left = 0;
    while (s < t.segments || left > 0) {
      Bits counts[rows];
      unroll<rows>([&](auto r) __attribute__((always_inline)) { counts[r] = Bits{}; });
      for (std::int64_t room = max_counts; room > 0 && (s < t.segments || left > 0);) {
        if (left == 0) {
          a = plane + t.offsets[s++];
          left = t.words;
        }
        const std::int64_t words = std::min(left, room);
        count_words(words, counts);
        left -= words;
        room -= words;
      }
      unroll<rows>([&](auto r) __attribute__((always_inline)) {
        total[r] = add_counts(total[r], fold_counts(counts[r]));
      });
    }
  }
}

/// Horner's rule over the weights of the pairs: plane s of A and p of B, most significant first,
/// weigh 2^(S - 1 - s + P - 1 - p), so all pairs with s + p = d share one weight and
/// total = 2 * total + sum over s + p = d, for ascending d. Not inlined: one copy serves all tiles
/// that have such a part.
template <int rows>
[[gnu::noinline]] inline void gemm_planes_rows(const GemmPlanesTile& t) noexcept {
  auto* const c_out = t.c;
  const std::int64_t c_stride = t.c_stride;
  Bits total[rows];
  unroll<rows>([&](auto r) __attribute__((always_inline)) { total[r] = Bits{}; });
  for (std::int64_t d = 0; d < t.a_planes + t.b_planes - 1; ++d) {
    unroll<rows>([&](auto r)
                     __attribute__((always_inline)) { total[r] = add_counts(total[r], total[r]); });
    const std::int64_t last = std::min(d, t.a_planes - 1);
    for (std::int64_t s = std::max(std::int64_t{0}, d - t.b_planes + 1); s <= last; ++s) {
      add_plane_pair(t, t.a + s * t.plane_stride,
                     t.b + (d - s) * t.segments * t.words * planes_cols, total);
    }
  }
  unroll<rows>([&](auto r) __attribute__((always_inline)) {
    store_counts(c_out + r * c_stride, total[r]);
  });
}

inline void gemm_planes(const GemmPlanesTile& t) noexcept {
  with_rows<planes_rows>(
      t, [](auto rows, const GemmPlanesTile& part) { gemm_planes_rows<rows>(part); });
}
