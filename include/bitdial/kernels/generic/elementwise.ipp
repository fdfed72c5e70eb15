// SPDX-License-Identifier: Apache-2.0
// The element-wise kernels. Tails go through the one-element functions of the portable table.
// Vocabulary: that of code_steps.ipp, f32_lanes, load_f32, store_f32, add_f32, load_ints,
// broadcast_int, mul_ints, add_ints (modulo 2^32), floats_of, store_codes, Codes64, load_codes64,
// plane_word, bits_lanes, add_code_sums, add_code_sums_part (of fewer codes than a vector has),
// sum_lanes.

inline void quantize(const Quantize& q) noexcept {
  const StepVectors codes_of_values{q.steps};
  std::int64_t i = 0;
  for (; i + f32_lanes <= q.count; i += f32_lanes) {
    store_codes(q.codes + i, codes_of_values(load_f32(q.x + i)));
  }
  for (; i < q.count; ++i) q.codes[i] = scalar::code_of(q.x[i], q.steps);
}

inline void requantize(const Requantize& q) noexcept {
  const F32 zero{};
  const Ints factor = broadcast_int(q.factor), constant = broadcast_int(q.constant);
  std::int64_t i = 0;
  for (; i + f32_lanes <= q.count; i += f32_lanes) {
    Ints sums = load_ints(q.sums + i);
    if (q.factor != 1) sums = mul_ints(sums, factor);
    sums = add_ints(sums, constant);
    if (q.offsets != nullptr) sums = add_ints(sums, load_ints(q.offsets + i));
    F32 y = fmadd_f32(floats_of(sums), load_f32(q.scale + i), load_f32(q.bias + i));
    if (q.residual != nullptr) y = add_f32(y, load_f32(q.residual + i));
    if (q.relu) y = max_f32(y, zero);
    store_f32(q.y + i, y);
  }
  for (; i < q.count; ++i) q.y[i] = scalar::requantize_one(q, i);
}

/// `vectors` vectors of columns from `j` on, in every row: what belongs to a channel is loaded once
/// for all rows, and operands into locals, which no store of a code can change.
template <int vectors>
inline void requantize_columns(const RequantizeTile& q, const StepVectors& steps,
                               std::int64_t j) noexcept {
  const F32 zero{};
  const StepVectors codes_of_values = steps;
  const Ints factor = broadcast_int(q.factor);
  const bool has_factor = q.factor != 1;
  // Codes at equal steps begin at 0, and there is no value below.
  const bool rectifies = q.relu && (q.y != nullptr || q.steps.thresholds != nullptr);
  const std::uint32_t row_factor = q.row_factor;
  const std::int64_t rows = q.rows, sums_stride = q.sums_stride, y_stride = q.y_stride;
  const std::int64_t codes_stride = q.codes_stride, residual_stride = q.residual_stride;
  const std::int32_t* const row_sums = q.row_sums;
  const std::uint32_t* const* const offsets = q.offsets;
  const std::int32_t* sums_of_row = q.sums + j;
  const float* residual = q.residual == nullptr ? nullptr : q.residual + j;
  float* y_of_row = q.y == nullptr ? nullptr : q.y + j;
  std::uint8_t* codes = q.codes == nullptr ? nullptr : q.codes + j;
  F32 scale[vectors], bias[vectors];
  unroll<vectors>([&](auto v) __attribute__((always_inline)) {
    scale[v] = load_f32(q.scale + j + v * f32_lanes);
    bias[v] = load_f32(q.bias + j + v * f32_lanes);
  });
  for (std::int64_t r = 0; r < rows; ++r) {
    Ints constant{};
    if (row_factor != 0) {
      constant = broadcast_int(row_factor * static_cast<std::uint32_t>(row_sums[r]));
    }
    unroll<vectors>([&](auto v) __attribute__((always_inline)) {
      Ints sums = load_ints(sums_of_row + v * f32_lanes);
      if (has_factor) sums = mul_ints(sums, factor);
      sums = add_ints(sums, constant);
      if (offsets != nullptr) sums = add_ints(sums, load_ints(offsets[r] + j + v * f32_lanes));
      F32 y = fmadd_f32(floats_of(sums), scale[v], bias[v]);
      if (residual != nullptr) y = add_f32(y, load_f32(residual + v * f32_lanes));
      if (rectifies) y = max_f32(y, zero);
      if (y_of_row != nullptr) store_f32(y_of_row + v * f32_lanes, y);
      if (codes != nullptr) store_codes(codes + v * f32_lanes, codes_of_values(y));
    });
    sums_of_row += sums_stride;
    if (residual != nullptr) residual += residual_stride;
    if (y_of_row != nullptr) y_of_row += y_stride;
    if (codes != nullptr) codes += codes_stride;
  }
}

