// SPDX-License-Identifier: Apache-2.0
// Unrolling at compile time, prefetching, and tiles with fewer rows than the shape of the kernel.
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

/// Weights that one row reads once come from a far cache: asks for the bytes that a loop which has
/// come to `p` reads some steps later, `bytes` a step.
template <std::int64_t bytes>
[[gnu::always_inline]] inline void prefetch_stream(const std::uint8_t* p) noexcept {
  constexpr std::int64_t ahead = 2048;
  unroll<bytes / 64>([&](auto i) __attribute__((always_inline)) {
    __builtin_prefetch(p + ahead + i * 64);
  });
}

/// Asks the second-level cache for a line after the other of what is read later; where that is
/// nothing, for a line that is there, again and again.
class ReadAhead {
 public:
  ReadAhead(const std::int8_t* next, const std::int8_t* here) noexcept
      : line_{next != nullptr ? next : here}, step_{next != nullptr ? 64 : 0} {}
  [[gnu::always_inline]] void ask() noexcept {
    __builtin_prefetch(line_, 0, 2);
    line_ += step_;
  }

 private:
  const std::int8_t* line_;
  std::int64_t step_;
};

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

/// Rows of the first of the parts in which a tile of `rows` rows runs. Kernels of up to six rows
/// have code for every number; in larger ones 1, 2, 4, 6, 7, 8, 12 and 16 have code of their own
/// (images of 7 x 7 are common), the others are sums of two of these.
constexpr int first_part_rows(int rows, int full) {
  if (full <= 6) return rows;
  switch (rows) {
    case 3:
      return 2;
    case 5:
      return 4;
    case 9:
    case 11:
    case 13:
      return 7;
    case 10:
      return 6;
    case 14:
    case 15:
      return 8;
    default:
      return rows;
  }
}

/// Calls run(rows, part), `rows` a constant: once, or twice for the two parts of a tile.
template <int full, int most = full, class Tile, class Run>
[[gnu::always_inline]] inline void with_rows(const Tile& tile, Run&& run) noexcept {
  if constexpr (most > 1) {
    if (tile.rows < most) return with_rows<full, most - 1>(tile, run);
  }
  constexpr int first = first_part_rows(most, full);
  run(std::integral_constant<int, first>{}, tile);
  if constexpr (first < most) {
    Tile rest = tile;
    rest.a += first * tile.a_stride;
    rest.c += first * tile.c_stride;
    run(std::integral_constant<int, most - first>{}, rest);
  }
}
