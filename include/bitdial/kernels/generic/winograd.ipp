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

/// The six numbers of group g from channel c on: of pixels, and of gradients.
template <bool whole>
struct NumbersOfInputs {
  const float* x;
  std::int64_t pixels, first, channels, count;
  WinogradConstants k{};

  template <class E>
  NumbersOfInputs(const WinogradInputs<E>& w, std::int64_t c) noexcept
      : x{w.x + c}, pixels{w.pixels}, first{w.first}, channels{w.channels}, count{w.channels - c} {}

  [[gnu::always_inline]] inline void operator()(std::int64_t g, F32 (&v)[6]) const noexcept {
    const std::int64_t begin = 4 * g + first;
    F32 d[6];
    if (begin >= 0 && begin + 6 <= pixels) {
      unroll<6>([&](auto i) __attribute__((always_inline)) {
        d[i] = load_channels<whole>(x + (begin + i) * channels, count);
      });
    } else {
      unroll<6>([&](auto i) __attribute__((always_inline)) {
        const std::int64_t pixel = begin + i;
        d[i] = pixel >= 0 && pixel < pixels ? load_channels<whole>(x + pixel * channels, count)
                                            : F32{};
      });
    }
    const F32 even_b = fmadd_f32(k.minus_b2, d[2], d[4]);
    const F32 odd_b = fmadd_f32(k.minus_b2, d[1], d[3]);
    const F32 even_a = fmadd_f32(k.minus_a2, d[2], d[4]);
    const F32 odd_a = fmadd_f32(k.minus_a2, d[1], d[3]);
    v[0] = fmadd_f32(k.product, d[0], fmadd_f32(k.minus_squares, d[2], d[4]));
    v[1] = fmadd_f32(k.plus_a, odd_b, even_b);
    v[2] = fmadd_f32(k.minus_a, odd_b, even_b);
    v[3] = fmadd_f32(k.plus_b, odd_a, even_a);
    v[4] = fmadd_f32(k.minus_b, odd_a, even_a);
    v[5] = fmadd_f32(k.product, d[1], fmadd_f32(k.minus_squares, d[3], d[5]));
  }
};

template <bool whole>
struct NumbersOfSlopes {
  const float* dy;
  std::int64_t pixels, channels, count;
  WinogradConstants k{};

  template <class E>
  NumbersOfSlopes(const WinogradSlopes<E>& w, std::int64_t c) noexcept
      : dy{w.dy + c}, pixels{w.pixels}, channels{w.channels}, count{w.channels - c} {}

  [[gnu::always_inline]] inline void operator()(std::int64_t g, F32 (&u)[6]) const noexcept {
    const float* const at = dy + 4 * g * channels;
    const std::int64_t left = pixels - 4 * g;
    F32 d[4];
    if (left >= 4) {
      unroll<4>([&](auto i) __attribute__((always_inline)) {
        d[i] = load_channels<whole>(at + i * channels, count);
      });
    } else {
      unroll<4>([&](auto i) __attribute__((always_inline)) {
        d[i] = i < left ? load_channels<whole>(at + i * channels, count) : F32{};
      });
    }
    const F32 even_a = fmadd_f32(k.a2, d[2], d[0]), odd_a = fmadd_f32(k.a2, d[3], d[1]);
    const F32 even_b = fmadd_f32(k.b2, d[2], d[0]), odd_b = fmadd_f32(k.b2, d[3], d[1]);
    u[0] = d[0];
    u[1] = fmadd_f32(k.plus_a, odd_a, even_a);
    u[2] = fmadd_f32(k.minus_a, odd_a, even_a);
    u[3] = fmadd_f32(k.plus_b, odd_b, even_b);
    u[4] = fmadd_f32(k.minus_b, odd_b, even_b);
    u[5] = d[3];
  }
};

/// Writes what `numbers` computes for the channels from c on.
template <bool whole, class Numbers>
[[gnu::always_inline]] inline void put_numbers(const Numbers& numbers, std::int64_t groups,
                                               std::int64_t channels, std::int64_t c,
                                               const WinogradNumbers<float>& to) noexcept {
  const auto column = to.column(c, channels);
  const std::int64_t step = to.step;
  for (std::int64_t g = 0; g < groups; ++g) {
    F32 v[6];
    numbers(g, v);
    unroll<6>([&](auto k) __attribute__((always_inline)) {
      store_channels<whole>(column.data + g * column.step + k * step, v[k], channels - c);
    });
  }
}

inline void winograd_inputs(const WinogradInputs<float>& w) noexcept {
  for_single_vectors(w.channels, [&](auto whole, std::int64_t c) {
    put_numbers<whole>(NumbersOfInputs<whole>(w, c), w.groups, w.channels, c, w.v);
  });
}

inline void winograd_slopes(const WinogradSlopes<float>& w) noexcept {
  for_single_vectors(w.channels, [&](auto whole, std::int64_t c) {
    put_numbers<whole>(NumbersOfSlopes<whole>(w, c), w.groups, w.channels, c, w.u);
  });
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

/// Those of the sum over points a and -a of t-th powers, and over b and -b, for each tap t.
struct TapConstants {
  F32 minus_one, zero, a[3], b[3];

  TapConstants() noexcept
      : minus_one{WinogradConstants::every_lane(-1.0F)},
        zero{WinogradConstants::every_lane(WinogradTaps::zero)},
        a{WinogradConstants::every_lane(WinogradTaps::of_a),
          WinogradConstants::every_lane(WinogradPoints::a * WinogradTaps::of_a),
          WinogradConstants::every_lane(WinogradPoints::a2 * WinogradTaps::of_a)},
        b{WinogradConstants::every_lane(WinogradTaps::of_b),
          WinogradConstants::every_lane(WinogradPoints::b * WinogradTaps::of_b),
          WinogradConstants::every_lane(WinogradPoints::b2 * WinogradTaps::of_b)} {}
};

template <bool whole>
inline void winograd_taps_at(const WinogradTaps& w, std::int64_t c) noexcept {
  const TapConstants k;
  const std::int64_t count = w.channels - c;
  const float* from = w.m + c;
  float* y = w.y + c;
  for (std::int64_t row = 0; row < w.rows; ++row, from += w.m_stride, y += w.y_stride) {
    F32 m[6];
    unroll<6>([&](auto i) __attribute__((always_inline)) {
      m[i] = load_channels<whole>(from + i * w.m_step, count);
    });
    const F32 sum_a = add_f32(m[1], m[2]), difference_a = fmadd_f32(k.minus_one, m[2], m[1]);
    const F32 sum_b = add_f32(m[3], m[4]), difference_b = fmadd_f32(k.minus_one, m[4], m[3]);
    const F32 values[3] = {
        fmadd_f32(k.zero, m[0], fmadd_f32(k.a[0], sum_a, mul_f32(k.b[0], sum_b))),
        fmadd_f32(k.a[1], difference_a, mul_f32(k.b[1], difference_b)),
        fmadd_f32(k.a[2], sum_a, fmadd_f32(k.b[2], sum_b, m[5]))};
    unroll<3>([&](auto t) __attribute__((always_inline)) {
      float* const to = y + t * w.tap_stride;
      const F32 value =
          w.accumulate ? add_f32(load_channels<whole>(to, count), values[t]) : values[t];
      store_channels<whole>(to, value, count);
    });
  }
}

inline void winograd_taps(const WinogradTaps& w) noexcept {
  for_single_vectors(w.channels,
                     [&](auto whole, std::int64_t c) { winograd_taps_at<whole>(w, c); });
}
