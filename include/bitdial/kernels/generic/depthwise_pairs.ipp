// SPDX-License-Identifier: Apache-2.0
// The integer depthwise kernel of 3x3 windows, two pixels at once: they share the loads of levels,
// and the sums of codes of the columns that both windows have.
// Vocabulary: that of depthwise_u8s8.ipp.

template <int index>
using Index = std::integral_constant<int, index>;

/// Three columns of three taps, one or two of which (`fresh`) the pixel before has not read: the
/// others, and the sums of their codes, stay in registers. The factors of products and codes are
/// 2 m and m, which levels of 8 bits have, or m and 0.
template <int fresh>
inline void depthwise_u8s8_pairs(const DepthwiseU8S8& operands) noexcept {
  constexpr int kept = 3 - fresh;
  const DepthwiseU8S8 d = operands;  // which no store of a code can change
  const DepthwiseSteps steps{d};
  const bool with_codes = d.code_factor != 0;
  const std::int32_t multiple = with_codes ? d.code_factor : d.product_factor;
  const std::int8_t* w = d.w;
  for (std::int64_t c = 0; c < d.channels; c += byte_lanes, w += 3 * 4 * byte_lanes) {
    const std::int64_t channels = std::min(byte_lanes, d.channels - c);
    const std::uint8_t* x = d.x + c;
    DepthwiseCodes columns[3 + fresh];
    DepthwiseSums column_sums[kept];
    unroll<kept>([&](auto k) __attribute__((always_inline)) {
      columns[k] = interleave_taps<3>(x, d.offsets + 3 * k);
      clear(column_sums[k]);
      add_codes(column_sums[k], columns[k]);
    });
    for (std::int64_t p = 0; p < d.pixels; p += 2) {
      const bool is_pair = p + 1 < d.pixels;
      unroll<fresh>([&](auto k) __attribute__((always_inline)) {
        const std::int64_t* const offsets = d.offsets + 3 * (kept + k);
        columns[kept + k] = interleave_taps<3>(x, offsets);
        columns[3 + k] = interleave_taps<3>(is_pair ? x + d.x_step : x, offsets);
      });
      DepthwiseSums first, second;
      unroll<4>([&](auto i) __attribute__((always_inline)) {
        first.of[i] = second.of[i] = U8S8Sums{};
        unroll<3>([&](auto k) __attribute__((always_inline)) {
          const U8S8Levels levels = load_levels(w + (k * 4 + i) * byte_lanes);
          first.of[i] = multiply_add(first.of[i], codes_of(columns[k].four[i]), levels);
          second.of[i] = multiply_add(second.of[i], codes_of(columns[k + fresh].four[i]), levels);
        });
      });
      if (with_codes) {
        unroll<4>([&](auto i) __attribute__((always_inline)) {
          const auto column = [&](auto k, U8S8Sums sum) __attribute__((always_inline)) {
            return multiply_add(sum, codes_of(columns[k].four[i]), load_levels(unit_levels));
          };
          U8S8Sums first_codes, second_codes;
          if constexpr (fresh == 1) {
            const U8S8Sums middle = column(Index<2>{}, U8S8Sums{});
            const U8S8Sums newest = column(Index<3>{}, U8S8Sums{});
            const U8S8Sums both = add_sums(column_sums[1].of[i], middle);
            first_codes = add_sums(column_sums[0].of[i], both);
            second_codes = add_sums(both, newest);
            column_sums[0].of[i] = middle;
            column_sums[1].of[i] = newest;
          } else {
            const U8S8Sums middle = column(Index<2>{}, U8S8Sums{});
            const U8S8Sums newest = column(Index<4>{}, U8S8Sums{});
            first_codes = add_sums(column(Index<1>{}, column_sums[0].of[i]), middle);
            second_codes = add_sums(column(Index<3>{}, middle), newest);
            column_sums[0].of[i] = newest;
          }
          first.of[i] = add_sums(add_sums(first.of[i], first.of[i]), first_codes);
          second.of[i] = add_sums(add_sums(second.of[i], second.of[i]), second_codes);
        });
      }
      if (multiple != 1) {
        unroll<4>([&](auto i) __attribute__((always_inline)) {
          first.of[i] = mul_sums(first.of[i], multiple);
          second.of[i] = mul_sums(second.of[i], multiple);
        });
      }
      if (steps.direct) {
        const Bytes codes = direct_codes(steps, first, d.scale + c, d.bias + c);
        const Bytes next = direct_codes(steps, second, d.scale + c, d.bias + c);
        std::uint8_t* const out = d.codes + p * d.codes_step + c;
        store_bytes_part(out, codes, channels);
        if (is_pair) store_bytes_part(out + d.codes_step, next, channels);
      } else {
        const DepthwiseSums stored[2]{first, second};  // whose address the callee takes
        finish_indirectly(operands, steps.any, stored[0], p, c);
        if (is_pair) finish_indirectly(operands, steps.any, stored[1], p + 1, c);
      }
      unroll<kept>([&](auto k)
                       __attribute__((always_inline)) { columns[k] = columns[2 * fresh + k]; });
      x += 2 * d.x_step;
    }
  }
}

inline void depthwise_u8s8_or_pairs(const DepthwiseU8S8& d) noexcept {
  if (d.pixels <= 0) return;
  const auto product_factor = static_cast<std::uint32_t>(d.product_factor);
  const auto code_factor = static_cast<std::uint32_t>(d.code_factor);
  const bool has_factors = code_factor == 0 || product_factor == 2 * code_factor;
  const bool has_columns = d.taps == 9 && d.group_taps == 3;
  if (has_factors && has_columns && d.shared_groups == 2) {
    depthwise_u8s8_pairs<1>(d);
  } else if (has_factors && has_columns && d.shared_groups == 1) {
    depthwise_u8s8_pairs<2>(d);
  } else {
    depthwise_u8s8(d);
  }
}
