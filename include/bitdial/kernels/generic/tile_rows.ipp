// SPDX-License-Identifier: Apache-2.0
// Unrolling at compile time, and tiles with fewer rows than the shape of the kernel.
// Accumulators stay in registers only when every index is a constant: loops are expanded over an
// index sequence.

template <int... indices, class F>
[[gnu::always_inline]] inline void unroll_indices(std::integer_sequence<int, indices...>, F&& f) {
  (f(std::integral_constant<int, indices>{}), ...);
}

/// f(0), f(1), .. f(count - 1), each argument a constant.
template <int count, class F>
[[gnu::always_inline]] inline void unroll(F&& f) {
  unroll_indices(std::make_integer_sequence<int, count>{}, f);
}

/// Calls run(rows, part) for runs of `full`, 4 and 1 rows, `rows` a constant.
template <int full, class Tile, class Run>
[[gnu::always_inline]] inline void for_row_runs(Tile part, Run&& run) noexcept {
  const auto repeat = [&](auto rows) __attribute__((always_inline)) {
    for (; part.rows >= rows; part.rows -= rows) {
      run(rows, part);
      part.a += rows * part.a_stride;
      part.c += rows * part.c_stride;
    }
  };
  repeat(std::integral_constant<int, full>{});
  if constexpr (full > 4) repeat(std::integral_constant<int, 4>{});
  if constexpr (full > 1) repeat(std::integral_constant<int, 1>{});
}

/// Calls run(rows) with `rows`, 1 .. most, as a constant.
template <int most, class Run>
[[gnu::always_inline]] inline void with_rows(std::int64_t rows, Run&& run) noexcept {
  if constexpr (most > 1) {
    if (rows < most) return with_rows<most - 1>(rows, run);
  }
  run(std::integral_constant<int, most>{});
}
