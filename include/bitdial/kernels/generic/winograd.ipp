// SPDX-License-Identifier: Apache-2.0
// The kernels of Winograd's minimal filtering: channels lie in lanes, the numbers of a group of
// pixels in registers.
// Vocabulary: F32, broadcast_f32, add_f32, mul_f32, fmadd_f32, and that of normalisation.ipp.

/// The constants of the transforms in every lane.
struct WinogradConstants {
  static constexpr float a = WinogradPoints::a, b = WinogradPoints::b;

  F32 plus_a, minus_a, plus_b, minus_b, a2, minus_a2, b2, minus_b2, a3, b3;
  F32 product, minus_squares, minus_one;

  static F32 every_lane(float x) noexcept { return broadcast_f32(&x); }
  WinogradConstants() noexcept
      : plus_a{every_lane(a)},
        minus_a{every_lane(-a)},
        plus_b{every_lane(b)},
        minus_b{every_lane(-b)},
        a2{every_lane(a * a)},
        minus_a2{every_lane(-a * a)},
        b2{every_lane(b * b)},
        minus_b2{every_lane(-b * b)},
        a3{every_lane(a * a * a)},
        b3{every_lane(b * b * b)},
        product{every_lane(WinogradPoints::product)},
        minus_squares{every_lane(-WinogradPoints::squares)},
        minus_one{every_lane(-1.0F)} {}
};

/// Calls run(whole, first channel) for each vector of channels, as `for_channel_vectors` does.
template <class Run>
[[gnu::always_inline]] inline void for_single_vectors(std::int64_t channels, Run&& run) noexcept {
  std::int64_t c = 0;
  for (; c + f32_lanes <= channels; c += f32_lanes) run(std::true_type{}, c);
  if (c < channels) run(std::false_type{}, c);
}

template <bool whole>
inline void winograd_inputs_at(const WinogradInputs& w, std::int64_t c) noexcept {
  const WinogradConstants k;
  const std::int64_t count = w.channels - c;
  for (std::int64_t g = 0; g < w.groups; ++g) {
    const std::int64_t first = 4 * g + w.first;
    F32 d[6];
    if (first >= 0 && first + 6 <= w.pixels) {
      const float* const x = w.x + first * w.channels + c;
      unroll<6>([&](auto i) __attribute__((always_inline)) {
        d[i] = load_channels<whole>(x + i * w.channels, count);
      });
    } else {
      unroll<6>([&](auto i) __attribute__((always_inline)) {
        const std::int64_t pixel = first + i;
        d[i] = pixel >= 0 && pixel < w.pixels
                   ? load_channels<whole>(w.x + pixel * w.channels + c, count)
                   : F32{};
      });
    }
    const F32 even_b = fmadd_f32(k.minus_b2, d[2], d[4]);
    const F32 odd_b = fmadd_f32(k.minus_b2, d[1], d[3]);
    const F32 even_a = fmadd_f32(k.minus_a2, d[2], d[4]);
    const F32 odd_a = fmadd_f32(k.minus_a2, d[1], d[3]);
    float* v = w.v + g * w.channels + c;
    const auto put = [&](F32 value) __attribute__((always_inline)) {
      store_channels<whole>(v, value, count);
      v += w.v_step;
    };
    put(fmadd_f32(k.product, d[0], fmadd_f32(k.minus_squares, d[2], d[4])));
    put(fmadd_f32(k.plus_a, odd_b, even_b));
    put(fmadd_f32(k.minus_a, odd_b, even_b));
    put(fmadd_f32(k.plus_b, odd_a, even_a));
    put(fmadd_f32(k.minus_b, odd_a, even_a));
    put(fmadd_f32(k.product, d[1], fmadd_f32(k.minus_squares, d[3], d[5])));
  }
}

inline void winograd_inputs(const WinogradInputs& w) noexcept {
  for_single_vectors(w.channels,
                     [&](auto whole, std::int64_t c) { winograd_inputs_at<whole>(w, c); });
}

template <bool whole>
inline void winograd_slopes_at(const WinogradSlopes& w, std::int64_t c) noexcept {
  const WinogradConstants k;
  const std::int64_t count = w.channels - c;
  for (std::int64_t g = 0; g < w.groups; ++g) {
    F32 d[4];
    unroll<4>([&](auto i) __attribute__((always_inline)) {
      const std::int64_t pixel = 4 * g + i;
      d[i] = pixel < w.pixels ? load_channels<whole>(w.dy + pixel * w.channels + c, count) : F32{};
    });
    const F32 even_a = fmadd_f32(k.a2, d[2], d[0]), odd_a = fmadd_f32(k.a2, d[3], d[1]);
    const F32 even_b = fmadd_f32(k.b2, d[2], d[0]), odd_b = fmadd_f32(k.b2, d[3], d[1]);
    float* u = w.u + g * w.channels + c;
    const auto put = [&](F32 value) __attribute__((always_inline)) {
      store_channels<whole>(u, value, count);
      u += w.u_step;
    };
    put(d[0]);
    put(fmadd_f32(k.plus_a, odd_a, even_a));
    put(fmadd_f32(k.minus_a, odd_a, even_a));
    put(fmadd_f32(k.plus_b, odd_b, even_b));
    put(fmadd_f32(k.minus_b, odd_b, even_b));
    put(d[3]);
  }
}

inline void winograd_slopes(const WinogradSlopes& w) noexcept {
  for_single_vectors(w.channels,
                     [&](auto whole, std::int64_t c) { winograd_slopes_at<whole>(w, c); });
}

template <bool whole>
inline void winograd_outputs_at(const WinogradOutputs& w, std::int64_t c) noexcept {
  const WinogradConstants k;
  const std::int64_t count = w.channels - c;
  const float* from = w.m + c;
  float* y = w.y + c;
  for (std::int64_t left = w.pixels; left > 0; left -= 4, from += w.m_stride, y += 4 * w.y_stride) {
    F32 m[6];
    unroll<6>([&](auto i) __attribute__((always_inline)) {
      m[i] = load_channels<whole>(from + i * w.m_step, count);
    });
    const F32 sum_a = add_f32(m[1], m[2]), difference_a = fmadd_f32(k.minus_one, m[2], m[1]);
    const F32 sum_b = add_f32(m[3], m[4]), difference_b = fmadd_f32(k.minus_one, m[4], m[3]);
    const F32 values[4] = {add_f32(add_f32(m[0], sum_a), sum_b),
                           fmadd_f32(k.plus_b, difference_b, mul_f32(k.plus_a, difference_a)),
                           fmadd_f32(k.b2, sum_b, mul_f32(k.a2, sum_a)),
                           fmadd_f32(k.b3, difference_b, fmadd_f32(k.a3, difference_a, m[5]))};
    unroll<4>([&](auto i) __attribute__((always_inline)) {
      if (i >= left) return;
      float* const to = y + i * w.y_stride;
      const F32 value =
          w.accumulate ? add_f32(load_channels<whole>(to, count), values[i]) : values[i];
      store_channels<whole>(to, value, count);
    });
  }
}

inline void winograd_outputs(const WinogradOutputs& w) noexcept {
  for_single_vectors(w.channels,
                     [&](auto whole, std::int64_t c) { winograd_outputs_at<whole>(w, c); });
}
