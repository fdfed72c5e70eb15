// SPDX-License-Identifier: Apache-2.0
// Winograd's minimal filtering on codes. Additions and shifts are those of the compiler's vectors,
// of integers without sign, which wrap.
// Vocabulary: ByteNumbers, ShortNumbers, IntLanes and SignedLanes (such vectors of 8, 16 and 32
// bits, the last signed), s16_lanes (of 32 bits), load_codes (to bytes or to 16 bits); s16_rows,
// s16_vectors, broadcast_pair, multiply_add_pairs. ByteNumbers is void where products of bytes do
// not pay: the portable kernels take tiles of them.

inline constexpr std::int64_t s16_cols = s16_vectors * s16_lanes;

template <class Numbers>
[[gnu::always_inline]] inline void store_numbers(std::uint8_t* p, Numbers v) noexcept {
  std::memcpy(p, &v, sizeof v);
}
[[gnu::always_inline]] inline IntLanes load_lanes(const void* p) noexcept {
  IntLanes v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
[[gnu::always_inline]] inline void store_lanes(std::int32_t* p, IntLanes v) noexcept {
  std::memcpy(p, &v, sizeof v);
}

/// 2^n x; there is no shift of bytes.
template <int n, class Lanes>
[[gnu::always_inline]] inline Lanes times_power(Lanes x) noexcept {
  if constexpr (sizeof(x[0]) > 1) return x << n;
  for (int i = 0; i < n; ++i) x += x;
  return x;
}

/// B4 d of the comment on WinogradTile.
template <class Lanes>
[[gnu::always_inline]] inline void winograd_input_points(const Lanes (&d)[6],
                                                         Lanes (&v)[6]) noexcept {
  const Lanes even = d[4] - times_power<2>(d[2]), odd = d[3] - times_power<2>(d[1]);
  const Lanes even_difference = d[4] - d[2], odd_difference = d[3] - d[1];
  const Lanes twice = times_power<1>(odd_difference);
  v[0] = even_difference + times_power<2>(d[0] - d[2]);
  v[1] = even + odd;
  v[2] = even - odd;
  v[3] = even_difference + twice;
  v[4] = even_difference - twice;
  v[5] = d[5] - d[3] - times_power<1>(twice);
}

/// B2 d.
template <class Lanes>
[[gnu::always_inline]] inline void winograd_input_points(const Lanes (&d)[4],
                                                         Lanes (&v)[4]) noexcept {
  v[0] = d[0] - d[2];
  v[1] = d[1] + d[2];
  v[2] = d[2] - d[1];
  v[3] = d[1] - d[3];
}

/// A4 m.
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

/// A2 m.
template <class Lanes>
[[gnu::always_inline]] inline void winograd_output_points(const Lanes (&m)[4],
                                                          Lanes (&y)[2]) noexcept {
  y[0] = m[0] + m[1] + m[2];
  y[1] = m[1] - m[2] - m[3];
}

/// The points are computed along lines, then along columns, one at a time: unrolled, their
/// addresses would be more code than they are.
template <const WinogradTile& tile, class Numbers>
[[gnu::always_inline]] inline void transform_codes(const WinogradCodes& w) noexcept {
  constexpr int n = tile.input_lines(), across = WinogradTile::input_pixels;
  constexpr std::int64_t at_once = sizeof(Numbers) / tile.number_bytes;
  using Number = std::conditional_t<tile.number_bytes == 1, std::uint8_t, std::uint16_t>;
  const std::uint8_t* lines[n];
  for (std::int64_t i = 0; i < n; ++i) lines[i] = w.x + std::min(i, w.lines - 1) * w.x_line;
  for (std::int64_t t = 0; t < w.tiles; ++t) {
    for (std::int64_t c = 0; c < w.channels; c += at_once) {
      Numbers columns[n][across], d[n], points[n], line[across];
      for (std::int64_t j = 0; j < across; ++j) {
        const std::int64_t at = std::min(tile.pixels * t + j, w.pixels - 1) * w.x_pixel + c;
        unroll<n>([&](auto i) __attribute__((always_inline)) { load_codes(lines[i] + at, d[i]); });
        winograd_input_points(d, points);
        unroll<n>([&](auto i) __attribute__((always_inline)) { columns[i][j] = points[i]; });
      }
      std::uint8_t* out = w.u + t * w.u_stride + c * tile.number_bytes;
      for (int i = 0; i < n; ++i, out += across * w.u_step) {
        winograd_input_points(columns[i], line);
        if constexpr (tile.offset(0) != 0) {
          for (Numbers& numbers : line) numbers += static_cast<Number>(tile.offset(0));
        } else if (i == 1) {
          line[1] += static_cast<Number>(tile.offset(across + 1));
        }
        unroll<across>([&](auto j) __attribute__((always_inline)) {
          store_numbers(out + j * w.u_step, line[j]);
        });
      }
    }
  }
}

template <class Bytes>
[[gnu::always_inline]] inline void transform_byte_codes(const WinogradCodes& w) noexcept {
  if constexpr (std::is_void_v<Bytes>) {
    scalar::winograd_codes(w);
  } else {
    transform_codes<winograd_bytes, Bytes>(w);
  }
}

inline void winograd_codes(const WinogradCodes& w) noexcept {
  w.tile->number_bytes == 1 ? transform_byte_codes<ByteNumbers>(w)
                            : transform_codes<winograd_shorts, ShortNumbers>(w);
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
        const auto av = broadcast_pair(a + r * a_stride);
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

/// Four rows have code of their own, which `TileSplit` makes of most rests; other rows that are
/// missing are computed and not read.
inline void gemm_s16(const GemmS16Tile& t) noexcept {
  t.rows > 4 ? gemm_s16_rows<s16_rows>(t) : gemm_s16_rows<4>(t);
}

template <const WinogradTile& tile>
[[gnu::always_inline]] inline void transform_sums(const WinogradSums& w) noexcept {
  constexpr int n = tile.input_lines(), across = WinogradTile::input_pixels;
  constexpr int outputs = WinogradTile::pixels;
  // What a sum is added to: its own term, or what stands in its place.
  const bool on_terms = w.terms != nullptr;
  const std::int64_t from_line = on_terms ? outputs * w.terms_stride : w.sums_line;
  const std::int64_t from_pixel = on_terms ? w.terms_stride : w.sums_stride;
  for (std::int64_t t = 0; t < w.tiles; ++t) {
    for (std::int64_t c = 0; c < w.cols; c += s16_lanes) {
      const std::int32_t* m = w.m + t * w.m_stride + c;
      IntLanes lines[tile.lines][across], column[n], points[tile.lines], y[outputs];
      const auto add_column = [&](auto j) __attribute__((always_inline)) {
        unroll<n>([&](auto i) __attribute__((always_inline)) {
          column[i] = load_lanes(m + i * across * w.m_step);
        });
        m += w.m_step;
        winograd_output_points(column, points);
        unroll<tile.lines>([&](auto i) __attribute__((always_inline)) { lines[i][j] = points[i]; });
      };
      // The numbers of the small tile stay in registers.
      if constexpr (tile.lines == 2) {
        unroll<across>(add_column);
      } else {
        for (int j = 0; j < across; ++j) add_column(j);
      }
      std::int32_t* sums = w.sums + outputs * t * w.sums_stride + c;
      const std::int32_t* from = on_terms ? w.terms + c : sums;
      unroll<tile.lines>([&](auto i) __attribute__((always_inline)) {
        winograd_output_points(lines[i], y);
        unroll<outputs>([&](auto j) __attribute__((always_inline)) {
          const auto product = reinterpret_cast<SignedLanes>(y[j] * tile.inverse);
          const auto shifted = reinterpret_cast<IntLanes>(product >> tile.shift);
          store_lanes(sums + j * w.sums_stride, load_lanes(from + j * from_pixel) + shifted);
        });
        sums += w.sums_line;
        from += from_line;
      });
    }
  }
}

template <class Bytes>
[[gnu::always_inline]] inline void transform_byte_sums(const WinogradSums& w) noexcept {
  if constexpr (std::is_void_v<Bytes>) {
    scalar::winograd_sums(w);
  } else {
    transform_sums<winograd_bytes>(w);
  }
}

inline void winograd_sums(const WinogradSums& w) noexcept {
  w.tile->number_bytes == 1 ? transform_byte_sums<ByteNumbers>(w)
                            : transform_sums<winograd_shorts>(w);
}
