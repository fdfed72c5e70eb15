// SPDX-License-Identifier: Apache-2.0
// The integer depthwise kernel of machines whose fused multiply-adds are faster than their products
// of bytes: codes and levels become floats. Sums below 2^24 are exact then, whatever their order;
// larger ones are left to the portable kernel. Channels stand in their own order.
// Vocabulary: F32, f32_lanes, broadcast_f32, load_f32, fmadd_f32, mul_f32, min_f32 (the second
// operand when one is NaN), Ints, ints_of_codes, ints_of_levels<i> (byte i of every four),
// floats_of, nearest_ints (the lowest integer, or 0, for NaN), store_ints, store_codes (bytes
// 0 .. 255, the nearest ones), and StepVectors of code_steps.ipp.

inline constexpr std::int64_t depthwise_cols = 16;

/// The levels of so many taps are kept as floats.
inline constexpr std::int64_t most_float_taps = 256;

/// Whether floats hold every sum.
inline bool fits_floats(const DepthwiseU8S8& d) noexcept {
  const auto size = [](std::int64_t x) { return x < 0 ? -x : x; };
  const std::int64_t level = 128 * size(d.product_factor) + size(d.code_factor);
  return d.taps <= most_float_taps && d.taps * 255 * level < std::int64_t{1} << 24;
}

/// What the codes of a vector of channels are multiplied by, tap by tap: I is the sum of these
/// products.
struct FloatLevels {
  FloatLevels(const DepthwiseU8S8& d, std::int64_t c) noexcept {
    const std::int64_t groups = depthwise_groups(d.taps, d.group_taps);
    const std::int8_t* w =
        d.w + (c / depthwise_cols * groups * depthwise_cols + c % depthwise_cols) * 4;
    const auto product_factor = static_cast<float>(d.product_factor);
    const auto code_factor = static_cast<float>(d.code_factor);
    F32* out = of;
    for (std::int64_t left = d.taps; left > 0; left -= d.group_taps, w += depthwise_cols * 4) {
      const std::int64_t count = std::min(d.group_taps, left);
      unroll<4>([&](auto i) __attribute__((always_inline)) {
        if (i >= count) return;
        *out++ = fmadd_f32(floats_of(ints_of_levels<i>(w)), broadcast_f32(&product_factor),
                           broadcast_f32(&code_factor));
      });
    }
  }
  F32 of[most_float_taps];
};

/// Stores the codes of a vector of channels, the first `count` where fewer are left.
[[gnu::always_inline]] inline void store_channel_codes(std::uint8_t* out, Ints codes,
                                                       std::int64_t count) noexcept {
  if (count >= f32_lanes) return store_codes(out, codes);
  std::uint8_t some[f32_lanes];
  store_codes(some, codes);
  std::copy_n(some, count, out);
}

/// Stores the sums or codes of a vector of channels from c on, at pixel p.
inline void finish_float_sum(const DepthwiseU8S8& d, const StepVectors& steps, F32 sum,
                             std::int64_t p, std::int64_t c) noexcept {
  const std::int64_t count = std::min(f32_lanes, d.channels - c);
  if (d.sums != nullptr) {
    std::int32_t all[f32_lanes];
    store_ints(all, nearest_ints(sum));
    std::copy_n(all, count, d.sums + p * d.channels + c);
    return;
  }
  const F32 y[1]{fmadd_f32(sum, load_f32(d.scale + c), load_f32(d.bias + c))};
  Ints codes[1];
  steps(y, codes);
  store_channel_codes(d.codes + p * d.codes_step + c, codes[0], count);
}

[[gnu::always_inline]] inline F32 load_float_codes(const std::uint8_t* p) noexcept {
  return floats_of(ints_of_codes(p));
}

/// Any windows.
inline void depthwise_float_taps(const DepthwiseU8S8& d) noexcept {
  const StepVectors steps{d.steps};
  for (std::int64_t c = 0; c < d.channels; c += f32_lanes) {
    const FloatLevels levels{d, c};
    for (std::int64_t p = 0; p < d.pixels; ++p) {
      const std::uint8_t* const x = d.x + p * d.x_step + c;
      F32 sum{};
      for (std::int64_t t = 0; t < d.taps; ++t) {
        sum = fmadd_f32(load_float_codes(x + d.offsets[t]), levels.of[t], sum);
      }
      finish_float_sum(d, steps, sum, p, c);
    }
  }
}

/// Codes at equal steps of three columns of three taps, one or two of which (`fresh`) the pixel
/// before has not read: the others stay in registers.
template <int fresh>
inline void depthwise_float_columns(const DepthwiseU8S8& d) noexcept {
  constexpr int kept = 3 * (3 - fresh);
  const float highest = d.steps.largest_product();
  const F32 factor = broadcast_f32(&d.steps.inverse_step), last = broadcast_f32(&highest);
  const std::int64_t pixels = d.pixels, x_step = d.x_step, codes_step = d.codes_step;
  for (std::int64_t c = 0; c < d.channels; c += f32_lanes) {
    const FloatLevels levels{d, c};
    const F32 scale = load_f32(d.scale + c), bias = load_f32(d.bias + c);
    const std::int64_t count = d.channels - c;
    std::uint8_t* out = d.codes + c;
    const std::uint8_t* from = d.x + c;
    std::int64_t taps[9];
    F32 x[9];
    unroll<9>([&](auto t) __attribute__((always_inline)) { taps[t] = d.offsets[t]; });
    unroll<kept>([&](auto t)
                     __attribute__((always_inline)) { x[t] = load_float_codes(from + taps[t]); });
    for (std::int64_t left = pixels; left > 0; --left, from += x_step, out += codes_step) {
      unroll<9 - kept>([&](auto t) __attribute__((always_inline)) {
        x[kept + t] = load_float_codes(from + taps[kept + t]);
      });
      F32 sum{};
      unroll<9>([&](auto t)
                    __attribute__((always_inline)) { sum = fmadd_f32(x[t], levels.of[t], sum); });
      const F32 y = fmadd_f32(sum, scale, bias);
      store_channel_codes(out, nearest_ints(min_f32(last, mul_f32(y, factor))), count);
      unroll<kept>([&](auto t) __attribute__((always_inline)) { x[t] = x[9 - kept + t]; });
    }
  }
}

inline void depthwise_u8s8(const DepthwiseU8S8& d) noexcept {
  if (d.pixels <= 0) return;
  if (!fits_floats(d)) return scalar::depthwise_u8s8<depthwise_cols>(d);
  const bool in_columns =
      d.taps == 9 && d.group_taps == 3 && d.sums == nullptr && d.steps.thresholds == nullptr;
  if (in_columns && d.shared_groups == 2) {
    depthwise_float_columns<1>(d);
  } else if (in_columns && d.shared_groups == 1) {
    depthwise_float_columns<2>(d);
  } else {
    depthwise_float_taps(d);
  }
}
