// SPDX-License-Identifier: Apache-2.0
// The meaning of the kernels of masks, in portable C++: loops over four lanes, as the words lie.

/// The four words of a block from passes(element).
template <class T, class Passes>
void mark_block(std::uint32_t* words, const T* x, Passes passes) noexcept {
  std::uint32_t collected[mask_words] = {};
  for (std::int64_t j = 0; j < mask_block / mask_words; ++j, x += mask_words) {
    for (std::int64_t l = 0; l < mask_words; ++l) collected[l] |= (passes(x[l]) ? 1U : 0U) << j;
  }
  std::copy_n(collected, mask_words, words);
}

inline void mark_between(const MarkBetween& m) noexcept {
  for (std::int64_t block = 0; block < m.blocks; ++block) {
    mark_block(m.words + block * mask_words, m.x + block * mask_block,
               [&m](float x) { return x >= m.low && x <= m.high; });
  }
}

inline void rectify(const Rectify& m) noexcept {
  for (std::int64_t block = 0; block < m.blocks; ++block) {
    mark_block(m.words + block * mask_words, m.x + block * mask_block,
               [](float x) { return x > 0.0F; });
  }
  for (std::int64_t i = 0; i < m.blocks * mask_block; ++i) m.y[i] = m.x[i] > 0.0F ? m.x[i] : 0.0F;
}

template <class T>
void gate(const Gate<T>& m) noexcept {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  const T* x = m.x;
  T* y = m.y;
  for (std::int64_t block = 0; block < m.blocks; ++block) {
    for (std::int64_t j = 0; j < mask_block / mask_words; ++j, x += mask_words, y += mask_words) {
      T kept[mask_words];
      for (std::int64_t l = 0; l < mask_words; ++l) {
        const Bits bit = m.words[block * mask_words + l] >> j & 1U;
        kept[l] = std::bit_cast<T>(std::bit_cast<Bits>(x[l]) & (Bits{0} - bit));
      }
      std::copy_n(kept, mask_words, y);
    }
  }
}

inline void add_gated(const AddGated& m) noexcept {
  for (std::int64_t block = 0; block < m.blocks; ++block) {
    const auto term = [block](const float* x, const std::uint32_t* words, float* kept) {
      x += block * mask_block;
      if (words == nullptr) {
        std::copy_n(x, mask_block, kept);
      } else {
        gate<float>({.blocks = 1, .words = words + block * mask_words, .x = x, .y = kept});
      }
    };
    float a[mask_block], b[mask_block];
    term(m.a, m.a_words, a);
    term(m.b, m.b_words, b);
    for (std::int64_t i = 0; i < mask_block; ++i) m.y[block * mask_block + i] = a[i] + b[i];
  }
}
