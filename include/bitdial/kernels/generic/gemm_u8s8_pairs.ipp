// SPDX-License-Identifier: Apache-2.0
// The integer tile of machines that multiply bytes and add the products in pairs of 16 bits.
// Groups whose pairs fit are multiplied as they are. Another one among them is taken in two parts,
// levels within +-64 and what is left: 2 * 255 * 64 fits. Where there are many others, codes and
// levels are widened to 16 bits, codes once per row into a buffer, even and odd ones apart. Where
// the sums of several groups fit, 32-bit sums take over only now and then.
// Vocabulary: U8S8Sums, u8s8_lanes (columns of one U8S8Sums), u8s8_rows, u8s8_vectors, store_sums,
// load_sums, add_sums; Shorts, Bytes, broadcast_group, load_bytes, multiply_pairs, add_shorts,
// widen_shorts, clip_levels (to +-64), subtract_levels; split_groups (groups that split_codes takes
// at once), split_codes(from, groups, even, odd) (no code beyond `groups` is read), Pairs,
// broadcast_pair, even_levels, odd_levels, add_pairs.

inline constexpr std::int64_t u8s8_cols = u8s8_vectors * u8s8_lanes;

inline Bytes load_group(const std::int8_t* b) noexcept {
  return load_bytes(reinterpret_cast<const std::uint8_t*>(b));
}

template <int rows, int vectors>
inline void gemm_u8s8_rows(const GemmU8S8Tile& t) noexcept {
  auto* const c_out = t.c;
  const std::int64_t c_stride = t.c_stride, a_stride = t.a_stride;
  U8S8Sums c[rows][vectors];
  unroll<rows * vectors>([&](auto i) __attribute__((always_inline)) {
    c[i / vectors][i % vectors] = U8S8Sums{};
  });
  const std::int8_t* b = t.b;
  const std::uint8_t* runs = t.short_runs;
  const std::uint8_t* a = t.a;
  for (std::int64_t s = 0; s < t.segments; ++s) {
    a = t.a + t.offsets[s];
    for (std::int64_t left = t.groups; left > 0;) {
      std::int64_t run = t.short_groups > 0 ? left : 0;
      if (runs != nullptr) run = std::min<std::int64_t>(left, std::max<std::int64_t>(run, *runs));
      for (std::int64_t g = run; g > 0; --g, a += 4, b += u8s8_cols * 4) {
        Bytes levels[vectors];
        unroll<vectors>([&](auto v) __attribute__((always_inline)) {
          levels[v] = load_group(b + v * u8s8_lanes * 4);
        });
        unroll<rows>([&](auto r) __attribute__((always_inline)) {
          const Bytes codes = broadcast_group(a + r * a_stride);
          unroll<vectors>([&](auto v) __attribute__((always_inline)) {
            c[r][v] = add_sums(c[r][v], widen_shorts(multiply_pairs(codes, levels[v])));
          });
        });
      }
      left -= run;
      if (runs != nullptr) runs += run;
      if (left == 0 || run == 255) continue;
      unroll<vectors>([&](auto v) __attribute__((always_inline)) {
        const Bytes levels = load_group(b + v * u8s8_lanes * 4);
        const Bytes clipped = clip_levels(levels), rest = subtract_levels(levels, clipped);
        unroll<rows>([&](auto r) __attribute__((always_inline)) {
          const Bytes codes = broadcast_group(a + r * a_stride);
          c[r][v] = add_sums(c[r][v], add_sums(widen_shorts(multiply_pairs(codes, clipped)),
                                               widen_shorts(multiply_pairs(codes, rest))));
        });
      });
      a += 4;
      b += u8s8_cols * 4;
      --left;
      if (runs != nullptr) ++runs;
    }
  }
  unroll<rows * vectors>([&](auto i) __attribute__((always_inline)) {
    store_sums(c_out + i / vectors * c_stride + i % vectors * u8s8_lanes,
               c[i / vectors][i % vectors]);
  });
}

/// Groups of each row that are widened at a time; the buffer stays in the first-level cache.
inline constexpr std::int64_t pair_groups = 128;

/// Codes of one row as 16 bits: of each group the even two, elsewhere the odd two.
struct alignas(64) SplitRow {
  std::int16_t even[2 * (pair_groups + split_groups)];
  std::int16_t odd[2 * (pair_groups + split_groups)];
};