/// Columns from `j` on of every row. What is left goes to narrower vectors.
inline void requantize_tile_from(const RequantizeTile& q, std::int64_t j) noexcept {
  const StepVectors steps{q.steps};
  for (; j + 2 * f32_lanes <= q.cols; j += 2 * f32_lanes) requantize_columns<2>(q, steps, j);
  if (j + f32_lanes <= q.cols) {
    requantize_columns<1>(q, steps, j);
    j += f32_lanes;
  }
  if (j < q.cols) narrower::requantize_tile_from(q, j);
}

inline void requantize_tile(const RequantizeTile& q) noexcept {
  requantize_tile_from(q, 0);
}

inline void maximum(const Maximum& m) noexcept {
  std::int64_t i = 0;
  for (; i + f32_lanes <= m.count; i += f32_lanes) {
    F32 most = load_f32(m.x + i);
    for (std::int64_t l = 0; l < m.lines; ++l) {
      const float* x = m.x + l * m.line_stride + i;
      for (std::int64_t c = 0; c < m.columns; ++c, x += m.column_stride) {
        most = max_f32(load_f32(x), most);
      }
    }
    store_f32(m.y + i, most);
  }
  scalar::maximum_from(m, i);
}

inline void pack_planes(const PackPlanes& p) noexcept {
  const std::int64_t full = p.count / 64;
  for (std::int64_t word = 0; word < full; ++word) {
    const Codes64 codes = load_codes64(p.codes + word * 64);
    for (int plane = 0; plane < p.bits; ++plane) {
      p.planes[plane * p.plane_stride + word * p.word_stride] =
          plane_word(codes, p.bits - 1 - plane);
    }
  }
  if (full * 64 < p.count) scalar::pack_planes_word(p, full);
}

inline Bits add_run_sums(Bits sum, const std::uint8_t* codes, std::int64_t count) noexcept {
  constexpr std::int64_t lanes = 8 * bits_lanes;
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) sum = add_code_sums(sum, codes + i);
  return i < count ? add_code_sums_part(sum, codes + i, count - i) : sum;
}

inline std::uint64_t sum_codes(const std::uint8_t* codes, std::int64_t count) noexcept {
  return sum_lanes(add_run_sums(Bits{}, codes, count));
}

/// The sum of `count` codes of every segment, from `begin` on.
inline Bits add_segment_sums(const SumRows& q, std::int64_t begin, std::int64_t count) noexcept {
  Bits sum{};
  for (std::int64_t s = 0; s < q.segments; ++s) {
    sum = add_run_sums(sum, q.codes + begin + q.offsets[s], count);
  }
  return sum;
}

/// Parts of rows that overlap are summed once: parts of 8 codes, the lanes of a vector, or of whole
/// vectors where rows begin at such distances. False where rows have no such parts, or too many.
inline bool sum_parts_of_rows(const SumRows& q) noexcept {
  constexpr std::int64_t vector = 8 * bits_lanes, most = 256;
  const std::int64_t bytes = (q.rows - 1) * q.stride + q.count;
  std::int32_t sums[most + bits_lanes];
  if (q.stride < 8 || q.stride > q.count || bytes < vector) return false;
  if (q.stride % vector == 0 && q.count % vector == 0) {
    const std::int64_t part = std::gcd(q.stride, q.count), parts = bytes / part;
    if (parts > most) return false;
    for (std::int64_t i = 0; i < parts; ++i) {
      sums[i] = static_cast<std::int32_t>(sum_lanes(add_segment_sums(q, i * part, part)));
    }
    scalar::sum_rows_of_parts(q, {.sums = sums, .count = parts, .size = part});
    return true;
  }
  if (q.stride % 8 != 0 || q.count % 8 != 0 || bytes > most * 8) return false;
  for (std::int64_t begin = 0; begin < bytes; begin += vector) {
    const std::int64_t at = std::min(begin, bytes - vector);
    store_lanes(sums + at / 8, add_segment_sums(q, at, vector));
  }
  scalar::sum_rows_of_parts(q, {.sums = sums, .count = bytes / 8, .size = 8});
  return true;
}

inline void sum_rows(const SumRows& q) noexcept {
  if (q.rows > 1 && sum_parts_of_rows(q)) return;
  for (std::int64_t r = 0; r < q.rows; ++r) {
    q.sums[r] = static_cast<std::int32_t>(sum_lanes(add_segment_sums(q, r * q.stride, q.count)));
  }
}
