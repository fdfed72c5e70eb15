// SPDX-License-Identifier: Apache-2.0
// The meaning of the kernels of Winograd's minimal filtering, in portable C++.

template <class E>
inline E winograd_element(float x) noexcept {
  if constexpr (std::is_same_v<E, float>) {
    return x;
  } else {
    return round_bf16_one(x);
  }
}

/// `numbers(g, c, v)` sets the six numbers of group g and channel c.
template <class E, class Numbers>
inline void put_winograd_numbers(std::int64_t groups, std::int64_t channels,
                                 const WinogradNumbers<E>& to, Numbers numbers) noexcept {
  const std::int64_t half = (groups + 1) / 2, all = to.paired ? 2 * half : groups;
  for (std::int64_t g = 0; g < all; ++g) {
    for (std::int64_t c = 0; c < channels; ++c) {
      float v[WinogradPoints::count] = {};
      if (g < groups) numbers(g, c, v);
      const auto column = to.column(c, channels);
      E* const p = column.data + (to.paired ? g % half * column.step + g / half : g * column.step);
      for (int k = 0; k < WinogradPoints::count; ++k) p[k * to.step] = winograd_element<E>(v[k]);
    }
  }
}

template <class E>
inline void winograd_inputs(const WinogradInputs<E>& w) noexcept {
  using P = WinogradPoints;
  constexpr float aa = P::a * P::a, bb = P::b * P::b;
  put_winograd_numbers(
      w.groups, w.channels, w.v, [&](std::int64_t g, std::int64_t c, float(&v)[P::count]) {
        float d[P::count];
        for (std::int64_t i = 0; i < P::count; ++i) {
          const std::int64_t pixel = P::group * g + w.first + i;
          d[i] = pixel >= 0 && pixel < w.pixels ? w.x[pixel * w.channels + c] : 0.0F;
        }
        const float even_b = std::fma(-bb, d[2], d[4]), odd_b = std::fma(-bb, d[1], d[3]);
        const float even_a = std::fma(-aa, d[2], d[4]), odd_a = std::fma(-aa, d[1], d[3]);
        v[0] = std::fma(P::product, d[0], std::fma(-P::squares, d[2], d[4]));
        v[1] = std::fma(P::a, odd_b, even_b);
        v[2] = std::fma(-P::a, odd_b, even_b);
        v[3] = std::fma(P::b, odd_a, even_a);
        v[4] = std::fma(-P::b, odd_a, even_a);
        v[5] = std::fma(P::product, d[1], std::fma(-P::squares, d[3], d[5]));
      });
}

template <class E>
inline void winograd_slopes(const WinogradSlopes<E>& w) noexcept {
  using P = WinogradPoints;
  constexpr float aa = P::a * P::a, bb = P::b * P::b;
  put_winograd_numbers(
      w.groups, w.channels, w.u, [&](std::int64_t g, std::int64_t c, float(&u)[P::count]) {
        float d[P::group];
        for (std::int64_t i = 0; i < P::group; ++i) {
          const std::int64_t pixel = P::group * g + i;
          d[i] = pixel < w.pixels ? w.dy[pixel * w.channels + c] : 0.0F;
        }
        const float even_a = std::fma(aa, d[2], d[0]), odd_a = std::fma(aa, d[3], d[1]);
        const float even_b = std::fma(bb, d[2], d[0]), odd_b = std::fma(bb, d[3], d[1]);
        u[0] = d[0];
        u[1] = std::fma(P::a, odd_a, even_a);
        u[2] = std::fma(-P::a, odd_a, even_a);
        u[3] = std::fma(P::b, odd_b, even_b);
        u[4] = std::fma(-P::b, odd_b, even_b);
        u[5] = d[3];
      });
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

inline void winograd_taps(const WinogradTaps& w) noexcept {
  using P = WinogradPoints;
  using W = WinogradTaps;
  for (std::int64_t row = 0; row < w.rows; ++row) {
    for (std::int64_t c = 0; c < w.channels; ++c) {
      float m[P::count];
      for (int k = 0; k < P::count; ++k) m[k] = w.m[k * w.m_step + row * w.m_stride + c];
      const float sum_a = m[1] + m[2], difference_a = m[1] - m[2];
      const float sum_b = m[3] + m[4], difference_b = m[3] - m[4];
      const float y[] = {std::fma(W::zero, m[0], std::fma(W::of_a, sum_a, W::of_b * sum_b)),
                         std::fma(P::a * W::of_a, difference_a, P::b * W::of_b * difference_b),
                         std::fma(P::a2 * W::of_a, sum_a, std::fma(P::b2 * W::of_b, sum_b, m[5]))};
      for (std::int64_t t = 0; t < P::taps; ++t) {
        float& to = w.y[row * w.y_stride + t * w.tap_stride + c];
        to = w.accumulate ? to + y[t] : y[t];
      }
    }
  }
}
