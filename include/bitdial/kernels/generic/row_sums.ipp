// SPDX-License-Identifier: Apache-2.0
// Sums of codes: of a run, and of the rows of a matrix tile, which may overlap.
// Vocabulary: Bits (lanes of 64 bits), bits_lanes, add_code_sums (8 codes a lane), CodePart and
// code_part(count) (fewer codes than a vector has, also none), add_code_sums_part, sum_lanes;
// RowLanes (rows that share a vector: those of adjacent_rows.ipp, or more); Ints, f32_lanes (of
// them, twice bits_lanes), narrow_lanes (of two Bits), ints_of_codes, load_ints, store_ints,
// broadcast_int, mul_ints, add_ints, add_neighbours (a0 + a1, a2 + a3, .. of both operands).

inline std::uint64_t sum_codes(const std::uint8_t* codes, std::int64_t count) noexcept {
  constexpr std::int64_t vector = 8 * bits_lanes;
  Bits sum{};
  for (; count >= vector; codes += vector, count -= vector) sum = add_code_sums(sum, codes);
  return sum_lanes(add_code_sums_part(sum, codes, code_part(count)));
}

/// The sums of each `lanes` lanes that follow each other in 2 * lanes vectors.
template <int lanes>
[[gnu::always_inline]] inline Ints add_lanes(const Bits* v) noexcept {
  if constexpr (lanes == 1) {
    return narrow_lanes(v[0], v[1]);
  } else {
    return add_neighbours(add_lanes<lanes / 2>(v), add_lanes<lanes / 2>(v + lanes));
  }
}

/// Rows that share no codes: `segments` runs of `count`.
struct SeparateRows {
  const std::uint8_t* codes;
  std::int64_t rows, stride, count, segments;
  const std::int64_t* offsets;
};

/// Rows that fill at most `lanes` lanes each, several to a vector; at least as many as a vector has
/// sums: the last block of so many may overlap.
template <int lanes>
inline void sum_short_rows(const SeparateRows& q, std::int32_t* sums) noexcept {
  const RowLanes row_lanes(q.stride, q.count, lanes);
  for (std::int64_t r = 0; r < q.rows; r += f32_lanes) {
    const std::int64_t first = std::min(r, q.rows - f32_lanes);
    Bits v[2 * lanes];
    unroll<2 * lanes>([&](auto i) __attribute__((always_inline)) { v[i] = Bits{}; });
    for (std::int64_t s = 0; s < q.segments; ++s) {
      const std::uint8_t* const codes = q.codes + first * q.stride + q.offsets[s];
      unroll<2 * lanes>([&](auto i) __attribute__((always_inline)) {
        v[i] = row_lanes.add(v[i], codes + i * (bits_lanes / lanes) * q.stride);
      });
    }
    store_ints(sums + first, add_lanes<lanes>(v));
  }
}

/// Rows in vectors of their own, four at once.
inline void sum_rows_apart(const SeparateRows& q, std::int32_t* sums) noexcept {
  constexpr std::int64_t vector = 8 * bits_lanes;
  constexpr int together = 4;
  const std::int64_t whole = q.count - q.count % vector;
  const CodePart part = code_part(q.count % vector);
  Bits v[2 * bits_lanes]{};
  for (std::int64_t r = 0; r < q.rows; r += together) {
    const std::uint8_t* codes[together];
    Bits sum[together];
    unroll<together>([&](auto i) __attribute__((always_inline)) {
      codes[i] = q.codes + std::min(r + i, q.rows - 1) * q.stride;
      sum[i] = Bits{};
    });
    for (std::int64_t s = 0; s < q.segments; ++s) {
      const std::int64_t end = q.offsets[s] + whole;
      for (std::int64_t k = q.offsets[s]; k < end; k += vector) {
        unroll<together>([&](auto i) __attribute__((always_inline)) {
          sum[i] = add_code_sums(sum[i], codes[i] + k);
        });
      }
      if (whole == q.count) continue;
      unroll<together>([&](auto i) __attribute__((always_inline)) {
        sum[i] = add_code_sums_part(sum[i], codes[i] + end, part);
      });
    }
    const std::int64_t place = r % f32_lanes;
    unroll<together>([&](auto i) __attribute__((always_inline)) { v[place + i] = sum[i]; });
    if (place == f32_lanes - together || r + together >= q.rows) {
      store_ints(sums + r - place, add_lanes<bits_lanes>(v));
    }
  }
}

/// Rows of parts that they share: row r of line l has `segments` runs of `taps` parts, run s from
/// l * line + s * distance + r * step on.
struct PartWindows {
  std::int64_t lines, line, rows, step, taps, segments, distance;
  std::uint32_t factor;

  /// Parts of one line, and of all.
  [[nodiscard]] std::int64_t line_parts() const noexcept { return (rows - 1) * step + taps; }
  [[nodiscard]] std::int64_t parts() const noexcept {
    return (lines - 1) * line + (segments - 1) * distance + line_parts();
  }
};

