// SPDX-License-Identifier: Apache-2.0
// The meaning of the kernels of Winograd's minimal filtering on codes, in portable C++. The
// including namespace defines s16_cols.

/// The matrices of WinogradTile.
using WinogradRow = signed char[6];
inline constexpr struct {
  WinogradRow b4[6], a4[4], b2[4], a2[2];
} winograd_matrices{
    {{4, 0, -5, 0, 1, 0},
     {0, -4, -4, 1, 1, 0},
     {0, 4, -4, -1, 1, 0},
     {0, -2, -1, 2, 1, 0},
     {0, 2, -1, -2, 1, 0},
     {0, 4, 0, -5, 0, 1}},
    {{1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 0}, {0, 1, 1, 4, 4, 0}, {0, 1, -1, 8, -8, 3}},
    {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}},
    {{1, 1, 1, 0}, {0, 1, -1, -1}}};

/// out = left in right', modulo 2^32, of a tile; `left` has `lines` rows, `right` `pixels`.
[[gnu::always_inline]] inline void winograd_points(const WinogradTile& tile,
                                                   const WinogradRow* left, std::int64_t lines,
                                                   const WinogradRow* right, std::int64_t pixels,
                                                   const std::uint32_t* in,
                                                   std::uint32_t* out) noexcept {
  for (std::int64_t i = 0; i < lines * pixels; ++i) {
    std::uint32_t sum = 0;
    for (std::int64_t k = 0; k < tile.products(); ++k) {
      sum += static_cast<std::uint32_t>(left[i / pixels][k / 6] * right[i % pixels][k % 6]) * in[k];
    }
    out[i] = sum;
  }
}

[[gnu::cold]] inline void winograd_codes(const WinogradCodes& w) noexcept {
  const WinogradTile& tile = *w.tile;
  constexpr std::int64_t across = WinogradTile::input_pixels;
  for (std::int64_t t = 0; t < w.tiles; ++t) {
    for (std::int64_t c = 0; c < w.channels; ++c) {
      std::uint32_t d[36], u[36];
      for (std::int64_t k = 0; k < tile.products(); ++k) {
        const std::int64_t line = std::min(k / across, w.lines - 1);
        const std::int64_t pixel = std::min(tile.pixels * t + k % across, w.pixels - 1);
        d[k] = w.x[line * w.x_line + pixel * w.x_pixel + c];
      }
      winograd_points(tile, tile.lines == 2 ? winograd_matrices.b2 : winograd_matrices.b4,
                      tile.input_lines(), winograd_matrices.b4, across, d, u);
      for (std::int64_t k = 0; k < tile.products(); ++k) {
        const auto number =
            static_cast<std::uint16_t>(u[k] + static_cast<std::uint32_t>(tile.offset(k)));
        std::uint8_t* const out = w.u + k * w.u_step + t * w.u_stride + c * tile.number_bytes;
        if (tile.number_bytes == 1) {
          *out = static_cast<std::uint8_t>(number);
        } else {
          std::memcpy(out, &number, sizeof number);
        }
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
  const WinogradTile& tile = *w.tile;
  constexpr std::int64_t across = WinogradTile::pixels;
  for (std::int64_t t = 0; t < w.tiles; ++t) {
    for (std::int64_t c = 0; c < w.cols; ++c) {
      std::uint32_t m[36], y[16];
      for (std::int64_t k = 0; k < tile.products(); ++k) {
        m[k] = static_cast<std::uint32_t>(w.m[k * w.m_step + t * w.m_stride + c]);
      }
      winograd_points(tile, tile.lines == 2 ? winograd_matrices.a2 : winograd_matrices.a4,
                      tile.lines, winograd_matrices.a4, across, m, y);
      for (std::int64_t k = 0; k < tile.outputs(); ++k) {
        std::int32_t& sum =
            w.sums[k / across * w.sums_line + (across * t + k % across) * w.sums_stride + c];
        const auto first =
            static_cast<std::uint32_t>(w.terms != nullptr ? w.terms[k * w.terms_stride + c] : sum);
        const auto product = static_cast<std::int32_t>(tile.inverse * y[k]);
        sum = static_cast<std::int32_t>(first + static_cast<std::uint32_t>(product >> tile.shift));
      }
    }
  }
}
