// SPDX-License-Identifier: Apache-2.0
// The element-wise kernels. Tails go through the one-element functions of the portable table, those
// of requantize_tile through the kernel of `narrower`, the namespace of the next weaker table.
// Vocabulary: that of code_steps.ipp, f32_lanes, load_f32, store_f32, add_f32, load_ints,
// broadcast_int, mul_ints, add_ints (modulo 2^32), floats_of, store_codes, Codes64, load_codes64,
// plane_word.

inline void quantize(const Quantize& q) noexcept {
  const StepVectors codes_of_values{q.steps};
  std::int64_t i = 0;
  for (; i + f32_lanes <= q.count; i += f32_lanes) {
    const F32 x[1]{load_f32(q.x + i)};
    Ints codes[1];
    codes_of_values(x, codes);
    store_codes(q.codes + i, codes[0]);
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

/// `vectors` vectors of columns from `j` on in every row, `group` rows at once: what belongs to a
/// channel is loaded once for all rows, and operands into locals, which no store of a code can
/// change.
template <int group, int vectors>
inline void requantize_columns(const RequantizeTile& q, const StepVectors& steps,
                               std::int64_t j) noexcept {
  const F32 zero{};
  const StepVectors codes_of_values = steps;
  const Ints factor = broadcast_int(q.factor);
  // Codes at equal steps begin at 0, and there is no value below.
  const bool rectifies = q.relu && (q.y != nullptr || q.steps.thresholds != nullptr);
  const std::uint32_t row_factor = q.row_factor;
  const std::int64_t sums_stride = q.sums_stride, y_stride = q.y_stride;
  const std::int64_t codes_stride = q.codes_stride, residual_stride = q.residual_stride;
  const std::int32_t* const row_sums = q.row_sums;
  const std::uint32_t* const* const offsets = q.offsets;
  const std::int32_t* sums = q.sums + j;
  const float* residual = q.residual == nullptr ? nullptr : q.residual + j;
  float* y = q.y == nullptr ? nullptr : q.y + j;
  std::uint8_t* codes = q.codes == nullptr ? nullptr : q.codes + j;
  F32 scale[vectors], bias[vectors];
  unroll<vectors>([&](auto v) __attribute__((always_inline)) {
    scale[v] = load_f32(q.scale + j + v * f32_lanes);
    bias[v] = load_f32(q.bias + j + v * f32_lanes);
  });
  const auto requantize_rows = [&](auto rows, std::int64_t first) __attribute__((always_inline)) {
    const auto each = [&](auto&& body) __attribute__((always_inline)) {
      unroll<rows * vectors>([&](auto i) __attribute__((always_inline)) {
        constexpr int r = i / vectors, v = i % vectors;
        body(std::integral_constant<int, r>{}, std::integral_constant<int, v>{}, v * f32_lanes);
      });
    };
    Ints integers[rows][vectors];
    each([&](auto r, auto v, std::int64_t at) __attribute__((always_inline)) {
      integers[r][v] = mul_ints(load_ints(sums + r * sums_stride + at), factor);
    });
    if (row_factor != 0) {
      each([&](auto r, auto v, std::int64_t) __attribute__((always_inline)) {
        const auto sum = static_cast<std::uint32_t>(row_sums[first + r]);
        integers[r][v] = add_ints(integers[r][v], broadcast_int(row_factor * sum));
      });
    }
    if (offsets != nullptr) {
      each([&](auto r, auto v, std::int64_t at) __attribute__((always_inline)) {
        integers[r][v] = add_ints(integers[r][v], load_ints(offsets[first + r] + j + at));
      });
    }
    F32 values[rows * vectors];
    each([&](auto r, auto v, std::int64_t) __attribute__((always_inline)) {
      values[r * vectors + v] = fmadd_f32(floats_of(integers[r][v]), scale[v], bias[v]);
    });
    if (residual != nullptr) {
      each([&](auto r, auto v, std::int64_t at) __attribute__((always_inline)) {
        values[r * vectors + v] =
            add_f32(values[r * vectors + v], load_f32(residual + r * residual_stride + at));
      });
      residual += rows * residual_stride;
    }
    if (rectifies) {
      each([&](auto r, auto v, std::int64_t) __attribute__((always_inline)) {
        values[r * vectors + v] = max_f32(values[r * vectors + v], zero);
      });
    }
    if (y != nullptr) {
      each([&](auto r, auto v, std::int64_t at) __attribute__((always_inline)) {
        store_f32(y + r * y_stride + at, values[r * vectors + v]);
      });
      y += rows * y_stride;
    }
    if (codes != nullptr) {
      Ints coded[rows * vectors];
      codes_of_values(values, coded);
      each([&](auto r, auto v, std::int64_t at) __attribute__((always_inline)) {
        store_codes(codes + r * codes_stride + at, coded[r * vectors + v]);
      });
      codes += rows * codes_stride;
    }
    sums += rows * sums_stride;
  };
  std::int64_t r = 0;
  for (; r + group <= q.rows; r += group) {
    requantize_rows(std::integral_constant<int, group>{}, r);
  }
  if constexpr (group > 1) {
    for (; r < q.rows; ++r) requantize_rows(std::integral_constant<int, 1>{}, r);
  }
}

/// Columns from `j` on of every row, four vectors at once. What is left goes to narrower vectors.
inline void requantize_tile_from(const RequantizeTile& q, std::int64_t j) noexcept {
  const StepVectors steps{q.steps};
  for (; j + 4 * f32_lanes <= q.cols; j += 4 * f32_lanes) requantize_columns<1, 4>(q, steps, j);
  for (; j + f32_lanes <= q.cols; j += f32_lanes) requantize_columns<4, 1>(q, steps, j);
  if (j < q.cols) narrower::requantize_tile_from(q, j);
}

inline void requantize_tile(const RequantizeTile& q) noexcept {
  requantize_tile_from(q, 0);
}

/// `vectors` vectors of values from `i` on: tap by tap, for which all of them stay in registers.
template <int vectors>
inline void maximum_of_taps(const Maximum& m, std::int64_t i) noexcept {
  const float* x = m.x + i;
  const std::int64_t next_line = m.line_stride - m.columns * m.column_stride;
  F32 most[vectors];
  unroll<vectors>([&](auto v)
                      __attribute__((always_inline)) { most[v] = load_f32(x + v * f32_lanes); });
  for (std::int64_t taps = m.lines * m.columns, column = m.columns; taps > 0; --taps) {
    unroll<vectors>([&](auto v) __attribute__((always_inline)) {
      most[v] = max_f32(load_f32(x + v * f32_lanes), most[v]);
    });
    x += m.column_stride;
    if (--column == 0) {
      column = m.columns;
      x += next_line;
    }
  }
  unroll<vectors>([&](auto v) __attribute__((always_inline)) {
    store_f32(m.y + i + v * f32_lanes, most[v]);
  });
}

inline void maximum(const Maximum& m) noexcept {
  std::int64_t i = 0;
  for (; i + 4 * f32_lanes <= m.count; i += 4 * f32_lanes) maximum_of_taps<4>(m, i);
  for (; i + f32_lanes <= m.count; i += f32_lanes) maximum_of_taps<1>(m, i);
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
