// SPDX-License-Identifier: Apache-2.0
// The integer depthwise kernel: the codes of a group of up to four taps are interleaved, so that
// one lane of 32 bits holds what the multiply-add of the matrix kernel wants, four products of one
// channel. Groups that neighbouring pixels share are interleaved once.
// Vocabulary: Bytes, byte_lanes, load_bytes, store_bytes_part (the first so many, or all),
// unpack_low8, unpack_high8, unpack_low16, unpack_high16 (in every 16 bytes apart), U8S8Sums,
// U8S8Codes, codes_of, load_levels, multiply_add, store_sums, mul_sums, add_sums, sums_to_f32, F32,
// load_f32, broadcast_f32, fmadd_f32, mul_f32, min_f32 (the second operand when one is NaN), Ints,
// nearest_ints (the lowest integer for NaN) and StepVectors of code_steps.ipp, narrow_ints (four
// vectors to bytes 0 .. 255, the nearest ones, in the order of the codes).

inline constexpr std::int64_t depthwise_cols = byte_lanes;

alignas(64) inline constexpr std::int8_t unit_levels[64] = {
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

/// The codes of a group of taps for a block of channels, a quarter of every 16 channels in each
/// vector.
struct DepthwiseCodes {
  Bytes four[4];
};
/// Sums of the same channels.
struct DepthwiseSums {
  U8S8Sums of[4];
};

/// Codes of taps that are not there are zero.
template <int taps>
[[gnu::always_inline]] inline DepthwiseCodes interleave_taps(const std::uint8_t* x,
                                                             const std::int64_t* offsets) noexcept {
  Bytes t[4];
  unroll<4>([&](auto i) __attribute__((always_inline)) {
    if constexpr (i < taps) {
      t[i] = load_bytes(x + offsets[i]);
    } else {
      t[i] = Bytes{};
    }
  });
  const Bytes low01 = unpack_low8(t[0], t[1]), high01 = unpack_high8(t[0], t[1]);
  const Bytes low23 = unpack_low8(t[2], t[3]), high23 = unpack_high8(t[2], t[3]);
  return {{unpack_low16(low01, low23), unpack_high16(low01, low23), unpack_low16(high01, high23),
           unpack_high16(high01, high23)}};
}
/// The same for 1 .. 4 taps.
[[gnu::always_inline]] inline DepthwiseCodes interleave_taps(const std::uint8_t* x,
                                                             const std::int64_t* offsets,
                                                             std::int64_t taps) noexcept {
  if (taps == 1) return interleave_taps<1>(x, offsets);
  if (taps == 2) return interleave_taps<2>(x, offsets);
  if (taps == 3) return interleave_taps<3>(x, offsets);
  return interleave_taps<4>(x, offsets);
}

[[gnu::always_inline]] inline void clear(DepthwiseSums& sums) noexcept {
  unroll<4>([&](auto i) __attribute__((always_inline)) { sums.of[i] = U8S8Sums{}; });
}
[[gnu::always_inline]] inline void add_products(DepthwiseSums& sums, const DepthwiseCodes& codes,
                                                const std::int8_t* w) noexcept {
  unroll<4>([&](auto i) __attribute__((always_inline)) {
    sums.of[i] = multiply_add(sums.of[i], codes_of(codes.four[i]), load_levels(w + i * byte_lanes));
  });
}
[[gnu::always_inline]] inline void add_codes(DepthwiseSums& sums,
                                             const DepthwiseCodes& codes) noexcept {
  unroll<4>([&](auto i) __attribute__((always_inline)) {
    sums.of[i] = multiply_add(sums.of[i], codes_of(codes.four[i]), load_levels(unit_levels));
  });
}

/// I from the sums of products and, if they count, of codes.
[[gnu::always_inline]] inline void combine(const DepthwiseU8S8& d, DepthwiseSums& products,
                                           const DepthwiseSums& codes) noexcept {
  if (d.product_factor != 1) {
    unroll<4>([&](auto i) __attribute__((always_inline)) {
      products.of[i] = mul_sums(products.of[i], d.product_factor);
    });
  }
  if (d.code_factor != 0) {
    unroll<4>([&](auto i) __attribute__((always_inline)) {
      const U8S8Sums sum = d.code_factor == 1 ? codes.of[i] : mul_sums(codes.of[i], d.code_factor);
      products.of[i] = add_sums(products.of[i], sum);
    });
  }
}

/// How sums become codes: at equal steps in registers.
struct DepthwiseSteps {
  explicit DepthwiseSteps(const DepthwiseU8S8& d) noexcept
      : any{d.steps},
        direct{d.sums == nullptr && d.steps.thresholds == nullptr},
        saturates{d.steps.saturates} {
    const float highest = d.steps.largest_product();
    factor = broadcast_f32(&d.steps.inverse_step);
    last = broadcast_f32(&highest);
  }

  StepVectors any;
  bool direct, saturates;
  F32 factor, last;
};

/// `finish_depthwise` for sums and for thresholds.
[[gnu::noinline]] inline void finish_indirectly(const DepthwiseU8S8& d, const StepVectors& steps,
                                                const DepthwiseSums& sums, std::int64_t p,
                                                std::int64_t c) noexcept {
  constexpr std::int64_t run = 4;  // channels that stay together
  const std::int64_t channels = std::min(byte_lanes, d.channels - c);
  if (d.sums == nullptr) {
    Ints codes[4];
    for (std::int64_t i = 0; i < 4; ++i) {
      const std::int64_t at = c + i * (byte_lanes / 4);
      const F32 y[1]{
          fmadd_f32(sums_to_f32(sums.of[i]), load_f32(d.scale + at), load_f32(d.bias + at))};
      Ints code[1];
      steps(y, code);
      codes[i] = code[0];
    }
    const Bytes narrowed = narrow_ints(codes[0], codes[1], codes[2], codes[3]);
    return store_bytes_part(d.codes + p * d.codes_step + c, narrowed, channels);
  }
  std::int32_t mixed[byte_lanes], ordered[byte_lanes];
  for (std::int64_t i = 0; i < 4; ++i) store_sums(mixed + i * (byte_lanes / 4), sums.of[i]);
  for (std::int64_t k = 0; k < byte_lanes; k += run) {
    std::copy_n(mixed + depthwise_place(k, byte_lanes), run, ordered + k);
  }
  std::copy_n(ordered, channels, d.sums + p * d.channels + c);
}

/// The codes at equal steps of a block of channels. NaN and what no integer holds become the lowest
/// integer, and that the lowest code.
[[gnu::always_inline]] inline Bytes direct_codes(const DepthwiseSteps& steps,
                                                 const DepthwiseSums& sums, const float* scale,
                                                 const float* bias) noexcept {
  F32 products[4];
  unroll<4>([&](auto i) __attribute__((always_inline)) {
    constexpr std::int64_t at = i * (byte_lanes / 4);
    const F32 y = fmadd_f32(sums_to_f32(sums.of[i]), load_f32(scale + at), load_f32(bias + at));
    products[i] = mul_f32(y, steps.factor);
  });
  if (!steps.saturates) {
    unroll<4>([&](auto i) __attribute__((always_inline)) {
      products[i] = min_f32(steps.last, products[i]);
    });
  }
  Ints codes[4];
  unroll<4>([&](auto i) __attribute__((always_inline)) { codes[i] = nearest_ints(products[i]); });
  return narrow_ints(codes[0], codes[1], codes[2], codes[3]);
}

/// Stores the sums or codes of the block that begins at channel c, at pixel p.
[[gnu::always_inline]] inline void finish_depthwise(const DepthwiseU8S8& d,
                                                    const DepthwiseSteps& steps,
                                                    const DepthwiseSums& sums, std::int64_t p,
                                                    std::int64_t c) noexcept {
  if (steps.direct) {
    store_bytes_part(d.codes + p * d.codes_step + c,
                     direct_codes(steps, sums, d.scale + c, d.bias + c),
                     std::min(byte_lanes, d.channels - c));
  } else {
    const DepthwiseSums stored = sums;  // whose address the callee takes: `sums` stay in registers
    finish_indirectly(d, steps.any, stored, p, c);
  }
}

/// Any groups.
inline void depthwise_u8s8_pixels(const DepthwiseU8S8& d) noexcept {
  const DepthwiseSteps steps{d};
  const bool with_codes = d.code_factor != 0;
  for (std::int64_t p = 0; p < d.pixels; ++p) {
    const std::int8_t* w = d.w;
    for (std::int64_t c = 0; c < d.channels; c += byte_lanes) {
      const std::uint8_t* const x = d.x + p * d.x_step + c;
      DepthwiseSums products, codes;
      clear(products);
      clear(codes);
      for (std::int64_t t = 0; t < d.taps; t += d.group_taps, w += 4 * byte_lanes) {
        const DepthwiseCodes group =
            interleave_taps(x, d.offsets + t, std::min(d.group_taps, d.taps - t));
        add_products(products, group, w);
        if (with_codes) add_codes(codes, group);
      }
      combine(d, products, codes);
      finish_depthwise(d, steps, products, p, c);
    }
  }
}

/// Three groups of three taps. Those that the pixel before has read stay in registers.
inline void depthwise_u8s8_columns(const DepthwiseU8S8& d) noexcept {
  const DepthwiseSteps steps{d};
  const bool with_codes = d.code_factor != 0;
  const std::int8_t* w = d.w;
  for (std::int64_t c = 0; c < d.channels; c += byte_lanes, w += 3 * 4 * byte_lanes) {
    DepthwiseCodes groups[3]{};
    std::int64_t shared = 0;
    for (std::int64_t p = 0; p < d.pixels; ++p, shared = d.shared_groups) {
      const std::uint8_t* const x = d.x + p * d.x_step + c;
      for (std::int64_t g = shared; g < 3; ++g) {
        groups[0] = groups[1];
        groups[1] = groups[2];
        groups[2] = interleave_taps<3>(x, d.offsets + 3 * g);
      }
      DepthwiseSums products, codes;
      clear(products);
      clear(codes);
      unroll<3>([&](auto g) __attribute__((always_inline)) {
        add_products(products, groups[g], w + g * 4 * byte_lanes);
      });
      if (with_codes) {
        unroll<3>([&](auto g) __attribute__((always_inline)) { add_codes(codes, groups[g]); });
      }
      combine(d, products, codes);
      finish_depthwise(d, steps, products, p, c);
    }
  }
}

inline void depthwise_u8s8(const DepthwiseU8S8& d) noexcept {
  if (d.taps == 9 && d.group_taps == 3) {
    depthwise_u8s8_columns(d);
  } else {
    depthwise_u8s8_pixels(d);
  }
}