template <int rows, int vectors>
inline void gemm_u8s8_split_rows(const GemmU8S8Tile& t) noexcept {
  auto* const c_out = t.c;
  const std::int64_t c_stride = t.c_stride;
  U8S8Sums c[rows][vectors];
  unroll<rows * vectors>([&](auto i) __attribute__((always_inline)) {
    c[i / vectors][i % vectors] = U8S8Sums{};
  });
  SplitRow split[rows];
  const std::int8_t* b = t.b;
  std::int64_t s = 0, done = 0;  // segments, and groups of the next one
  while (s < t.segments) {
    std::int64_t filled = 0;
    while (s < t.segments && filled < pair_groups) {
      const std::int64_t count = std::min(t.groups - done, pair_groups - filled);
      const std::uint8_t* const from = t.a + t.offsets[s] + done * 4;
      for (std::int64_t r = 0; r < rows; ++r) {
        split_codes(from + r * t.a_stride, count, split[r].even + 2 * filled,
                    split[r].odd + 2 * filled);
      }
      filled += count;
      done += count;
      if (done == t.groups) {
        done = 0;
        ++s;
      }
    }
    // Even and odd codes in loops of their own: together they need too many registers.
    const auto add_half = [&](const std::int16_t* codes, auto levels_at)
        __attribute__((always_inline)) {
      constexpr std::int64_t row_step = sizeof(SplitRow) / 2;
      const std::int8_t* from = b;
      for (std::int64_t g = filled; g > 0; --g, codes += 2, from += u8s8_cols * 4) {
        Pairs levels[vectors];
        unroll<vectors>([&](auto v) __attribute__((always_inline)) {
          levels[v] = levels_at(from + v * u8s8_lanes * 4);
        });
        unroll<rows>([&](auto r) __attribute__((always_inline)) {
          const Pairs a = broadcast_pair(codes + r * row_step);
          unroll<vectors>([&](auto v) __attribute__((always_inline)) {
            c[r][v] = add_pairs(c[r][v], a, levels[v]);
          });
        });
      }
    };
    add_half(split[0].even, even_levels);
    add_half(split[0].odd, odd_levels);
    b += filled * u8s8_cols * 4;
  }
  unroll<rows * vectors>([&](auto i) __attribute__((always_inline)) {
    store_sums(c_out + i / vectors * c_stride + i % vectors * u8s8_lanes,
               c[i / vectors][i % vectors]);
  });
}

template <int rows, int vectors>
inline void gemm_u8s8_short_rows(const GemmU8S8Tile& t) noexcept {
  auto* const c_out = t.c;
  const std::int64_t c_stride = t.c_stride, a_stride = t.a_stride;
  const std::int8_t* b = t.b;
  const std::uint8_t* a = t.a;
  std::int64_t s = 0, left = 0;  // segments begun, groups of the last one
  bool first = true;
  do {
    Shorts c[rows][vectors];
    unroll<rows * vectors>([&](auto i) __attribute__((always_inline)) {
      c[i / vectors][i % vectors] = Shorts{};
    });
    for (std::int64_t room = t.short_groups; room > 0 && (left > 0 || s < t.segments);) {
      if (left == 0) {
        a = t.a + t.offsets[s++];
        left = t.groups;
      }
      const std::int64_t count = std::min(left, room);
      left -= count;
      room -= count;
      for (std::int64_t g = count; g > 0; --g, a += 4, b += u8s8_cols * 4) {
        Bytes levels[vectors];
        unroll<vectors>([&](auto v) __attribute__((always_inline)) {
          levels[v] = load_group(b + v * u8s8_lanes * 4);
        });
        unroll<rows>([&](auto r) __attribute__((always_inline)) {
          const Bytes codes = broadcast_group(a + r * a_stride);
          unroll<vectors>([&](auto v) __attribute__((always_inline)) {
            c[r][v] = add_shorts(c[r][v], multiply_pairs(codes, levels[v]));
          });
        });
      }
    }
    unroll<rows * vectors>([&](auto i) __attribute__((always_inline)) {
      std::int32_t* const out = c_out + i / vectors * c_stride + i % vectors * u8s8_lanes;
      U8S8Sums sums = widen_shorts(c[i / vectors][i % vectors]);
      if (!first) sums = add_sums(sums, load_sums(out));
      store_sums(out, sums);
    });
    first = false;
  } while (left > 0 || s < t.segments);
}

/// Whether more than a third of the groups are not known to fit: their two parts and the
/// ends of runs would take longer than 16 bits for all.
inline bool few_fit(const GemmU8S8Tile& t) noexcept {
  if (t.short_groups > 0) return false;
  if (t.short_runs == nullptr) return true;
  const std::int64_t count = t.segments * t.groups;
  std::int64_t unknown = 0;
  for (std::int64_t g = 0; g < count && 3 * unknown <= count;) {
    const std::int64_t run = t.short_runs[g];
    const bool ends = run < 255;  // another run may follow one of the largest length
    unknown += ends && g + run < count ? 1 : 0;
    g += run + (ends ? 1 : 0);
  }
  return 3 * unknown > count;
}

/// Few columns use one vector: half the work; not where codes are widened, and that only in whole
/// tiles, which keeps programs small. A single group in 16 bits would not pay.
inline void gemm_u8s8(const GemmU8S8Tile& t) noexcept {
  const bool in_shorts = t.short_groups > 1, split = few_fit(t);
  GemmU8S8Tile tile = t;
  for (std::int64_t left = t.rows; left > 0; left -= u8s8_rows) {
    tile.rows = std::min<std::int64_t>(left, u8s8_rows);
    with_rows<u8s8_rows>(tile, [=](auto rows, const GemmU8S8Tile& part) {
      const bool narrow = part.cols <= u8s8_lanes;
      if (in_shorts) {
        return narrow ? gemm_u8s8_short_rows<rows, 1>(part)
                      : gemm_u8s8_short_rows<rows, u8s8_vectors>(part);
      }
      if constexpr (rows == u8s8_rows) {
        if (split) return gemm_u8s8_split_rows<rows, u8s8_vectors>(part);
      }
      narrow ? gemm_u8s8_rows<rows, 1>(part) : gemm_u8s8_rows<rows, u8s8_vectors>(part);
    });
    tile.a += u8s8_rows * t.a_stride;
    tile.c += u8s8_rows * t.c_stride;
  }
}
