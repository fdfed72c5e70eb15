// SPDX-License-Identifier: Apache-2.0
// The meaning of the kernels of batch normalisation, in portable C++.

/// Element `at` of dy, +0 where its bit is clear.
inline float gated_at(const float* dy, const std::uint32_t* words, std::int64_t at) noexcept {
  if (words == nullptr) return dy[at];
  const std::uint32_t word = words[at / mask_block * mask_words + at % mask_words];
  return (word >> (at % mask_block / mask_words) & 1U) != 0 ? dy[at] : 0.0F;
}

inline void channel_sums(const ChannelSums& s) noexcept {
  for (std::int64_t c = 0; c < s.channels; ++c) {
    float first[2] = {}, second[2] = {};
    for (std::int64_t r = 0; r < s.rows; ++r) {
      const std::int64_t at = r * s.channels + c;
      const float v = s.x[at] + s.shift[c];
      const float a = s.dy == nullptr ? v : gated_at(s.dy, s.words, at);
      first[r % 2] += a;
      second[r % 2] = std::fma(a, v, second[r % 2]);
    }
    s.first[c] = first[0] + first[1];
    s.second[c] = second[0] + second[1];
  }
}

inline void scale_channels(const ScaleChannels& s) noexcept {
  for (std::int64_t r = 0; r < s.rows; ++r) {
    for (std::int64_t c = 0; c < s.channels; ++c) {
      const std::int64_t at = r * s.channels + c;
      s.y[at] = std::fma(s.x[at], s.factor[c], s.shift[c]);
    }
  }
}

inline void combine_channels(const CombineChannels& s) noexcept {
  for (std::int64_t r = 0; r < s.rows; ++r) {
    for (std::int64_t c = 0; c < s.channels; ++c) {
      const std::int64_t at = r * s.channels + c;
      const float v = s.x[at] + s.shift[c];
      s.y[at] = std::fma(gated_at(s.dy, s.words, at), s.a[c], std::fma(v, s.b[c], s.k[c]));
    }
  }
}
