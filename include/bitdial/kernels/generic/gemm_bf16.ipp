// SPDX-License-Identifier: Apache-2.0
// The bfloat16 tile: `rows` x `vectors` accumulators of floats, one pair of A for every row and
// step.
// Vocabulary: F32, f32_lanes, load_f32, store_f32, load_f32_part, store_f32_part; bf16_rows,
// bf16_narrow_rows (of tiles of one vector), bf16_vectors, Bf16Scope (what the products need around
// them), Bf16Pairs, broadcast_bf16_pair, load_bf16_pairs, dot_bf16(c, a, b) (the second products
// first), store_bf16 (f32_lanes rounded numbers), store_bf16_pairs.

inline constexpr std::int64_t bf16_cols = bf16_vectors * f32_lanes;

template <int rows, int vectors>
inline void gemm_bf16_rows(const GemmBf16Tile& t) noexcept {
  [[maybe_unused]] const Bf16Scope scope;
  const auto for_each_sum = [&](auto&& f) __attribute__((always_inline)) {
    unroll<rows * vectors>([&](auto i) __attribute__((always_inline)) {
      f(std::integral_constant<int, i / vectors>{}, std::integral_constant<int, i % vectors>{},
        t.c + i / vectors * t.c_stride + i % vectors * f32_lanes, t.cols - i % vectors * f32_lanes);
    });
  };
  const bool whole = t.cols >= vectors * f32_lanes;
  F32 c[rows][vectors];
  for_each_sum([&](auto r, auto v, const float*, std::int64_t)
                   __attribute__((always_inline)) { c[r][v] = F32{}; });
  if (t.accumulate && whole) {
    for_each_sum([&](auto r, auto v, const float* p, std::int64_t)
                     __attribute__((always_inline)) { c[r][v] = load_f32(p); });
  } else if (t.accumulate) {
    for_each_sum([&](auto r, auto v, const float* p, std::int64_t count)
                     __attribute__((always_inline)) { c[r][v] = load_f32_part(p, count); });
  }
  // Three rows share a pointer: base, base + stride and base + 2 stride are forms of one address.
  constexpr int bases = (rows + 2) / 3;
  const std::int64_t a_stride = t.a_stride;
  const std::int64_t a_step = t.a_step;
  const std::int64_t b_step = t.b_step;
  for (std::int64_t run = 0; run < t.runs; ++run) {
    const std::uint16_t* a[bases];
    unroll<bases>([&](auto i) __attribute__((always_inline)) {
      a[i] = t.a + run * t.a_run + 3 * i * a_stride;
    });
    const std::uint16_t* b = t.b + run * t.b_run;
    for (std::int64_t p = t.pairs; p > 0; --p) {
      Bf16Pairs bv[vectors];
      unroll<vectors>([&](auto v) __attribute__((always_inline)) {
        bv[v] = load_bf16_pairs(b + v * 2 * f32_lanes);
      });
      unroll<rows>([&](auto r) __attribute__((always_inline)) {
        const Bf16Pairs av = broadcast_bf16_pair(a[r / 3] + r % 3 * a_stride);
        unroll<vectors>([&](auto v) __attribute__((always_inline)) {
          c[r][v] = dot_bf16(c[r][v], av, bv[v]);
        });
      });
      unroll<bases>([&](auto i) __attribute__((always_inline)) { a[i] += a_step; });
      b += b_step;
    }
  }
  if (whole) {
    for_each_sum([&](auto r, auto v, float* p, std::int64_t)
                     __attribute__((always_inline)) { store_f32(p, c[r][v]); });
  } else {
    for_each_sum([&](auto r, auto v, float* p, std::int64_t count)
                     __attribute__((always_inline)) { store_f32_part(p, c[r][v], count); });
  }
}

/// Few columns use one vector: half the work, and room for more rows.
inline void gemm_bf16(const GemmBf16Tile& t) noexcept {
  if (t.cols <= f32_lanes) {
    return with_rows<bf16_narrow_rows>(
        t, [](auto rows, const GemmBf16Tile& part) { gemm_bf16_rows<rows, 1>(part); });
  }
  with_rows<bf16_rows>(
      t, [](auto rows, const GemmBf16Tile& part) { gemm_bf16_rows<rows, bf16_vectors>(part); });
}

inline void round_bf16(const RoundBf16& q) noexcept {
  std::int64_t i = 0;
  if (q.second == nullptr) {
    for (; i + f32_lanes <= q.count; i += f32_lanes) store_bf16(q.y + i, load_f32(q.x + i));
    scalar::round_bf16({.x = q.x + i, .count = q.count - i, .y = q.y + i});
    return;
  }
  for (; i + f32_lanes <= q.count; i += f32_lanes) {
    store_bf16_pairs(q.y + 2 * i, load_f32(q.x + i), load_f32(q.second + i));
  }
  scalar::round_bf16(
      {.x = q.x + i, .second = q.second + i, .count = q.count - i, .y = q.y + 2 * i});
}
