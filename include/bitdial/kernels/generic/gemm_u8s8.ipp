// SPDX-License-Identifier: Apache-2.0
// The integer tile: each step multiplies four codes of a row with four levels of every column.
// Vocabulary: U8S8Sums, U8S8Codes, U8S8Levels, u8s8_lanes (columns of one U8S8Sums), u8s8_rows,
// u8s8_vectors, u8s8_narrows (whether few columns have code of their own), broadcast_codes,
// load_levels, multiply_add, store_sums.

inline constexpr std::int64_t u8s8_cols = u8s8_vectors * u8s8_lanes;

/// Whole tiles follow each other; what belongs to all of them is read once.
template <int rows, int vectors>
[[gnu::noinline]] inline void gemm_u8s8_rows(const GemmU8S8Tile& t) noexcept {
  const std::int64_t a_stride = t.a_stride, c_stride = t.c_stride;
  const std::int64_t segments = t.segments, groups = t.groups;
  const std::int64_t* const offsets = t.offsets;
  const std::uint8_t* first = t.a;
  auto* c_out = t.c;
  ReadAhead next{t.next, t.b};
  for (std::int64_t left = rows == u8s8_rows ? t.rows : rows; left > 0; left -= rows) {
    U8S8Sums c[rows][vectors];
    unroll<rows>([&](auto r) __attribute__((always_inline)) {
      unroll<vectors>([&](auto v) __attribute__((always_inline)) { c[r][v] = U8S8Sums{}; });
    });
    const std::int8_t* b = t.b;
    for (std::int64_t s = 0; s < segments; ++s) {
      const std::uint8_t* a = first + offsets[s];
      for (std::int64_t g = groups; g > 0; --g, a += 4, b += u8s8_cols * 4) {
        if constexpr (vectors == u8s8_vectors) next.ask();
        U8S8Levels bv[vectors];
        unroll<vectors>([&](auto v) __attribute__((always_inline)) {
          bv[v] = load_levels(b + v * u8s8_lanes * 4);
        });
        unroll<rows>([&](auto r) __attribute__((always_inline)) {
          const U8S8Codes av = broadcast_codes(a + r * a_stride);
          unroll<vectors>([&](auto v) __attribute__((always_inline)) {
            c[r][v] = multiply_add(c[r][v], av, bv[v]);
          });
        });
      }
    }
    unroll<rows>([&](auto r) __attribute__((always_inline)) {
      unroll<vectors>([&](auto v) __attribute__((always_inline)) {
        store_sums(c_out + r * c_stride + v * u8s8_lanes, c[r][v]);
      });
    });
    first += rows * a_stride;
    c_out += rows * c_stride;
  }
}

/// Tiles of one vector whose segments are three neighbouring pixels of a_stride codes: pixel
/// p is the first one of row p, the second one of row p - 1 and the third one of row p - 2. Its
/// codes are read once for three products, which otherwise wait for them.
template <int rows>
[[gnu::always_inline]] inline void gemm_u8s8_pixel_rows(const GemmU8S8Tile& t) noexcept {
  const std::int64_t a_stride = t.a_stride, c_stride = t.c_stride;
  const std::int64_t segments = t.segments, groups = t.groups / 3, tap = groups * u8s8_cols * 4;
  const std::int64_t* const offsets = t.offsets;
  const std::uint8_t* first = t.a;
  auto* c_out = t.c;
  for (std::int64_t left = rows == u8s8_rows ? t.rows : rows; left > 0; left -= rows) {
    U8S8Sums c[rows];
    unroll<rows>([&](auto r) __attribute__((always_inline)) { c[r] = U8S8Sums{}; });
    const std::int8_t* b = t.b;
    for (std::int64_t s = 0; s < segments; ++s, b += 2 * tap) {
      const std::uint8_t* a = first + offsets[s];
      for (std::int64_t g = groups; g > 0; --g, a += 4, b += u8s8_cols * 4) {
        U8S8Levels bv[3];
        unroll<3>([&](auto v) __attribute__((always_inline)) { bv[v] = load_levels(b + v * tap); });
        const std::uint8_t* pixel = a;
        unroll<rows + 2>([&](auto p) __attribute__((always_inline)) {
          const U8S8Codes av = broadcast_codes(pixel);
          pixel += a_stride;
          unroll<3>([&](auto v) __attribute__((always_inline)) {
            if constexpr (p >= v && p - v < rows) c[p - v] = multiply_add(c[p - v], av, bv[v]);
          });
        });
      }
    }
    unroll<rows>([&](auto r)
                     __attribute__((always_inline)) { store_sums(c_out + r * c_stride, c[r]); });
    first += rows * a_stride;
    c_out += rows * c_stride;
  }
}

/// Whether it was such a tile, of rows that have code: lines of 32 pixels are two of 12 and one
/// of 8.
[[gnu::noinline]] inline bool gemm_u8s8_pixels(const GemmU8S8Tile& t) noexcept {
  if (4 * t.groups != 3 * t.a_stride) return false;
  if (t.rows % u8s8_rows == 0) {
    gemm_u8s8_pixel_rows<u8s8_rows>(t);
    return true;
  }
  if (u8s8_rows == 8 || t.rows != 8) return false;
  gemm_u8s8_pixel_rows<8>(t);
  return true;
}

/// Few columns use one vector, half the work, where a kernel is worth the code.
inline void gemm_u8s8(const GemmU8S8Tile& t) noexcept {
  if constexpr (u8s8_narrows) {
    if (t.cols <= u8s8_lanes && gemm_u8s8_pixels(t)) return;
  }
  with_rows<u8s8_rows>(
      t, [](auto rows, const GemmU8S8Tile& part) __attribute__((always_inline)) {
        if constexpr (u8s8_narrows) {
          if (part.cols <= u8s8_lanes) return gemm_u8s8_rows<rows, 1>(part);
        }
        gemm_u8s8_rows<rows, u8s8_vectors>(part);
      });
}
