// SPDX-License-Identifier: Apache-2.0
// The transforms of Winograd's minimal filtering whose numbers are rounded to bfloat16 on their way
// to memory.
// Vocabulary: that of winograd.ipp, and store_bf16 and store_bf16_pairs of gemm_bf16.ipp.

/// Stores of whole vectors, or of the `count` lanes that exist.
template <bool whole>
struct RoundedStores {
  [[gnu::always_inline]] static inline void put(std::uint16_t* p, F32 x,
                                                std::int64_t count) noexcept {
    if constexpr (whole) return store_bf16(p, x);
    std::uint16_t all[f32_lanes];
    store_bf16(all, x);
    std::copy_n(all, count, p);
  }
  [[gnu::always_inline]] static inline void put_pairs(std::uint16_t* p, F32 first, F32 second,
                                                      std::int64_t count) noexcept {
    if constexpr (whole) return store_bf16_pairs(p, first, second);
    std::uint16_t all[2 * f32_lanes];
    store_bf16_pairs(all, first, second);
    std::copy_n(all, 2 * count, p);
  }

  /// Writes what `numbers` computes for the channels from c on.
  template <class Numbers>
  [[gnu::always_inline]] static inline void put_numbers(
      const Numbers& numbers, std::int64_t groups, std::int64_t channels, std::int64_t c,
      const WinogradNumbers<std::uint16_t>& to) noexcept {
    const auto column = to.column(c, channels);
    std::uint16_t* p = column.data;
    const std::int64_t step = to.step;
    if (!to.paired) {
      for (std::int64_t g = 0; g < groups; ++g, p += column.step) {
        F32 v[6];
        numbers(g, v);
        unroll<6>([&](auto k)
                      __attribute__((always_inline)) { put(p + k * step, v[k], channels - c); });
      }
      return;
    }
    const std::int64_t half = (groups + 1) / 2;
    for (std::int64_t g = 0; g < half; ++g, p += column.step) {
      F32 v[6], second[6] = {};
      numbers(g, v);
      if (g + half < groups) numbers(g + half, second);
      unroll<6>([&](auto k) __attribute__((always_inline)) {
        put_pairs(p + k * step, v[k], second[k], channels - c);
      });
    }
  }
};

inline void winograd_inputs_bf16(const WinogradInputs<std::uint16_t>& w) noexcept {
  for_single_vectors(w.channels, [&](auto whole, std::int64_t c) {
    RoundedStores<whole>::put_numbers(NumbersOfInputs<whole>(w, c), w.groups, w.channels, c, w.v);
  });
}

inline void winograd_slopes_bf16(const WinogradSlopes<std::uint16_t>& w) noexcept {
  for_single_vectors(w.channels, [&](auto whole, std::int64_t c) {
    RoundedStores<whole>::put_numbers(NumbersOfSlopes<whole>(w, c), w.groups, w.channels, c, w.u);
  });
}
