// SPDX-License-Identifier: Apache-2.0
// The kernels of masks: a block of 128 bits is one vector of words, repeated every four lanes.
// Vocabulary: F32, f32_lanes, load_f32, store_f32, add_f32, max_f32, broadcast_f32, Ints,
// load_ints, add_bits_between (bits where low <= x <= high), add_bits_above (bits where x > low),
// repeat_words, store_words (of lanes that are four apart), keep_where (x where words and bits
// meet, else +0).

/// The bit of each element of a block in its word.
inline constexpr struct MaskPlaces {
  std::uint32_t bits[mask_block];
  constexpr MaskPlaces() noexcept : bits{} {
    for (std::int64_t i = 0; i < mask_block; ++i) bits[i] = 1U << (i / mask_words);
  }
} mask_places;

inline constexpr int mask_vectors = static_cast<int>(mask_block / f32_lanes);

/// The words of a block: add_bits(v, marked, x, bits) adds those of vector v to the marked ones.
template <class AddBits>
[[gnu::always_inline]] inline void mark_block(std::uint32_t* words, const float* x,
                                              AddBits&& add_bits) noexcept {
  Ints marked{};
  unroll<mask_vectors>([&](auto v) __attribute__((always_inline)) {
    marked = add_bits(v, marked, load_f32(x + v * f32_lanes),
                      load_ints(mask_places.bits + v * f32_lanes));
  });
  store_words(words, marked);
}

inline void mark_between(const MarkBetween& m) noexcept {
  const F32 low = broadcast_f32(&m.low), high = broadcast_f32(&m.high);
  for (std::int64_t block = 0; block < m.blocks; ++block) {
    mark_block(
        m.words + block * mask_words, m.x + block * mask_block,
        [&](auto, Ints marked, F32 x, Ints bits) __attribute__((always_inline)) {
          return add_bits_between(marked, x, low, high, bits);
        });
  }
}

inline void rectify(const Rectify& m) noexcept {
  const F32 zero{};
  for (std::int64_t block = 0; block < m.blocks; ++block) {
    float* const y = m.y + block * mask_block;
    mark_block(
        m.words + block * mask_words, m.x + block * mask_block,
        [&](auto v, Ints marked, F32 x, Ints bits) __attribute__((always_inline)) {
          store_f32(y + v * f32_lanes, max_f32(x, zero));
          return add_bits_above(marked, x, zero, bits);
        });
  }
}

inline void gate(const Gate<float>& m) noexcept {
  for (std::int64_t block = 0; block < m.blocks; ++block) {
    const float* const x = m.x + block * mask_block;
    float* const y = m.y + block * mask_block;
    const Ints words = repeat_words(m.words + block * mask_words);
    unroll<mask_vectors>([&](auto v) __attribute__((always_inline)) {
      store_f32(y + v * f32_lanes, keep_where(load_f32(x + v * f32_lanes), words,
                                              load_ints(mask_places.bits + v * f32_lanes)));
    });
  }
}

template <bool gates_a, bool gates_b>
inline void add_gated_terms(const AddGated& m) noexcept {
  for (std::int64_t block = 0; block < m.blocks; ++block) {
    const std::int64_t at = block * mask_block, word = block * mask_words;
    Ints a_words{}, b_words{};
    if constexpr (gates_a) a_words = repeat_words(m.a_words + word);
    if constexpr (gates_b) b_words = repeat_words(m.b_words + word);
    unroll<mask_vectors>([&](auto v) __attribute__((always_inline)) {
      const std::int64_t i = at + v * f32_lanes;
      const Ints bits = load_ints(mask_places.bits + v * f32_lanes);
      F32 a = load_f32(m.a + i), b = load_f32(m.b + i);
      if constexpr (gates_a) a = keep_where(a, a_words, bits);
      if constexpr (gates_b) b = keep_where(b, b_words, bits);
      store_f32(m.y + i, add_f32(a, b));
    });
  }
}

inline void add_gated(const AddGated& m) noexcept {
  if (m.a_words != nullptr && m.b_words != nullptr) return add_gated_terms<true, true>(m);
  if (m.a_words != nullptr) return add_gated_terms<true, false>(m);
  if (m.b_words != nullptr) return add_gated_terms<false, true>(m);
  add_gated_terms<false, false>(m);
}
