// SPDX-License-Identifier: Apache-2.0
// The kernels of batch normalisation: channels lie in lanes, what belongs to a channel stays in
// registers while the rows pass.
// Vocabulary: F32, f32_lanes, load_f32, store_f32, load_f32_part, store_f32_part, add_f32,
// fmadd_f32, and that of bit_mask.ipp.

/// Calls run(vectors, whole, first channel) for all channels: `vectors` and `whole` are constants,
/// the last vector of a row that does not fill it is not whole.
template <class Run>
[[gnu::always_inline]] inline void for_channel_vectors(std::int64_t channels, Run&& run) noexcept {
  std::int64_t c = 0;
  const auto repeat = [&](auto vectors) __attribute__((always_inline)) {
    for (; c + vectors * f32_lanes <= channels; c += vectors * f32_lanes) {
      run(vectors, std::true_type{}, c);
    }
  };
  repeat(std::integral_constant<int, 4>{});
  repeat(std::integral_constant<int, 2>{});
  repeat(std::integral_constant<int, 1>{});
  if (c < channels) run(std::integral_constant<int, 1>{}, std::false_type{}, c);
}

/// Loads and stores of whole vectors, or of the `count` lanes that exist.
template <bool whole>
[[gnu::always_inline]] inline F32 load_channels(const float* p, std::int64_t count) noexcept {
  if constexpr (whole) return load_f32(p);
  return load_f32_part(p, count);
}
template <bool whole>
[[gnu::always_inline]] inline void store_channels(float* p, F32 v, std::int64_t count) noexcept {
  if constexpr (whole) return store_f32(p, v);
  store_f32_part(p, v, count);
}

/// Elements i .. i + f32_lanes - 1 of dy, a multiple of f32_lanes, +0 where their bits are clear.
[[gnu::always_inline]] inline F32 load_gated(const float* dy, const std::uint32_t* words,
                                             std::int64_t i) noexcept {
  constexpr std::int64_t bits = mask_block - 1;
  return keep_where(load_f32(dy + i), repeat_words(words + (i & ~bits) / mask_block * mask_words),
                    load_ints(mask_places.bits + (i & bits)));
}

template <int vectors, bool whole, bool gated>
inline void channel_sums_at(const ChannelSums& s, std::int64_t c) noexcept {
  const std::int64_t count = s.channels - c;
  F32 first[2][vectors], second[2][vectors], shift[vectors];
  unroll<vectors>([&](auto v) __attribute__((always_inline)) {
    first[0][v] = first[1][v] = second[0][v] = second[1][v] = F32{};
    shift[v] = load_channels<whole>(s.shift + c + v * f32_lanes, count);
  });
  const float* const dy = s.dy;
  const auto add_row = [&](auto chain, std::int64_t at) __attribute__((always_inline)) {
    unroll<vectors>([&](auto v) __attribute__((always_inline)) {
      const std::int64_t i = at + v * f32_lanes;
      const F32 value = add_f32(load_channels<whole>(s.x + i, count), shift[v]);
      F32 a = value;
      if constexpr (gated) {
        a = load_gated(dy, s.words, i);
      } else if (dy != nullptr) {
        a = load_channels<whole>(dy + i, count);
      }
      first[chain][v] = add_f32(first[chain][v], a);
      second[chain][v] = fmadd_f32(a, value, second[chain][v]);
    });
  };
  std::int64_t at = c;
  for (std::int64_t r = s.rows; r >= 2; r -= 2, at += 2 * s.channels) {
    add_row(std::integral_constant<int, 0>{}, at);
    add_row(std::integral_constant<int, 1>{}, at + s.channels);
  }
  if (s.rows % 2 != 0) add_row(std::integral_constant<int, 0>{}, at);
  unroll<vectors>([&](auto v) __attribute__((always_inline)) {
    store_channels<whole>(s.first + c + v * f32_lanes, add_f32(first[0][v], first[1][v]), count);
    store_channels<whole>(s.second + c + v * f32_lanes, add_f32(second[0][v], second[1][v]), count);
  });
}

inline void channel_sums(const ChannelSums& s) noexcept {
  for_channel_vectors(s.channels, [&](auto vectors, auto whole, std::int64_t c) {
    if (whole && s.words != nullptr) {
      channel_sums_at<vectors, true, true>(s, c);
    } else {
      channel_sums_at<vectors, whole, false>(s, c);
    }
  });
}

template <int vectors, bool whole>
inline void scale_channels_at(const ScaleChannels& s, std::int64_t c) noexcept {
  const std::int64_t count = s.channels - c;
  F32 factor[vectors], shift[vectors];
  unroll<vectors>([&](auto v) __attribute__((always_inline)) {
    factor[v] = load_channels<whole>(s.factor + c + v * f32_lanes, count);
    shift[v] = load_channels<whole>(s.shift + c + v * f32_lanes, count);
  });
  for (std::int64_t at = c; at < s.rows * s.channels; at += s.channels) {
    unroll<vectors>([&](auto v) __attribute__((always_inline)) {
      const F32 x = load_channels<whole>(s.x + at + v * f32_lanes, count);
      store_channels<whole>(s.y + at + v * f32_lanes, fmadd_f32(x, factor[v], shift[v]), count);
    });
  }
}

inline void scale_channels(const ScaleChannels& s) noexcept {
  for_channel_vectors(s.channels, [&](auto vectors, auto whole, std::int64_t c) {
    scale_channels_at<vectors, whole>(s, c);
  });
}

template <int vectors, bool whole, bool gated>
inline void combine_channels_at(const CombineChannels& s, std::int64_t c) noexcept {
  const std::int64_t count = s.channels - c;
  F32 shift[vectors], a[vectors], b[vectors], k[vectors];
  unroll<vectors>([&](auto v) __attribute__((always_inline)) {
    shift[v] = load_channels<whole>(s.shift + c + v * f32_lanes, count);
    a[v] = load_channels<whole>(s.a + c + v * f32_lanes, count);
    b[v] = load_channels<whole>(s.b + c + v * f32_lanes, count);
    k[v] = load_channels<whole>(s.k + c + v * f32_lanes, count);
  });
  for (std::int64_t at = c; at < s.rows * s.channels; at += s.channels) {
    unroll<vectors>([&](auto v) __attribute__((always_inline)) {
      const std::int64_t i = at + v * f32_lanes;
      const F32 value = add_f32(load_channels<whole>(s.x + i, count), shift[v]);
      F32 dy;
      if constexpr (gated) {
        dy = load_gated(s.dy, s.words, i);
      } else {
        dy = load_channels<whole>(s.dy + i, count);
      }
      store_channels<whole>(s.y + i, fmadd_f32(dy, a[v], fmadd_f32(value, b[v], k[v])), count);
    });
  }
}

inline void combine_channels(const CombineChannels& s) noexcept {
  for_channel_vectors(s.channels, [&](auto vectors, auto whole, std::int64_t c) {
    if (whole && s.words != nullptr) {
      combine_channels_at<vectors, true, true>(s, c);
    } else {
      combine_channels_at<vectors, whole, false>(s, c);
    }
  });
}
