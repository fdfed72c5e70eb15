// SPDX-License-Identifier: Apache-2.0
// The real-valued tile: `rows` x `vectors` accumulators, one broadcast of A per row and k.
// Vocabulary: F32, f32_lanes, f32_rows, f32_vectors, load_f32, store_f32, broadcast_f32, fmadd_f32.

inline constexpr std::int64_t f32_cols = f32_vectors * f32_lanes;

template <int rows, int vectors>
inline void gemm_f32_rows(const GemmTile<float>& t) noexcept {
  auto* const c_out = t.c;
  const std::int64_t c_stride = t.c_stride;
  F32 c[rows][vectors];
  if (t.accumulate) {
    unroll<rows>([&](auto r) __attribute__((always_inline)) {
      unroll<vectors>([&](auto v) __attribute__((always_inline)) {
        c[r][v] = load_f32(c_out + r * c_stride + v * f32_lanes);
      });
    });
  } else {
    unroll<rows>([&](auto r) __attribute__((always_inline)) {
      unroll<vectors>([&](auto v) __attribute__((always_inline)) { c[r][v] = F32{}; });
    });
  }
  const float* a = t.a;
  const float* b = t.b;
  const std::int64_t a_stride = t.a_stride;
  for (std::int64_t k = t.depth; k > 0; --k, ++a, b += f32_cols) {
    F32 bv[vectors];
    unroll<vectors>([&](auto v)
                        __attribute__((always_inline)) { bv[v] = load_f32(b + v * f32_lanes); });
    unroll<rows>([&](auto r) __attribute__((always_inline)) {
      const F32 av = broadcast_f32(a + r * a_stride);
      unroll<vectors>([&](auto v) __attribute__((always_inline)) {
        c[r][v] = fmadd_f32(av, bv[v], c[r][v]);
      });
    });
  }
  unroll<rows>([&](auto r) __attribute__((always_inline)) {
    unroll<vectors>([&](auto v) __attribute__((always_inline)) {
      store_f32(c_out + r * c_stride + v * f32_lanes, c[r][v]);
    });
  });
}

/// Whole runs of few columns use one vector: half the work.
inline void gemm_f32(const GemmTile<float>& t) noexcept {
  if (t.cols <= f32_lanes && t.rows == f32_rows) {
    gemm_f32_rows<f32_rows, 1>(t);
    return;
  }
  for_row_runs<f32_rows>(
      t, [](auto rows, const GemmTile<float>& part) { gemm_f32_rows<rows, f32_vectors>(part); });
}
