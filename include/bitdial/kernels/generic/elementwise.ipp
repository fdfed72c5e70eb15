// SPDX-License-Identifier: Apache-2.0
// The element-wise kernels. Tails go through the one-element functions of the portable table, rows
// of requantize that are shorter than a vector through the kernel of `narrower`, the namespace of
// the next weaker table.
// Vocabulary: that of code_steps.ipp, f32_lanes, load_f32, store_f32, add_f32, load_ints,
// broadcast_int, mul_ints, add_ints (modulo 2^32), floats_of, Codes64, load_codes64, plane_word,
// and stores of codes as bytes 0 .. 255, the nearest ones: store_codes, store_code_run (four
// vectors) and store_code_rows (one in each of four rows).

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

/// Columns from `j` on of every row, four vectors at once: of one row, or one of each of four rows;
/// where fewer than four rows are left, the same vector of a row four times. What belongs to a
/// channel is loaded once for all rows, and operands into locals, which no store of a code can
/// change.
template <bool four_rows>
inline void requantize_columns(const Requantize& q, const StepVectors& steps,
                               std::int64_t j) noexcept {
  const F32 zero{};
  const StepVectors codes_of_values = steps;
  const Ints factor = broadcast_int(q.factor);
  // Codes at equal steps begin at 0, and there is no value below.
  const bool rectifies = q.relu && (q.y != nullptr || q.steps.thresholds != nullptr);
  const std::int64_t sums_stride = q.sums_stride, residual_stride = q.residual_stride;
  const std::int64_t y_stride = q.y_stride, codes_stride = q.codes_stride;
  const std::int32_t* row_terms = q.row_terms;
  const std::uint32_t* const* offsets = q.offsets;
  const std::int32_t* sums = q.sums + j;
  const float* residual = q.residual == nullptr ? nullptr : q.residual + j;
  float* y = q.y == nullptr ? nullptr : q.y + j;
  std::uint8_t* codes = q.codes == nullptr ? nullptr : q.codes + j;
  constexpr std::int64_t col = four_rows ? 0 : f32_lanes;  // from vector to vector
  const auto each = [](auto&& body) __attribute__((always_inline)) {
    unroll<4>(body);
  };
  F32 scale[4], bias[4];
  Ints terms[4]{};
  const bool has_terms = q.column_terms != nullptr;
  each([&](auto v) __attribute__((always_inline)) {
    scale[v] = load_f32(q.scale + j + v * col);
    bias[v] = load_f32(q.bias + j + v * col);
    if (has_terms) terms[v] = load_ints(q.column_terms + j + v * col);
  });
  std::int64_t rows = 1;  // at once
  for (std::int64_t line = 0; line < q.lines; ++line) {
    for (std::int64_t left = q.rows; left > 0; left -= rows) {
      rows = four_rows && left >= 4 ? 4 : 1;
      const std::int64_t row = rows / 4;  // from vector to vector
      const std::int64_t next_sums = row * sums_stride + col;
      Ints integers[4];
      each([&](auto v) __attribute__((always_inline)) {
        integers[v] = mul_ints(load_ints(sums + v * next_sums), factor);
      });
      if (has_terms) {
        each([&](auto v)
                 __attribute__((always_inline)) { integers[v] = add_ints(integers[v], terms[v]); });
      }
      sums += rows * sums_stride;
      if (row_terms != nullptr) {
        each([&](auto v) __attribute__((always_inline)) {
          const auto term = static_cast<std::uint32_t>(row_terms[v * row]);
          integers[v] = add_ints(integers[v], broadcast_int(term));
        });
        row_terms += rows;
      }
      if (offsets != nullptr) {
        each([&](auto v) __attribute__((always_inline)) {
          integers[v] = add_ints(integers[v], load_ints(offsets[v * row] + j + v * col));
        });
        offsets += rows;
      }
      F32 values[4];
      each([&](auto v) __attribute__((always_inline)) {
        values[v] = fmadd_f32(floats_of(integers[v]), scale[v], bias[v]);
      });
      if (residual != nullptr) {
        const std::int64_t next = row * residual_stride + col;
        each([&](auto v) __attribute__((always_inline)) {
          values[v] = add_f32(values[v], load_f32(residual + v * next));
        });
        residual += rows * residual_stride;
      }
      if (rectifies) {
        each([&](auto v) __attribute__((always_inline)) { values[v] = max_f32(values[v], zero); });
      }
      if (y != nullptr) {
        const std::int64_t next = row * y_stride + col;
        each([&](auto v) __attribute__((always_inline)) { store_f32(y + v * next, values[v]); });
        y += rows * y_stride;
      }
      if (codes != nullptr) {
        Ints coded[4];
        codes_of_values(values, coded);
        if constexpr (four_rows) {
          store_code_rows(codes, row * codes_stride, coded);
        } else {
          store_code_run(codes, coded);
        }
        codes += rows * codes_stride;
      }
    }
    codes += codes == nullptr ? 0 : q.codes_line - q.rows * codes_stride;
  }
}

/// What is left behind whole vectors is in the last one: some columns are computed twice.
inline void requantize(const Requantize& q) noexcept {
  if (q.cols < f32_lanes) return narrower::requantize(q);
  const StepVectors steps{q.steps};
  std::int64_t j = 0;
  for (; j + 4 * f32_lanes <= q.cols; j += 4 * f32_lanes) requantize_columns<false>(q, steps, j);
  for (; j < q.cols; j += f32_lanes) {
    requantize_columns<true>(q, steps, std::min(j, q.cols - f32_lanes));
  }
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
  if (m.count < f32_lanes) return scalar::maximum(m);
  for (; i < m.count; i += f32_lanes) maximum_of_taps<1>(m, std::min(i, m.count - f32_lanes));
}

inline void pack_planes(const PackPlanes& p) noexcept {
  const std::int64_t full = p.count / 64;
  for (int plane = 0; plane < p.bits; ++plane) {
    const int bit = p.bits - 1 - plane;
    const std::uint8_t* const codes = p.codes;
    auto* const out = static_cast<std::uint8_t*>(p.planes) + plane * p.plane_stride * 8;
    for (std::int64_t word = 0; word < full; ++word) {
      const std::uint64_t bits = plane_word(load_codes64(codes + word * 64), bit);
      std::memcpy(out + word * 8, &bits, sizeof bits);
    }
  }
  if (full * 64 < p.count) scalar::pack_planes_word(p, full);
}
