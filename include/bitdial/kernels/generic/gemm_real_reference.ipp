// SPDX-License-Identifier: Apache-2.0
// The meaning of the matrix tiles on real numbers, in portable C++. The including namespace defines
// the tile shapes: f32_rows, f32_cols, bf16_rows, bf16_cols.

inline void gemm_f32(const GemmTile<float>& t) noexcept {
  for (std::int64_t r = 0; r < t.rows; ++r) {
    float* const c = t.c + r * t.c_stride;
    for (std::int64_t j = 0; j < t.cols; ++j) {
      float sum = t.accumulate ? c[j] : 0.0F;
      for (std::int64_t s = 0; s < t.runs; ++s) {
        const float* const a = t.a + r * t.a_stride + s * t.a_run;
        const float* const b = t.b + s * t.b_run + j;
        for (std::int64_t k = 0; k < t.depth; ++k) {
          sum = std::fma(a[k * t.a_step], b[k * t.b_step], sum);
        }
      }
      c[j] = sum;
    }
  }
}

inline void gemm_bf16(const GemmBf16Tile& t) noexcept {
  for (std::int64_t r = 0; r < t.rows; ++r) {
    float* const c = t.c + r * t.c_stride;
    for (std::int64_t j = 0; j < t.cols; ++j) {
      float sum = t.accumulate ? c[j] : 0.0F;
      for (std::int64_t s = 0; s < t.runs; ++s) {
        for (std::int64_t p = 0; p < t.pairs; ++p) {
          const std::uint16_t* const a = t.a + r * t.a_stride + s * t.a_run + p * t.a_step;
          const std::uint16_t* const b = t.b + s * t.b_run + p * t.b_step + 2 * j;
          sum = fma_bf16(a[1], b[1], sum);
          sum = fma_bf16(a[0], b[0], sum);
        }
      }
      c[j] = sum;
    }
  }
}
