// SPDX-License-Identifier: Apache-2.0
// The meaning of the kernels of Winograd's minimal filtering on codes, in portable C++. The
// including namespace defines s16_cols.

/// out = matrix in matrix', modulo 2^32, for `in` of 6 x 6 numbers, `outputs` rows of a matrix of
/// six columns.
[[gnu::cold, gnu::noinline]] inline void winograd_points(const signed char (*matrix)[6],
                                                         int outputs, const std::uint32_t* in,
                                                         std::uint32_t* out) noexcept {
  for (int i = 0; i < outputs; ++i) {
    for (int j = 0; j < outputs; ++j) {
      std::uint32_t sum = 0;
      for (int k = 0; k < 36; ++k) {
        sum += static_cast<std::uint32_t>(matrix[i][k / 6] * matrix[j][k % 6]) * in[k];
      }
      out[i * outputs + j] = sum;
    }
  }
}

[[gnu::cold]] inline void winograd_codes(const WinogradCodes& w) noexcept {
  constexpr signed char b[][6] = {{4, 0, -5, 0, 1, 0},  {0, -4, -4, 1, 1, 0}, {0, 4, -4, -1, 1, 0},
                                  {0, -2, -1, 2, 1, 0}, {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1}};
  for (std::int64_t t = 0; t < w.tiles; ++t) {
    for (std::int64_t c = 0; c < w.channels; ++c) {
      std::uint32_t d[36], u[36];
      for (std::int64_t k = 0; k < 36; ++k) {
        const std::int64_t line = std::min(k / 6, w.lines - 1);
        const std::int64_t pixel = std::min(4 * t + k % 6, w.pixels - 1);
        d[k] = std::uint32_t{w.x[line * w.x_line + pixel * w.x_pixel + c]} -
               static_cast<std::uint32_t>(WinogradCodeTile::centre);
      }
      winograd_points(b, 6, d, u);
      for (int k = 0; k < 36; ++k) {
        w.u[k * w.u_step + t * w.u_stride + c] = static_cast<std::int16_t>(u[k]);
      }
    }
  }
}

[[gnu::cold]] inline void gemm_s16(const GemmS16Tile& t) noexcept {
  for (std::int64_t p = 0; p < t.products; ++p) {
    const std::int16_t* const b = t.b + p * t.pairs * s16_cols * 2;
    for (std::int64_t r = 0; r < t.rows; ++r) {
      const std::int16_t* const a = t.a + p * t.a_step + r * t.a_stride;
      for (std::int64_t j = 0; j < s16_cols; ++j) {
        std::uint32_t sum = 0;
        for (std::int64_t k = 0; k < 2 * t.pairs; ++k) {
          sum += static_cast<std::uint32_t>(a[k] * b[(k / 2 * s16_cols + j) * 2 + k % 2]);
        }
        t.c[p * t.c_step + r * t.c_stride + j] = static_cast<std::int32_t>(sum);
      }
    }
  }
}

[[gnu::cold]] inline void winograd_sums(const WinogradSums& w) noexcept {
  constexpr signed char a[][6] = {
      {1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 0}, {0, 1, 1, 4, 4, 0}, {0, 1, -1, 8, -8, 3}};
  for (std::int64_t t = 0; t < w.tiles; ++t) {
    for (std::int64_t c = 0; c < w.cols; ++c) {
      std::uint32_t m[36], y[16];
      for (std::int64_t k = 0; k < 36; ++k) {
        m[k] = static_cast<std::uint32_t>(w.m[k * w.m_step + t * w.m_stride + c]);
      }
      winograd_points(a, 4, m, y);
      for (std::int64_t k = 0; k < 16; ++k) {
        std::int32_t& sum = w.sums[k / 4 * w.sums_line + (4 * t + k % 4) * w.sums_stride + c];
        const auto first = static_cast<std::uint32_t>(w.terms != nullptr ? w.terms[c] : sum);
        const auto product = static_cast<std::int32_t>(WinogradCodeTile::inverse * y[k]);
        sum = static_cast<std::int32_t>(
            first + static_cast<std::uint32_t>(product >> WinogradCodeTile::shift));
      }
    }
  }
}
