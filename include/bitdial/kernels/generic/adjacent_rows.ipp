// SPDX-License-Identifier: Apache-2.0
// The rows that share a vector for row_sums.ipp, where it takes a permutation that a machine does
// not have to gather others: those without gaps.
// Vocabulary: Bits, add_code_sums.

/// Rows of codes that share a vector: those without gaps that fill `lanes` lanes each.
struct RowLanes {
  RowLanes(std::int64_t, std::int64_t, int) noexcept {}
  [[nodiscard]] static bool hold(std::int64_t stride, std::int64_t count, int lanes) noexcept {
    return stride == count && count == 8 * lanes;
  }
  [[nodiscard]] Bits add(Bits sum, const std::uint8_t* p) const noexcept {
    return add_code_sums(sum, p);
  }
};
