// SPDX-License-Identifier: Apache-2.0
// Products of few rows with weights that stay packed, on machines that multiply bytes and add the
// products in pairs of 16 bits: codes of up to 4 bits fit, and so do the sums of several blocks.
// Vocabulary: that of gemm_u8s8_pairs.ipp; codes_rows, codes_vectors, unpack_bytes<bits, place>.

inline constexpr std::int64_t codes_cols = codes_vectors * u8s8_lanes;

template <int rows, int bits>
inline void gemm_codes_rows(const GemmCodesTile& t) noexcept {
  constexpr int places = 8 / bits;
  constexpr std::int64_t short_blocks = 32767 / (2 * 255 * ((1 << bits) - 1) * places);
  auto* const c_out = t.c;
  const std::int64_t a_stride = t.a_stride, c_stride = t.c_stride;
  U8S8Sums c[rows][codes_vectors];
  unroll<rows * codes_vectors>([&](auto i) __attribute__((always_inline)) {
    c[i / codes_vectors][i % codes_vectors] = U8S8Sums{};
  });
  const std::uint8_t* a = t.a;
  const std::uint8_t* b = t.b;
  for (std::int64_t left = t.blocks; left > 0; left -= short_blocks) {
    Shorts sums[rows][codes_vectors];
    unroll<rows * codes_vectors>([&](auto i) __attribute__((always_inline)) {
      sums[i / codes_vectors][i % codes_vectors] = Shorts{};
    });
    for (std::int64_t s = std::min(left, short_blocks); s > 0;
         --s, a += 4 * places, b += codes_cols * 4) {
      Bytes packed[codes_vectors];
      unroll<codes_vectors>([&](auto v) __attribute__((always_inline)) {
        packed[v] = load_bytes(b + v * u8s8_lanes * 4);
      });
      unroll<places>([&](auto place) __attribute__((always_inline)) {
        Bytes levels[codes_vectors];
        unroll<codes_vectors>([&](auto v) __attribute__((always_inline)) {
          levels[v] = unpack_bytes<bits, place>(packed[v]);
        });
        unroll<rows>([&](auto r) __attribute__((always_inline)) {
          const Bytes codes = broadcast_group(a + r * a_stride + place * 4);
          unroll<codes_vectors>([&](auto v) __attribute__((always_inline)) {
            sums[r][v] = add_shorts(sums[r][v], multiply_pairs(codes, levels[v]));
          });
        });
      });
    }
    unroll<rows * codes_vectors>([&](auto i) __attribute__((always_inline)) {
      auto& sum = c[i / codes_vectors][i % codes_vectors];
      sum = add_sums(sum, widen_shorts(sums[i / codes_vectors][i % codes_vectors]));
    });
  }
  unroll<rows * codes_vectors>([&](auto i) __attribute__((always_inline)) {
    store_sums(c_out + i / codes_vectors * c_stride + i % codes_vectors * u8s8_lanes,
               c[i / codes_vectors][i % codes_vectors]);
  });
}

inline void gemm_codes(const GemmCodesTile& t) noexcept {
  for_row_runs<codes_rows>(t, [](auto rows, const GemmCodesTile& part) {
    if (part.bits == 4) return gemm_codes_rows<rows, 4>(part);
    if (part.bits == 2) return gemm_codes_rows<rows, 2>(part);
    gemm_codes_rows<rows, 1>(part);
  });
}
