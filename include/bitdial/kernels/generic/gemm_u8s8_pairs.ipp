// SPDX-License-Identifier: Apache-2.0
// The integer tile of machines that multiply bytes and add the products in pairs of 16 bits.
// Groups whose pairs fit are multiplied as they are. In others codes and levels are widened to 16
// bits, even and odd ones apart; so are all where many do not fit. Where the sums of several groups
// fit, 32-bit sums take over only now and then.
// Vocabulary: U8S8Sums, u8s8_lanes (columns of one U8S8Sums), u8s8_rows, u8s8_vectors, store_sums,
// load_sums, add_sums; Shorts, Bytes, broadcast_group, load_bytes, multiply_pairs, add_shorts,
// widen_shorts; Pairs, even_codes, odd_codes, even_levels, odd_levels, add_pairs.

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
      if (runs != nullptr) {
        run = std::min<std::int64_t>(left, *runs);
        runs += run;
      }
      left -= run;
      for (; run > 0; --run, a += 4, b += u8s8_cols * 4) {
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
      for (; left > 0 && (runs == nullptr || *runs == 0); --left, a += 4, b += u8s8_cols * 4) {
        if (runs != nullptr) ++runs;
        Pairs even[vectors], odd[vectors];
        unroll<vectors>([&](auto v) __attribute__((always_inline)) {
          const Bytes levels = load_group(b + v * u8s8_lanes * 4);
          even[v] = even_levels(levels);
          odd[v] = odd_levels(levels);
        });
        unroll<rows>([&](auto r) __attribute__((always_inline)) {
          const Bytes codes = broadcast_group(a + r * a_stride);
          unroll<vectors>([&](auto v) __attribute__((always_inline)) {
            c[r][v] = add_pairs(c[r][v], even_codes(codes), even[v]);
            c[r][v] = add_pairs(c[r][v], odd_codes(codes), odd[v]);
          });
        });
      }
    }
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

/// Whether it pays to tell groups that fit from others: beyond a third of others, what the rest
/// gains is lost where runs end.
inline bool short_runs_pay(const GemmU8S8Tile& t) noexcept {
  if (t.short_groups > 0 || t.short_runs == nullptr) return false;
  const std::int64_t count = t.segments * t.groups;
  std::int64_t others = 0;
  for (std::int64_t g = 0; g < count && 3 * others <= count;) {
    const std::int64_t run = t.short_runs[g];
    const bool ends = run < 255;  // another run may follow one of the largest length
    others += ends && g + run < count ? 1 : 0;
    g += run + (ends ? 1 : 0);
  }
  return 3 * others <= count;
}

/// Few columns use one vector: half the work. A single group in 16 bits would not pay.
inline void gemm_u8s8(const GemmU8S8Tile& t) noexcept {
  const bool in_shorts = t.short_groups > 1;
  GemmU8S8Tile tile = t;
  if (!short_runs_pay(t)) tile.short_runs = nullptr;
  for (std::int64_t left = t.rows; left > 0; left -= u8s8_rows) {
    tile.rows = std::min<std::int64_t>(left, u8s8_rows);
    with_rows<u8s8_rows>(tile, [=](auto rows, const GemmU8S8Tile& part) {
      const bool narrow = part.cols <= u8s8_lanes;
      if (in_shorts) {
        return narrow ? gemm_u8s8_short_rows<rows, 1>(part)
                      : gemm_u8s8_short_rows<rows, u8s8_vectors>(part);
      }
      narrow ? gemm_u8s8_rows<rows, 1>(part) : gemm_u8s8_rows<rows, u8s8_vectors>(part);
    });
    tile.a += u8s8_rows * t.a_stride;
    tile.c += u8s8_rows * t.c_stride;
  }
}
