// SPDX-License-Identifier: Apache-2.0
// The real-valued tile: `rows` x `vectors` accumulators, one broadcast of A per row and k.
// Vocabulary: F32, f32_lanes, f32_rows, f32_vectors, load_f32, store_f32, load_f32_part,
// store_f32_part (the first `count` lanes), broadcast_f32, fmadd_f32.

inline constexpr std::int64_t f32_cols = f32_vectors * f32_lanes;

/// f(address, accumulator, valid lanes) for every vector of C.
template <int rows, int vectors, class F>
[[gnu::always_inline]] inline void for_each_f32(const GemmTile<float>& t, F32 (&c)[rows][vectors],
                                                F&& f) noexcept {
  unroll<rows>([&](auto r) __attribute__((always_inline)) {
    unroll<vectors>([&](auto v) __attribute__((always_inline)) {
      f(t.c + r * t.c_stride + v * f32_lanes, c[r][v], t.cols - v * f32_lanes);
    });
  });
}

/// c[r] += A[r] B for one k: `a_at(r)` is the address of A's row r.
template <int rows, int vectors, class AddressOf>
[[gnu::always_inline]] inline void add_products(F32 (&c)[rows][vectors], const float* b,
                                                AddressOf&& a_at) noexcept {
  F32 bv[vectors];
  unroll<vectors>([&](auto v)
                      __attribute__((always_inline)) { bv[v] = load_f32(b + v * f32_lanes); });
  unroll<rows>([&](auto r) __attribute__((always_inline)) {
    const F32 av = broadcast_f32(a_at(r));
    unroll<vectors>([&](auto v) __attribute__((always_inline)) {
      c[r][v] = fmadd_f32(av, bv[v], c[r][v]);
    });
  });
}

/// Rows of A are addressed from every third one: base, base + stride, base + 2 stride are three
/// forms of one address, and all pointers stay in registers. Where a step has few products, the
/// loops of both convolution gradients are unrolled: A by rows, and A by columns.
template <int rows, int vectors>
inline void gemm_f32_rows(const GemmTile<float>& t) noexcept {
  const bool whole = t.cols >= vectors * f32_lanes;
  F32 c[rows][vectors];
  if (!t.accumulate) {
    unroll<rows>([&](auto r) __attribute__((always_inline)) {
      unroll<vectors>([&](auto v) __attribute__((always_inline)) { c[r][v] = F32{}; });
    });
  } else if (whole) {
    for_each_f32(
        t, c, [&](const float* p, F32& v, std::int64_t) __attribute__((always_inline)) {
          v = load_f32(p);
        });
  } else {
    for_each_f32(
        t, c, [&](const float* p, F32& v, std::int64_t count) __attribute__((always_inline)) {
          v = load_f32_part(p, count);
        });
  }
  const std::int64_t a_stride = t.a_stride;
  const std::int64_t a_step = t.a_step;
  const std::int64_t b_step = t.b_step;
  constexpr int bases = (rows + 2) / 3;
  constexpr bool few_products = rows * vectors <= 12;
  for (std::int64_t run = 0; run < t.runs; ++run) {
    const float* a[bases];
    unroll<bases>([&](auto i) __attribute__((always_inline)) {
      a[i] = t.a + run * t.a_run + 3 * i * a_stride;
    });
    const float* b = t.b + run * t.b_run;
    const auto advance = [&](std::int64_t by) __attribute__((always_inline)) {
      unroll<bases>([&](auto i) __attribute__((always_inline)) { a[i] += by; });
    };
    std::int64_t k = t.depth;
    if (few_products && a_step == 1 && b_step == f32_cols) {
      for (; k >= 4; k -= 4, b += 4 * f32_cols) {
        unroll<4>([&](auto i) __attribute__((always_inline)) {
          add_products(
              c, b + i * f32_cols, [&](auto r) __attribute__((always_inline)) {
                return a[r / 3] + r % 3 * a_stride + i;
              });
        });
        advance(4);
      }
    } else if (few_products && a_stride == 1) {
      for (; k >= 2; k -= 2, b += 2 * b_step) {
        unroll<2>([&](auto i) __attribute__((always_inline)) {
          add_products(
              c, b + i * b_step, [&](auto r) __attribute__((always_inline)) {
                return a[0] + r + i * a_step;
              });
        });
        advance(2 * a_step);
      }
    }
    for (; k > 0; --k, b += b_step) {
      add_products(
          c, b, [&](auto r) __attribute__((always_inline)) { return a[r / 3] + r % 3 * a_stride; });
      advance(a_step);
    }
  }
  if (whole) {
    for_each_f32(
        t,
        c, [&](float* p, F32 v, std::int64_t) __attribute__((always_inline)) { store_f32(p, v); });
  } else {
    for_each_f32(
        t, c, [&](float* p, F32 v, std::int64_t count) __attribute__((always_inline)) {
          store_f32_part(p, v, count);
        });
  }
}

/// Few columns use one vector: half the work.
inline void gemm_f32(const GemmTile<float>& t) noexcept {
  with_rows<f32_rows>(t, [](auto rows, const GemmTile<float>& part) {
    if (part.cols <= f32_lanes) {
      gemm_f32_rows<rows, 1>(part);
    } else {
      gemm_f32_rows<rows, f32_vectors>(part);
    }
  });
}
