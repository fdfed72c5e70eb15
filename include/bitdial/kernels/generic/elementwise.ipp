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

/// Columns from `j` on of every row, vector by vector: what belongs to a channel is loaded once for
/// all rows. What is left goes to narrower vectors.
inline void requantize_tile_from(const RequantizeTile& q, std::int64_t j) noexcept {
  const F32 zero{};
  const StepVectors codes_of_values{q.steps};
  const Ints factor = broadcast_int(q.factor);
  for (; j + f32_lanes <= q.cols; j += f32_lanes) {
    const F32 scale = load_f32(q.scale + j), bias = load_f32(q.bias + j);
    for (std::int64_t r = 0; r < q.rows; ++r) {
      Ints sums = load_ints(q.sums + r * q.sums_stride + j);
      if (q.factor != 1) sums = mul_ints(sums, factor);
      if (q.row_factor != 0) {
        const auto row_sum = static_cast<std::uint32_t>(q.row_sums[r]);
        sums = add_ints(sums, broadcast_int(q.row_factor * row_sum));
      }
      if (q.offsets != nullptr) sums = add_ints(sums, load_ints(q.offsets[r] + j));
      F32 y = fmadd_f32(floats_of(sums), scale, bias);
      if (q.residual != nullptr) y = add_f32(y, load_f32(q.residual + r * q.residual_stride + j));
      if (q.relu) y = max_f32(y, zero);
      if (q.y != nullptr) store_f32(q.y + r * q.y_stride + j, y);
      if (q.codes != nullptr) {
        store_codes(q.codes + r * q.codes_stride + j, codes_of_values(y));
      }
    }
  }
  if (j < q.cols) narrower::requantize_tile_from(q, j);
}

inline void requantize_tile(const RequantizeTile& q) noexcept {
  requantize_tile_from(q, 0);
}

inline void maximum(const Maximum& m) noexcept {
  std::int64_t i = 0;
  for (; i + f32_lanes <= m.count; i += f32_lanes) {
    store_f32(m.y + i, max_f32(load_f32(m.x + i), load_f32(m.y + i)));
  }
  for (; i < m.count; ++i) m.y[i] = m.x[i] > m.y[i] ? m.x[i] : m.y[i];
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

inline void sum_rows(const SumRows& q) noexcept {
  for (std::int64_t r = 0; r < q.rows; ++r) {
    Bits sum{};
    for (std::int64_t s = 0; s < q.segments; ++s) {
      sum = add_run_sums(sum, q.codes + r * q.stride + q.offsets[s], q.count);
    }
    q.sums[r] = static_cast<std::int32_t>(sum_lanes(sum));
  }
}
