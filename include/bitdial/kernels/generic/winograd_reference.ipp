// SPDX-License-Identifier: Apache-2.0
// The meaning of the kernels of Winograd's minimal filtering, in portable C++.

inline void winograd_inputs(const WinogradInputs& w) noexcept {
  using P = WinogradPoints;
  constexpr float aa = P::a * P::a, bb = P::b * P::b;
  for (std::int64_t g = 0; g < w.groups; ++g) {
    for (std::int64_t c = 0; c < w.channels; ++c) {
      float d[P::count];
      for (std::int64_t i = 0; i < P::count; ++i) {
        const std::int64_t pixel = P::group * g + w.first + i;
        d[i] = pixel >= 0 && pixel < w.pixels ? w.x[pixel * w.channels + c] : 0.0F;
      }
      const float even_b = std::fma(-bb, d[2], d[4]), odd_b = std::fma(-bb, d[1], d[3]);
      const float even_a = std::fma(-aa, d[2], d[4]), odd_a = std::fma(-aa, d[1], d[3]);
      const float v[] = {std::fma(P::product, d[0], std::fma(-P::squares, d[2], d[4])),
                         std::fma(P::a, odd_b, even_b),
                         std::fma(-P::a, odd_b, even_b),
                         std::fma(P::b, odd_a, even_a),
                         std::fma(-P::b, odd_a, even_a),
                         std::fma(P::product, d[1], std::fma(-P::squares, d[3], d[5]))};
      for (int k = 0; k < P::count; ++k) w.v[k * w.v_step + g * w.channels + c] = v[k];
    }
  }
}

inline void winograd_slopes(const WinogradSlopes& w) noexcept {
  using P = WinogradPoints;
  constexpr float aa = P::a * P::a, bb = P::b * P::b;
  for (std::int64_t g = 0; g < w.groups; ++g) {
    for (std::int64_t c = 0; c < w.channels; ++c) {
      float d[P::group];
      for (std::int64_t i = 0; i < P::group; ++i) {
        const std::int64_t pixel = P::group * g + i;
        d[i] = pixel < w.pixels ? w.dy[pixel * w.channels + c] : 0.0F;
      }
      const float even_a = std::fma(aa, d[2], d[0]), odd_a = std::fma(aa, d[3], d[1]);
      const float even_b = std::fma(bb, d[2], d[0]), odd_b = std::fma(bb, d[3], d[1]);
      const float u[] = {d[0],
                         std::fma(P::a, odd_a, even_a),
                         std::fma(-P::a, odd_a, even_a),
                         std::fma(P::b, odd_b, even_b),
                         std::fma(-P::b, odd_b, even_b),
                         d[3]};
      for (int k = 0; k < P::count; ++k) w.u[k * w.u_step + g * w.channels + c] = u[k];
    }
  }
}

inline void winograd_outputs(const WinogradOutputs& w) noexcept {
  using P = WinogradPoints;
  constexpr float aa = P::a * P::a, bb = P::b * P::b;
  for (std::int64_t first = 0; first < w.pixels; first += P::group) {
    for (std::int64_t c = 0; c < w.channels; ++c) {
      float m[P::count];
      for (int k = 0; k < P::count; ++k) {
        m[k] = w.m[k * w.m_step + first / P::group * w.m_stride + c];
      }
      const float sum_a = m[1] + m[2], difference_a = m[1] - m[2];
      const float sum_b = m[3] + m[4], difference_b = m[3] - m[4];
      const float y[] = {
          m[0] + sum_a + sum_b, std::fma(P::b, difference_b, P::a * difference_a),
          std::fma(bb, sum_b, aa * sum_a),
          std::fma(bb * P::b, difference_b, std::fma(aa * P::a, difference_a, m[5]))};
      for (std::int64_t i = 0; i < P::group && first + i < w.pixels; ++i) {
        float& to = w.y[(first + i) * w.y_stride + c];
        to = w.accumulate ? to + y[i] : y[i];
      }
    }
  }
}
