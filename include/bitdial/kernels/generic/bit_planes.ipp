// SPDX-License-Identifier: Apache-2.0
// Counting of common bits: outputs in the lanes, 64 codes of K a step.
// Vocabulary: Bits (lanes of 64 bits), bits_lanes, load_bits, broadcast_bits, and_bits, add_lanes,
// sum_lanes, store_lanes (as int32); planes_rows, planes_vectors;
// count_bits(counts, bits) -> counts. Either counts_are_lanes: one 64-bit count a lane, or counts
// are smaller, exact for max_counts calls, and fold_counts(counts) -> one count a lane.

inline constexpr std::int64_t planes_cols = planes_vectors * bits_lanes;

/// Adds popcount(A_s & B_p) of one pair of planes to the totals.
template <int rows, int vectors>
[[gnu::always_inline]] inline void add_plane_pair(const GemmPlanesTile& t,
                                                  const std::uint8_t* plane, const std::uint64_t* b,
                                                  Bits (&total)[rows][vectors]) noexcept {
  const std::int64_t a_stride = t.a_stride;
  const std::uint8_t* a = plane;
  const auto count_words = [&](std::int64_t words, Bits(&counts)[rows][vectors])
      __attribute__((always_inline)) {
    for (; words > 0; --words, a += 8, b += planes_cols) {
      Bits bv[vectors];
      unroll<vectors>([&](auto v) __attribute__((always_inline)) {
        bv[v] = load_bits(b + v * bits_lanes);
      });
      unroll<rows>([&](auto r) __attribute__((always_inline)) {
        std::uint64_t word = 0;
        std::memcpy(&word, a + r * a_stride, sizeof word);
        const Bits av = broadcast_bits(&word);
        unroll<vectors>([&](auto v) __attribute__((always_inline)) {
          counts[r][v] = count_bits(counts[r][v], and_bits(av, bv[v]));
        });
      });
    }
  };
  if constexpr (counts_are_lanes) {
    for (std::int64_t s = 0; s < t.segments; ++s) {
      a = plane + t.offsets[s];
      count_words(t.words, total);
    }
  } else {
    std::int64_t s = 0, left = 0;
    while (s < t.segments || left > 0) {
      Bits counts[rows][vectors];
      unroll<rows * vectors>([&](auto i) __attribute__((always_inline)) {
        counts[i / vectors][i % vectors] = Bits{};
      });
      for (std::int64_t room = max_counts; room > 0 && (s < t.segments || left > 0);) {
        if (left == 0) {
          a = plane + t.offsets[s++];
          left = t.words;
        }
        const std::int64_t words = std::min(left, room);
        count_words(words, counts);
        left -= words;
        room -= words;
        if (t.words == 0) break;
      }
      unroll<rows * vectors>([&](auto i) __attribute__((always_inline)) {
        Bits& lanes = total[i / vectors][i % vectors];
        lanes = add_lanes(lanes, fold_counts(counts[i / vectors][i % vectors]));
      });
    }
  }
}

/// Horner's rule over the weights of the pairs: plane s of A and p of B, most significant first,
/// weigh 2^(S - 1 - s + P - 1 - p), so all pairs with s + p = d share one weight and
/// total = 2 * total + sum over s + p = d, for ascending d.
template <int rows, int vectors>
inline void gemm_planes_rows(const GemmPlanesTile& t) noexcept {
  auto* const c_out = t.c;
  const std::int64_t c_stride = t.c_stride;
  Bits total[rows][vectors];
  unroll<rows * vectors>([&](auto i) __attribute__((always_inline)) {
    total[i / vectors][i % vectors] = Bits{};
  });
  for (std::int64_t d = 0; d < t.a_planes + t.b_planes - 1; ++d) {
    unroll<rows * vectors>([&](auto i) __attribute__((always_inline)) {
      Bits& lanes = total[i / vectors][i % vectors];
      lanes = add_lanes(lanes, lanes);
    });
    const std::int64_t last = std::min(d, t.a_planes - 1);
    for (std::int64_t s = std::max(std::int64_t{0}, d - t.b_planes + 1); s <= last; ++s) {
      add_plane_pair(t, t.a + s * t.plane_stride,
                     t.b + (d - s) * t.segments * t.words * planes_cols, total);
    }
  }
  unroll<rows>([&](auto r) __attribute__((always_inline)) {
    unroll<vectors>([&](auto v) __attribute__((always_inline)) {
      store_lanes(c_out + r * c_stride + v * bits_lanes, total[r][v]);
    });
  });
}

inline void gemm_planes(const GemmPlanesTile& t) noexcept {
  with_rows<planes_rows>(t, [](auto rows, const GemmPlanesTile& part) {
    gemm_planes_rows<rows, planes_vectors>(part);
  });
}
