// SPDX-License-Identifier: Apache-2.0
// The element-wise kernels. Tails go through the one-element functions of the portable table.
// Vocabulary: F32, f32_lanes, load_f32, store_f32, broadcast_f32, fmadd_f32, max_f32 and min_f32
// (the second operand when one is NaN), mul_f32, add_f32, Ints, load_ints, broadcast_int,
// mul_ints, add_ints (modulo 2^32), floats_of, store_codes
// (rounds half to even), Codes64, load_codes64, plane_word, bits_lanes, add_code_sums, sum_lanes.

/// No addition follows the product, so there is nothing that a compiler could contract.
inline void quantize(const Quantize& q) noexcept {
  const float limit_value = static_cast<float>(q.max_code);
  const F32 zero{};
  const F32 clip = broadcast_f32(&q.clip);
  const F32 inverse_step = broadcast_f32(&q.inverse_step);
  const F32 limit = broadcast_f32(&limit_value);
  std::int64_t i = 0;
  for (; i + f32_lanes <= q.count; i += f32_lanes) {
    const F32 clipped = min_f32(max_f32(load_f32(q.x + i), zero), clip);
    store_codes(q.codes + i, min_f32(mul_f32(clipped, inverse_step), limit));
  }
  for (; i < q.count; ++i) q.codes[i] = scalar::quantize_one(q.x[i], q);
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

/// Column by column of vectors: what belongs to a channel is loaded once for all rows.
inline void requantize_tile(const RequantizeTile& q) noexcept {
  const float limit_value = static_cast<float>(q.max_code);
  const F32 zero{};
  const F32 clip = broadcast_f32(&q.clip);
  const F32 inverse_step = broadcast_f32(&q.inverse_step);
  const F32 limit = broadcast_f32(&limit_value);
  const Ints factor = broadcast_int(q.factor);
  std::int64_t j = 0;
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
        const F32 clipped = min_f32(max_f32(y, zero), clip);
        store_codes(q.codes + r * q.codes_stride + j,
                    min_f32(mul_f32(clipped, inverse_step), limit));
      }
    }
  }
  if (j < q.cols) scalar::requantize_tile_from(q, j);
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

inline std::uint64_t sum_codes(const std::uint8_t* codes, std::int64_t count) noexcept {
  Bits sum{};
  std::int64_t i = 0;
  for (; i + 8 * bits_lanes <= count; i += 8 * bits_lanes) sum = add_code_sums(sum, codes + i);
  return sum_lanes(sum) + scalar::sum_codes(codes + i, count - i);
}
