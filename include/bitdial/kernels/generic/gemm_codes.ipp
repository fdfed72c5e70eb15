// SPDX-License-Identifier: Apache-2.0
// Products of few rows with weights that stay packed: a vector of bytes is loaded once and unpacked
// place by place. One row alone has too few sums to hide the latency of the multiply-add: its
// places take turns between two sums.
// Vocabulary: that of gemm_u8s8.ipp; Bytes, load_bytes, add_sums; codes_rows,
// codes_vectors, unpack_levels<bits, place>(bytes).

inline constexpr std::int64_t codes_cols = codes_vectors * u8s8_lanes;

template <int rows, int bits>
inline void gemm_codes_rows(const GemmCodesTile& t) noexcept {
  auto* const c_out = t.c;
  const std::int64_t c_stride = t.c_stride;
  constexpr int places = 8 / bits, turns = rows == 1 ? 2 : 1;
  U8S8Sums c[turns][rows][codes_vectors];
  unroll<turns * rows * codes_vectors>([&](auto i) __attribute__((always_inline)) {
    c[i / (rows * codes_vectors)][i / codes_vectors % rows][i % codes_vectors] = U8S8Sums{};
  });
  const std::uint8_t* a = t.a;
  const std::uint8_t* b = t.b;
  const std::int64_t a_stride = t.a_stride;
  for (std::int64_t s = t.blocks; s > 0; --s, a += 4 * places, b += codes_cols * 4) {
    if constexpr (rows == 1) prefetch_stream<codes_cols * 4>(b);
    Bytes packed[codes_vectors];
    unroll<codes_vectors>([&](auto v) __attribute__((always_inline)) {
      packed[v] = load_bytes(b + v * u8s8_lanes * 4);
    });
    unroll<places>([&](auto place) __attribute__((always_inline)) {
      U8S8Codes av[rows];
      unroll<rows>([&](auto r) __attribute__((always_inline)) {
        av[r] = broadcast_codes(a + r * a_stride + place * 4);
      });
      unroll<codes_vectors>([&](auto v) __attribute__((always_inline)) {
        const U8S8Levels bv = unpack_levels<bits, place>(packed[v]);
        unroll<rows>([&](auto r) __attribute__((always_inline)) {
          U8S8Sums& sums = c[place % turns][r][v];
          sums = multiply_add(sums, av[r], bv);
        });
      });
    });
  }
  unroll<rows * codes_vectors>([&](auto i) __attribute__((always_inline)) {
    constexpr int r = i / codes_vectors, v = i % codes_vectors;
    U8S8Sums sums = c[0][r][v];
    if constexpr (turns == 2) sums = add_sums(sums, c[1][r][v]);
    store_sums(c_out + r * c_stride + v * u8s8_lanes, sums);
  });
}

inline void gemm_codes(const GemmCodesTile& t) noexcept {
  for_row_runs<codes_rows>(t, [](auto rows, const GemmCodesTile& part) {
    if (part.bits == 4) return gemm_codes_rows<rows, 4>(part);
    if (part.bits == 2) return gemm_codes_rows<rows, 2>(part);
    gemm_codes_rows<rows, 1>(part);
  });
}
