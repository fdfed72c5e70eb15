// SPDX-License-Identifier: Apache-2.0
// The integer depthwise kernel: the codes of four taps are interleaved, so that one lane of 32 bits
// holds what the multiply-add of the matrix kernel wants, four products of one channel.
// Vocabulary: Bytes, byte_lanes, load_bytes, store_bytes, unpack_low8, unpack_high8, unpack_low16,
// unpack_high16 (in every 16 bytes apart), U8S8Sums, U8S8Codes, codes_of, load_levels,
// multiply_add, store_sums, mul_sums, add_sums, sums_to_f32, F32, load_f32, fmadd_f32,
// StepVectors of code_steps.ipp, narrow_codes (four vectors of codes to bytes in the order of the
// codes).

inline constexpr std::int64_t depthwise_cols = byte_lanes;

/// The sums of a block of channels at one pixel, a quarter of every 16 channels in each vector.
struct DepthwiseAccumulators {
  U8S8Sums products[4];
  U8S8Sums codes[4];
};

/// Adds up to four taps; levels of taps that are not there are zero.
template <int taps, bool with_codes>
[[gnu::always_inline]] inline void add_depthwise_taps(const std::uint8_t* x,
                                                      const std::int64_t* offsets,
                                                      const std::int8_t* w,
                                                      DepthwiseAccumulators& sums) noexcept {
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
  const Bytes four[4] = {unpack_low16(low01, low23), unpack_high16(low01, low23),
                         unpack_low16(high01, high23), unpack_high16(high01, high23)};
  alignas(64) static constexpr std::int8_t ones[64] = {
      1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
      1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
      1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
  unroll<4>([&](auto i) __attribute__((always_inline)) {
    const U8S8Codes codes = codes_of(four[i]);
    sums.products[i] = multiply_add(sums.products[i], codes, load_levels(w + i * byte_lanes));
    if constexpr (with_codes) {
      sums.codes[i] = multiply_add(sums.codes[i], codes, load_levels(ones));
    }
  });
}

/// I of one block at one pixel.
template <bool with_codes>
[[gnu::always_inline]] inline void depthwise_block(const DepthwiseU8S8& d, const std::uint8_t* x,
                                                   const std::int8_t* w,
                                                   DepthwiseAccumulators& sums) noexcept {
  unroll<4>([&](auto i) __attribute__((always_inline)) {
    sums.products[i] = U8S8Sums{};
    sums.codes[i] = U8S8Sums{};
  });
  const std::int64_t* offsets = d.offsets;
  std::int64_t left = d.taps;
  for (; left >= 4; left -= 4, offsets += 4, w += 4 * byte_lanes) {
    add_depthwise_taps<4, with_codes>(x, offsets, w, sums);
  }
  if (left == 1) add_depthwise_taps<1, with_codes>(x, offsets, w, sums);
  if (left == 2) add_depthwise_taps<2, with_codes>(x, offsets, w, sums);
  if (left == 3) add_depthwise_taps<3, with_codes>(x, offsets, w, sums);
  if (d.product_factor != 1) {
    unroll<4>([&](auto i) __attribute__((always_inline)) {
      sums.products[i] = mul_sums(sums.products[i], d.product_factor);
    });
  }
  if constexpr (with_codes) {
    unroll<4>([&](auto i) __attribute__((always_inline)) {
      if (d.code_factor != 1) sums.codes[i] = mul_sums(sums.codes[i], d.code_factor);
      sums.products[i] = add_sums(sums.products[i], sums.codes[i]);
    });
  }
}

[[gnu::always_inline]] inline void store_depthwise_sums(const DepthwiseAccumulators& sums,
                                                        std::int64_t channels,
                                                        std::int32_t* out) noexcept {
  std::int32_t mixed[byte_lanes];
  unroll<4>([&](auto i) __attribute__((always_inline)) {
    store_sums(mixed + i * (byte_lanes / 4), sums.products[i]);
  });
  for (std::int64_t c = 0; c < channels; ++c) {
    out[c] = mixed[c % 16 / 4 * (byte_lanes / 4) + c / 16 * 4 + c % 4];
  }
}

[[gnu::always_inline]] inline Bytes depthwise_codes(const DepthwiseU8S8& d,
                                                    const StepVectors& codes_of_values,
                                                    const DepthwiseAccumulators& sums,
                                                    std::int64_t c) noexcept {
  Ints codes[4];
  unroll<4>([&](auto i) __attribute__((always_inline)) {
    const std::int64_t at = c + i * (byte_lanes / 4);
    const F32 y =
        fmadd_f32(sums_to_f32(sums.products[i]), load_f32(d.scale + at), load_f32(d.bias + at));
    codes[i] = codes_of_values(y);
  });
  return narrow_codes(codes[0], codes[1], codes[2], codes[3]);
}

template <bool with_codes>
inline void depthwise_u8s8_pixels(const DepthwiseU8S8& d) noexcept {
  const StepVectors codes_of_values{d.steps};
  const std::int64_t block_bytes = (d.taps + 3) / 4 * 4 * byte_lanes;
  for (std::int64_t p = 0; p < d.pixels; ++p) {
    const std::int8_t* w = d.w;
    for (std::int64_t c = 0; c < d.channels; c += byte_lanes, w += block_bytes) {
      DepthwiseAccumulators sums;
      depthwise_block<with_codes>(d, d.x + p * d.x_step + c, w, sums);
      const std::int64_t channels = std::min(byte_lanes, d.channels - c);
      if (d.sums != nullptr) {
        store_depthwise_sums(sums, channels, d.sums + p * d.channels + c);
        continue;
      }
      const Bytes codes = depthwise_codes(d, codes_of_values, sums, c);
      std::uint8_t* const out = d.codes + p * d.codes_step + c;
      if (channels == byte_lanes) {
        store_bytes(out, codes);
      } else {
        std::uint8_t part[byte_lanes];
        store_bytes(part, codes);
        std::memcpy(out, part, static_cast<std::size_t>(channels));
      }
    }
  }
}

inline void depthwise_u8s8(const DepthwiseU8S8& d) noexcept {
  if (d.code_factor != 0) {
    depthwise_u8s8_pixels<true>(d);
  } else {
    depthwise_u8s8_pixels<false>(d);
  }
}
