// SPDX-License-Identifier: Apache-2.0
// Sums of codes that are given as bit planes. Without a vocabulary of its own: the same text counts
// bits by the instruction where there is one.

/// The bits of a run of `count`.
inline std::int64_t ones_of_run(const std::uint8_t* run, std::int64_t count) noexcept {
  std::int64_t ones = 0;
  std::uint64_t word = 0;
  for (; count >= 64; count -= 64, run += 8) {
    std::memcpy(&word, run, sizeof word);
    ones += std::popcount(word);
  }
  if (count == 0) return ones;
  std::memcpy(&word, run, sizeof word);
  return ones + std::popcount(word & ((std::uint64_t{1} << count) - 1));
}

inline void sum_plane_rows(const SumPlaneRows& q) noexcept {
  for (std::int64_t r = 0; r < q.rows; ++r) {
    std::int64_t sum = 0;
    for (std::int64_t p = 0; p < q.planes; ++p) {
      const std::uint8_t* const plane = q.a + r * q.a_stride + p * q.plane_stride;
      sum *= 2;
      for (std::int64_t s = 0; s < q.segments; ++s) {
        sum += ones_of_run(plane + q.offsets[s], q.count);
      }
    }
    q.sums[r] = static_cast<std::int32_t>(q.factor * static_cast<std::uint32_t>(sum));
  }
}
