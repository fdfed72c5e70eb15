// SPDX-License-Identifier: Apache-2.0
// Winograd's minimal filtering on codes. Additions and shifts are those of the compiler's vectors,
// of integers without sign, which wrap.
// Vocabulary: Shorts, IntLanes and SignedLanes (such vectors of 16 and 32 bits, the last signed),
// short_lanes, s16_lanes (of 32 bits), widen_codes, store_shorts, load_lanes, store_lanes (of 32
// bits); s16_rows, s16_vectors, multiply_add_pairs.

inline constexpr std::int64_t s16_cols = s16_vectors * s16_lanes;

/// B d of the comment on WinogradCodeTile.
template <class Lanes>
[[gnu::always_inline]] inline void winograd_input_points(const Lanes (&d)[6],
                                                         Lanes (&v)[6]) noexcept {
  const Lanes even = d[4] - (d[2] << 2), odd = d[3] - (d[1] << 2);
  const Lanes even_difference = d[4] - d[2], odd_difference = d[3] - d[1];
  v[0] = even_difference + ((d[0] - d[2]) << 2);
  v[1] = even + odd;
  v[2] = even - odd;
  v[3] = even_difference + (odd_difference << 1);
  v[4] = even_difference - (odd_difference << 1);
  v[5] = d[5] - d[3] - (odd_difference << 2);
}

/// A m.
template <class Lanes>
[[gnu::always_inline]] inline void winograd_output_points(const Lanes (&m)[6],
                                                          Lanes (&y)[4]) noexcept {
  const Lanes sum1 = m[1] + m[2], difference1 = m[1] - m[2];
  const Lanes sum2 = m[3] + m[4], difference2 = m[3] - m[4];
  y[0] = m[0] + sum1 + sum2;
  y[1] = difference1 + (difference2 << 1);
  y[2] = sum1 + (sum2 << 2);
  y[3] = difference1 + (difference2 << 3) + m[5] + (m[5] << 1);
}

/// The points are computed along lines, then along columns, one at a time: unrolled, their
/// addresses would be more code than they are.
inline void winograd_codes(const WinogradCodes& w) noexcept {
  constexpr int n = WinogradCodeTile::inputs;
  const std::uint8_t* lines[n];
  for (std::int64_t i = 0; i < n; ++i) lines[i] = w.x + std::min(i, w.lines - 1) * w.x_line;
  // All rows of B but the second add up to zero, so that the centre counts there alone.
  constexpr std::uint16_t centre = 36 * WinogradCodeTile::centre;
  for (std::int64_t t = 0; t < w.tiles; ++t) {
    for (std::int64_t c = 0; c < w.channels; c += short_lanes) {
      Shorts columns[n][n], d[n], v[n];
      for (std::int64_t j = 0; j < n; ++j) {
        const std::int64_t at = std::min(4 * t + j, w.pixels - 1) * w.x_pixel + c;
        unroll<n>([&](auto i)
                      __attribute__((always_inline)) { d[i] = widen_codes(lines[i] + at); });
        winograd_input_points(d, v);
        unroll<n>([&](auto i) __attribute__((always_inline)) { columns[i][j] = v[i]; });
      }
      std::int16_t* out = w.u + t * w.u_stride + c;
      for (int i = 0; i < n; ++i, out += n * w.u_step) {
        winograd_input_points(columns[i], v);
        if (i == 1) v[1] -= centre;
        unroll<n>([&](auto j)
                      __attribute__((always_inline)) { store_shorts(out + j * w.u_step, v[j]); });
      }
    }
  }
}

/// Loops run at least once: that is a third of the code less.
template <int rows>
inline void gemm_s16_rows(const GemmS16Tile& t) noexcept {
  const std::int64_t a_stride = t.a_stride, c_stride = t.c_stride;
  const std::int64_t a_step = t.a_step, c_step = t.c_step, pairs = t.pairs;
  const std::int16_t *first = t.a, *b = t.b;
  auto* c_out = t.c;
  std::int64_t products = t.products;
  do {
    IntLanes c[rows][s16_vectors];
    unroll<rows>([&](auto r) __attribute__((always_inline)) {
      unroll<s16_vectors>([&](auto v) __attribute__((always_inline)) { c[r][v] = IntLanes{}; });
    });
    const std::int16_t* a = first;
    std::int64_t left = pairs;
    do {
      prefetch_stream<s16_cols * 4>(reinterpret_cast<const std::uint8_t*>(b));
      IntLanes bv[s16_vectors];
      unroll<s16_vectors>([&](auto v) __attribute__((always_inline)) {
        bv[v] = load_lanes(b + v * s16_lanes * 2);
      });
      unroll<rows>([&](auto r) __attribute__((always_inline)) {
        const IntLanes av = broadcast_pair(a + r * a_stride);
        unroll<s16_vectors>([&](auto v) __attribute__((always_inline)) {
          c[r][v] = multiply_add_pairs(c[r][v], av, bv[v]);
        });
      });
      a += 2;
      b += s16_cols * 2;
    } while (--left > 0);
    unroll<rows>([&](auto r) __attribute__((always_inline)) {
      unroll<s16_vectors>([&](auto v) __attribute__((always_inline)) {
        store_lanes(c_out + r * c_stride + v * s16_lanes, c[r][v]);
      });
    });
    first += a_step;
    c_out += c_step;
  } while (--products > 0);
}

/// Half a tile has code of its own; other rows that are missing are computed and not read.
inline void gemm_s16(const GemmS16Tile& t) noexcept {
  t.rows > s16_rows / 2 ? gemm_s16_rows<s16_rows>(t) : gemm_s16_rows<s16_rows / 2>(t);
}

inline void winograd_sums(const WinogradSums& w) noexcept {
  constexpr int n = WinogradCodeTile::inputs, outputs = WinogradCodeTile::outputs;
  // What a sum is added to: its column's term, or what stands in its place.
  const std::int64_t from_line = w.terms != nullptr ? 0 : w.sums_line;
  const std::int64_t from_pixel = w.terms != nullptr ? 0 : w.sums_stride;
  for (std::int64_t t = 0; t < w.tiles; ++t) {
    for (std::int64_t c = 0; c < w.cols; c += s16_lanes) {
      const std::int32_t* m = w.m + t * w.m_stride + c;
      IntLanes columns[outputs][n], line[n], y[outputs];
      unroll<n>([&](auto i) __attribute__((always_inline)) {
        unroll<n>([&](auto j)
                      __attribute__((always_inline)) { line[j] = load_lanes(m + j * w.m_step); });
        m += n * w.m_step;
        winograd_output_points(line, y);
        unroll<outputs>([&](auto j) __attribute__((always_inline)) { columns[j][i] = y[j]; });
      });
      std::int32_t* sums = w.sums + outputs * t * w.sums_stride + c;
      const std::int32_t* from = w.terms != nullptr ? w.terms + c : sums;
      unroll<outputs>([&](auto j) __attribute__((always_inline)) {
        winograd_output_points(columns[j], y);
        unroll<outputs>([&](auto i) __attribute__((always_inline)) {
          const auto product = reinterpret_cast<SignedLanes>(y[i] * WinogradCodeTile::inverse);
          const auto shifted = reinterpret_cast<IntLanes>(product >> WinogradCodeTile::shift);
          store_lanes(sums + i * w.sums_line, load_lanes(from + i * from_line) + shifted);
        });
        sums += w.sums_stride;
        from += from_pixel;
      });
    }
  }
}
