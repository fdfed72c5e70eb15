// SPDX-License-Identifier: Apache-2.0
// The meaning of every kernel, in portable C++. The including namespace defines the tile shapes:
//   f32_rows, f32_cols, u8s8_rows, u8s8_cols, planes_rows, planes_cols.

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

inline void gemm_u8s8(const GemmU8S8Tile& t) noexcept {
  for (std::int64_t r = 0; r < t.rows; ++r) {
    std::int32_t sums[u8s8_cols] = {};
    for (std::int64_t g = 0; g < t.groups; ++g) {
      const std::uint8_t* const a = t.a + r * t.a_stride + g * 4;
      const std::int8_t* const b = t.b + g * u8s8_cols * 4;
      for (std::int64_t j = 0; j < u8s8_cols; ++j) {
        for (std::int64_t k = 0; k < 4; ++k) {
          sums[j] += std::int32_t{a[k]} * std::int32_t{b[j * 4 + k]};
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
      for (std::int64_t s = 0; s < t.a_planes; ++s) {
        const std::uint64_t* const a = t.a + r * t.a_stride + s * t.words;
        for (std::int64_t p = 0; p < t.b_planes; ++p) {
          const std::uint64_t* const b = t.b + p * t.words * planes_cols + j;
          std::int64_t ones = 0;
          for (std::int64_t w = 0; w < t.words; ++w) {
            ones += std::popcount(a[w] & b[w * planes_cols]);
          }
          sum += ones << (t.a_planes - 1 - s + t.b_planes - 1 - p);
        }
      }
      t.c[r * t.c_stride + j] = static_cast<std::int32_t>(sum);
    }
  }
}
