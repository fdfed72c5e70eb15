// SPDX-License-Identifier: Apache-2.0
// The real-valued depthwise kernels: a vector of channels at a time, along a run of pixels. The
// weights of a 3x3 window, and of its parts in the phases of a stride of 2, stay in registers; the
// last channels go to the next narrower table.
// Vocabulary: F32, f32_lanes, load_f32, store_f32, fmadd_f32, namespace narrower, unroll.

/// Channels c .. c + f32_lanes - 1 of all pixels, `taps` of them a constant.
template <int taps>
inline void depthwise_taps_lanes(const DepthwiseTaps<float>& d, std::int64_t c) noexcept {
  const float* x[taps];
  F32 w[taps];
  unroll<taps>([&](auto t) __attribute__((always_inline)) {
    x[t] = d.x[t] + c;
    w[t] = load_f32(d.w[t] + c);
  });
  float* y = d.y + c;
  for (std::int64_t p = 0; p < d.pixels; ++p, y += d.y_step) {
    F32 sum = d.accumulate ? load_f32(y) : F32{};
    unroll<taps>([&](auto t) __attribute__((always_inline)) {
      sum = fmadd_f32(load_f32(x[t] + p * d.x_step), w[t], sum);
    });
    store_f32(y, sum);
  }
}

/// The same for any number of taps.
inline void depthwise_any_taps_lanes(const DepthwiseTaps<float>& d, std::int64_t c) noexcept {
  for (std::int64_t p = 0; p < d.pixels; ++p) {
    float* const y = d.y + p * d.y_step + c;
    F32 sum = d.accumulate ? load_f32(y) : F32{};
    for (std::int64_t t = 0; t < d.taps; ++t) {
      sum = fmadd_f32(load_f32(d.x[t] + p * d.x_step + c), load_f32(d.w[t] + c), sum);
    }
    store_f32(y, sum);
  }
}

inline void depthwise_taps_from(const DepthwiseTaps<float>& d, std::int64_t first) noexcept {
  std::int64_t c = first;
  for (; c + f32_lanes <= d.channels; c += f32_lanes) {
    switch (d.taps) {
      case 1:
        depthwise_taps_lanes<1>(d, c);
        break;
      case 2:
        depthwise_taps_lanes<2>(d, c);
        break;
      case 4:
        depthwise_taps_lanes<4>(d, c);
        break;
      case 6:
        depthwise_taps_lanes<6>(d, c);
        break;
      case 9:
        depthwise_taps_lanes<9>(d, c);
        break;
      default:
        depthwise_any_taps_lanes(d, c);
    }
  }
  if (c < d.channels) narrower::depthwise_taps_from(d, c);
}

/// Sums of `taps` neighbouring taps from tap `t0` on, all pixels.
template <int taps>
inline void depthwise_weight_lanes(const DepthwiseWeightSums<float>& d, std::int64_t t0,
                                   std::int64_t c) noexcept {
  const float* x[taps];
  F32 sum[taps];
  unroll<taps>([&](auto t) __attribute__((always_inline)) {
    x[t] = d.x[t0 + t] + c;
    sum[t] = load_f32(d.dw[t0 + t] + c);
  });
  const float* dy = d.dy + c;
  for (std::int64_t p = 0; p < d.pixels; ++p, dy += d.channels) {
    const F32 gradient = load_f32(dy);
    unroll<taps>([&](auto t) __attribute__((always_inline)) {
      sum[t] = fmadd_f32(gradient, load_f32(x[t] + p * d.x_step), sum[t]);
    });
  }
  unroll<taps>([&](auto t) __attribute__((always_inline)) { store_f32(d.dw[t0 + t] + c, sum[t]); });
}

inline void depthwise_weight_sums_from(const DepthwiseWeightSums<float>& d,
                                       std::int64_t first) noexcept {
  std::int64_t c = first;
  for (; c + f32_lanes <= d.channels; c += f32_lanes) {
    std::int64_t t = 0;
    for (; t + 9 <= d.taps; t += 9) depthwise_weight_lanes<9>(d, t, c);
    for (; t + 3 <= d.taps; t += 3) depthwise_weight_lanes<3>(d, t, c);
    for (; t < d.taps; ++t) depthwise_weight_lanes<1>(d, t, c);
  }
  if (c < d.channels) narrower::depthwise_weight_sums_from(d, c);
}

inline void depthwise_taps(const DepthwiseTaps<float>& d) noexcept {
  depthwise_taps_from(d, 0);
}

inline void depthwise_weight_sums(const DepthwiseWeightSums<float>& d) noexcept {
  depthwise_weight_sums_from(d, 0);
}
