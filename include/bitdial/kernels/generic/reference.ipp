// SPDX-License-Identifier: Apache-2.0
// The meaning of every kernel on codes, in portable C++. The including namespace defines the tile
// shapes:
//   u8s8_rows, u8s8_cols, planes_rows, planes_cols, codes_rows, codes_cols, lookup_rows,
//   lookup_cols, lookup_order.

inline void gemm_u8s8(const GemmU8S8Tile& t) noexcept {
  for (std::int64_t r = 0; r < t.rows; ++r) {
    std::int32_t sums[u8s8_cols] = {};
    const std::int8_t* b = t.b;
    for (std::int64_t s = 0; s < t.segments; ++s) {
      const std::uint8_t* a = t.a + r * t.a_stride + t.offsets[s];
      for (std::int64_t g = 0; g < t.groups; ++g, a += 4, b += u8s8_cols * 4) {
        for (std::int64_t j = 0; j < u8s8_cols; ++j) {
          for (std::int64_t k = 0; k < 4; ++k) {
            sums[j] += std::int32_t{a[k]} * std::int32_t{b[j * 4 + k]};
          }
        }
      }
    }
    std::copy_n(sums, u8s8_cols, t.c + r * t.c_stride);
  }
}

inline void gemm_planes(const GemmPlanesTile& t) noexcept {
  for (std::int64_t r = 0; r < t.rows; ++r) {
    for (std::int64_t j = 0; j < planes_cols; ++j) {
      std::int64_t sum = 0;
      for (std::int64_t p = 0; p < t.a_planes; ++p) {
        for (std::int64_t q = 0; q < t.b_planes; ++q) {
          const std::uint32_t* b = t.b + q * t.segments * t.words * planes_cols + j;
          std::int64_t ones = t.starts == nullptr ? 0 : t.starts[q * planes_cols + j];
          for (std::int64_t s = 0; s < t.segments; ++s) {
            const std::uint8_t* a = t.a + r * t.a_stride + p * t.plane_stride + t.offsets[s];
            for (std::int64_t w = 0; w < t.words; ++w, a += 4, b += planes_cols) {
              std::uint32_t word = 0;
              std::memcpy(&word, a, sizeof word);
              ones += std::popcount(t.starts == nullptr ? word & *b : word ^ *b);
            }
          }
          sum += ones * (std::int64_t{1} << (t.a_planes - 1 - p + t.b_planes - 1 - q));
        }
      }
      t.c[r * t.c_stride + j] = static_cast<std::int32_t>(sum);
    }
  }
}

inline void gemm_codes(const GemmCodesTile& t) noexcept {
  const int places = 8 / t.bits;
  const int mask = (1 << t.bits) - 1;
  for (std::int64_t r = 0; r < t.rows; ++r) {
    std::int32_t sums[codes_cols] = {};
    for (std::int64_t s = 0; s < t.blocks; ++s) {
      for (int place = 0; place < places; ++place) {
        const std::uint8_t* const a = t.a + r * t.a_stride + (s * places + place) * 4;
        for (std::int64_t j = 0; j < codes_cols; ++j) {
          const std::uint8_t* const b = t.b + (s * codes_cols + j) * 4;
          for (int i = 0; i < 4; ++i) sums[j] += a[i] * (b[i] >> (place * t.bits) & mask);
        }
      }
    }
    std::copy_n(sums, codes_cols, t.c + r * t.c_stride);
  }
}

inline void gemm_lookup(const GemmLookupTile& t) noexcept {
  const std::int64_t segment_bytes = (t.blocks + 1) / 2 * lookup_cols * 4;
  for (std::int64_t r = 0; r < t.rows; ++r) {
    std::int32_t* const c = t.c + r * t.c_stride;
    std::fill_n(c, lookup_cols, 0);
    const std::uint8_t* b = t.b;
    for (std::int64_t p = 0; p < t.planes; ++p) {
      for (std::int64_t j = 0; j < lookup_cols; ++j) c[j] *= 2;
      for (std::int64_t s = 0; s < t.segments; ++s, b += segment_bytes) {
        const std::uint8_t* const tables = t.a + r * t.a_stride + s * t.segment_stride;
        for (std::int64_t group = 0; group < 4 * t.blocks; ++group) {
          const std::int64_t block = group / 4;
          const std::uint8_t* const bytes = b + block / 2 * lookup_cols * 4;
          for (std::int64_t j = 0; j < lookup_cols; ++j) {
            const int both = bytes[j / 16 * 64 + lookup_place(lookup_order, group % 4, j % 16)];
            c[j] += tables[group * 16 + (block % 2 == 0 ? both & 15 : both >> 4)];
          }
        }
      }
    }
  }
}
