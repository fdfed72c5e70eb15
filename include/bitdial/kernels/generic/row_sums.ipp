// SPDX-License-Identifier: Apache-2.0
// Sums of codes: of a run, and of the rows of a matrix tile, which may overlap.
// Vocabulary: Bits (lanes of 64 bits), bits_lanes, add_code_sums (8 codes a lane), CodePart and
// code_part(count) (fewer codes than a vector has, also none), add_code_sums_part, sum_lanes,
// store_lanes (as int32); Ints, f32_lanes (of them), load_ints, store_ints, add_ints,
// add_neighbours (a0 + a1, a2 + a3, .. of both operands).

/// `whole` vectors and a part of one.
[[gnu::always_inline]] inline Bits add_run_sums(Bits sum, const std::uint8_t* codes,
                                                std::int64_t whole, CodePart part) noexcept {
  constexpr std::int64_t vector = 8 * bits_lanes;
  for (std::int64_t i = 0; i < whole; ++i) sum = add_code_sums(sum, codes + i * vector);
  return add_code_sums_part(sum, codes + whole * vector, part);
}

inline std::uint64_t sum_codes(const std::uint8_t* codes, std::int64_t count) noexcept {
  constexpr std::int64_t vector = 8 * bits_lanes;
  return sum_lanes(add_run_sums(Bits{}, codes, count / vector, code_part(count % vector)));
}

/// Rows that overlap share the sums of their parts, and rows of few codes are summed several to a
/// vector: parts of 8 codes first, then the largest parts that begin where rows do, then those of
/// each row. False where rows have no such parts, or too many.
inline bool sum_parts_of_rows(const SumRows& q) noexcept {
  constexpr std::int64_t vector = 8 * bits_lanes, most = 512;
  const std::int64_t bytes = (q.rows - 1) * q.stride + q.count;
  if (q.stride <= 0 || q.stride > q.count) return false;
  if (q.stride % 8 != 0 || q.count % 8 != 0) return false;
  if (bytes < vector || bytes > most * 8) return false;
  std::int32_t sums[most + 2 * f32_lanes];
  std::fill_n(sums + bytes / 8, 2 * f32_lanes, 0);  // whole vectors are read
  for (std::int64_t begin = 0; begin < bytes; begin += vector) {
    const std::int64_t at = std::min(begin, bytes - vector);
    Bits sum{};
    for (std::int64_t s = 0; s < q.segments; ++s) {
      sum = add_code_sums(sum, q.codes + at + q.offsets[s]);
    }
    store_lanes(sums + at / 8, sum);
  }
  std::int64_t count = bytes / 8, step = q.stride / 8, taps = q.count / 8;
  for (; step % 2 == 0 && taps % 2 == 0; count /= 2, step /= 2, taps /= 2) {
    for (std::int64_t i = 0; i < count / 2; i += f32_lanes) {
      store_ints(sums + i,
                 add_neighbours(load_ints(sums + 2 * i), load_ints(sums + 2 * i + f32_lanes)));
    }
  }
  if (step == 1) {
    for (std::int64_t r = 0; r < q.rows; r += f32_lanes) {
      Ints sum = load_ints(sums + r);
      for (std::int64_t k = 1; k < taps; ++k) sum = add_ints(sum, load_ints(sums + r + k));
      store_ints(sums + r, sum);
    }
  } else {
    for (std::int64_t r = 0; r < q.rows; ++r) {
      std::int32_t sum = sums[r * step];
      for (std::int64_t k = 1; k < taps; ++k) sum += sums[r * step + k];
      sums[r] = sum;
    }
  }
  std::memcpy(q.sums, sums, static_cast<std::size_t>(q.rows) * sizeof(std::int32_t));
  return true;
}

inline void sum_rows(const SumRows& q) noexcept {
  if (q.rows > 1 && sum_parts_of_rows(q)) return;
  constexpr std::int64_t vector = 8 * bits_lanes;
  const std::int64_t whole = q.count / vector;
  const CodePart part = code_part(q.count % vector);
  for (std::int64_t r = 0; r < q.rows; ++r) {
    Bits sum{};
    for (std::int64_t s = 0; s < q.segments; ++s) {
      sum = add_run_sums(sum, q.codes + r * q.stride + q.offsets[s], whole, part);
    }
    q.sums[r] = static_cast<std::int32_t>(sum_lanes(sum));
  }
}