/// From the sums of parts to those of rows; reads whole vectors of parts.
[[gnu::noinline]] inline void sum_windows(const PartWindows& q, const std::int32_t* parts,
                                          std::int32_t* sums) noexcept {
  const Ints factor = broadcast_int(q.factor);
  const std::int32_t* const end = sums + q.lines * q.rows;
  for (std::int64_t l = 0; l < q.lines; ++l, parts += q.line) {
    for (std::int64_t r = 0; r < q.rows;) {
      Ints sum{};
      for (std::int64_t s = 0; s < q.segments; ++s) {
        const std::int32_t* const run = parts + s * q.distance + r * q.step;
        for (std::int64_t k = 0; k < q.taps; ++k) sum = add_ints(sum, load_ints(run + k));
      }
      sum = mul_ints(sum, factor);
      // What is stored beyond a line is stored again by the next one.
      if (q.step == 1 && end - sums >= f32_lanes) {
        store_ints(sums, sum);
        const std::int64_t count = std::min(f32_lanes, q.rows - r);
        sums += count;
        r += count;
      } else {
        std::int32_t some[f32_lanes];
        store_ints(some, sum);
        for (std::int64_t i = 0; i < f32_lanes && r < q.rows; i += q.step, ++r) *sums++ = some[i];
      }
    }
  }
}

/// Rows of fewer than 8 codes without gaps, at least as many as a vector has sums: their codes are
/// added over the segments first. The last block of so many rows may overlap.
inline void sum_narrow_rows(const SeparateRows& q, std::int32_t* sums) noexcept {
  for (std::int64_t r = 0; r < q.rows; r += f32_lanes) {
    const std::int64_t first = std::min(r, q.rows - f32_lanes);
    std::int32_t columns[f32_lanes * 8];
    for (std::int64_t k = 0; k < q.count * f32_lanes; k += f32_lanes) {
      Ints sum{};
      for (std::int64_t s = 0; s < q.segments; ++s) {
        sum = add_ints(sum, ints_of_codes(q.codes + first * q.stride + q.offsets[s] + k));
      }
      store_ints(columns + k, sum);
    }
    sum_windows({1, 0, f32_lanes, q.count, q.count, 1, 0, 1}, columns, sums + first);
  }
}

/// Writes whole vectors of sums.
inline void sum_separate_rows(const SeparateRows& q, std::int32_t* sums) noexcept {
  constexpr int half = bits_lanes / 2, quarter = half / 2;
  if (q.rows >= f32_lanes) {
    if constexpr (quarter > 1) {
      if (RowLanes::hold(q.stride, q.count, quarter)) return sum_short_rows<quarter>(q, sums);
    }
    if (RowLanes::hold(q.stride, q.count, half)) return sum_short_rows<half>(q, sums);
    if (q.count < 8 && q.stride == q.count) return sum_narrow_rows(q, sums);
  }
  sum_rows_apart(q, sums);
}

/// Of the sums that are kept at once; whole vectors are read and written beyond them.
inline constexpr std::int64_t most_sums = 768;

/// Rows that overlap share the sums of their parts, the largest that begin where rows do. Where
/// segments and lines are whole parts apart, and it is less, each part is summed once; otherwise
/// the segments are added first, line by line.
inline void sum_rows(const SumRows& q) noexcept {
  if (q.rows == 0) return;
  std::int32_t sums[most_sums + 2 * f32_lanes];
  std::int64_t part = q.count, stride = q.stride;
  PartWindows rows{1, 0, q.rows, 1, 1, 1, 0, q.factor};
  if (q.stride > 0 && q.stride < q.count) {
    const std::int64_t common = greatest_common_divisor(q.count, q.stride);
    const bool are_short = RowLanes::hold(q.stride, q.count, bits_lanes / 2);
    if ((common >= 8 || !are_short) && q.count < common * f32_lanes) {
      part = stride = common;
      rows.step = q.stride / part;
      rows.taps = q.count / part;
    }
  }
  if (rows.taps > 1 && q.lines > 1) {
    PartWindows all = rows;
    const std::int64_t between = q.segments > 1 ? q.offsets[1] - q.offsets[0] : 0;
    bool regular = between % part == 0 && q.line % part == 0;
    for (std::int64_t s = 2; s < q.segments; ++s) {
      regular &= q.offsets[s] - q.offsets[s - 1] == between;
    }
    all.lines = q.lines;
    all.line = q.line / part;
    all.segments = q.segments;
    all.distance = between / part;
    const std::int64_t parts = all.parts();
    if (regular && parts <= most_sums &&
        2 * parts < q.lines * rows.line_parts() * (q.segments + 1)) {
      sum_separate_rows({q.codes + q.offsets[0], parts, part, part, 1, whole_row}, sums);
      return sum_windows(all, sums, q.sums);
    }
  }
  const std::int64_t most = (most_sums - rows.taps) / rows.step + 1;
  for (std::int64_t l = 0; l < q.lines; ++l) {
    for (std::int64_t r = 0; r < q.rows; r += most) {
      rows.rows = std::min(most, q.rows - r);
      const std::uint8_t* const codes = q.codes + l * q.line + r * q.stride;
      sum_separate_rows({codes, rows.line_parts(), stride, part, q.segments, q.offsets}, sums);
      sum_windows(rows, sums, q.sums + l * q.rows + r);
    }
  }
}
