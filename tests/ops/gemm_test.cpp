// SPDX-License-Identifier: Apache-2.0
// Matrix products against the defining sum: shapes around the blocks, strides, transposes,
// callbacks, every kernel table.
#include <doctest/doctest.h>

#include <algorithm>
#include <bitdial/ops/gemm.hpp>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

using bitdial::ops::gemm;
using bitdial::ops::gemm_packed;
using bitdial::ops::GemmOptions;
using bitdial::ops::MatrixView;
using bitdial::ops::PackedB;
namespace kernels = bitdial::kernels;

namespace {

template <class T>
std::vector<T> numbers(std::int64_t size, std::uint32_t seed) {
  std::vector<T> values(static_cast<std::size_t>(size));
  std::uint32_t state = seed * 2654435761U + 1;
  for (T& v : values) {
    state = state * 1664525U + 1013904223U;
    v = static_cast<T>(static_cast<int>(state >> 20) - 2048) / static_cast<T>(1024);
  }
  return values;
}

/// The documented sum: for float a chain of fused multiply-adds in ascending k.
template <class T>
T element(MatrixView<const T> a, MatrixView<const T> b, std::int64_t i, std::int64_t j, T start) {
  T sum = start;
  for (std::int64_t k = 0; k < a.cols; ++k) sum = std::fma(a(i, k), b(k, j), sum);
  return sum;
}

/// Elements of `c` that differ; a float product must be exact, a double one near.
template <class T>
int differences(MatrixView<const T> a, MatrixView<const T> b, MatrixView<const T> c,
                const std::vector<T>& start) {
  int wrong = 0;
  for (std::int64_t i = 0; i < c.rows; ++i) {
    for (std::int64_t j = 0; j < c.cols; ++j) {
      const T first = start.empty() ? T{0} : start[static_cast<std::size_t>(i * c.cols + j)];
      const T expected = element(a, b, i, j, first);
      if (std::is_same_v<T, float>) {
        wrong += c(i, j) != expected;
      } else {
        wrong += !(std::abs(c(i, j) - expected) <= 1e-12 * (1 + static_cast<double>(a.cols)));
      }
    }
  }
  return wrong;
}

struct Extents {
  std::int64_t m, n, k;
};

template <class T>
void check_strides(Extents e, const GemmOptions& options) {
  const auto [m, n, k] = e;
  // Rows longer than the matrix leave gaps; the transposed view walks down columns.
  const auto a_values = numbers<T>(std::max(m, k) * (std::max(m, k) + 3), 1);
  const auto b_values = numbers<T>(std::max(n, k) * (std::max(n, k) + 5), 2);
  const MatrixView<const T> a_views[] = {
      {a_values.data(), m, k, k + 3},
      MatrixView<const T>(a_values.data(), k, m, m + 1).transposed(),
  };
  const MatrixView<const T> b_views[] = {
      {b_values.data(), k, n, n + 5},
      MatrixView<const T>(b_values.data(), n, k, k + 2).transposed(),
  };
  const auto start = numbers<T>(m * n, 3);
  for (const auto& a : a_views) {
    for (const auto& b : b_views) {
      for (const bool transposed_c : {false, true}) {
        std::vector<T> c_values(static_cast<std::size_t>((m + 2) * (n + 2)), T{77});
        const MatrixView<T> c = transposed_c
                                    ? MatrixView<T>(c_values.data(), n, m, m + 2).transposed()
                                    : MatrixView<T>(c_values.data(), m, n, n + 2);
        for (std::int64_t i = 0; i < m; ++i) {
          for (std::int64_t j = 0; j < n; ++j) c(i, j) = start[static_cast<std::size_t>(i * n + j)];
        }
        const auto untouched = std::count(c_values.begin(), c_values.end(), T{77});
        gemm(a, b, c, options);
        CHECK(differences<T>(a, b, c, options.accumulate ? start : std::vector<T>{}) == 0);
        CHECK(std::count(c_values.begin(), c_values.end(), T{77}) == untouched);
      }
    }
  }
}

}  // namespace

TEST_CASE("float: every small shape with every table") {
  for (const kernels::RealKernels* table : kernels::supported_real_kernels()) {
    const std::string name = table->name;
    CAPTURE(name);
    for (const std::int64_t m : {1, 2, 5, 13}) {
      for (const std::int64_t n : {1, 7, 16, 33}) {
        for (const std::int64_t k : {1, 3, 18}) {
          CAPTURE(m);
          CAPTURE(n);
          CAPTURE(k);
          check_strides<float>({m, n, k}, {.table = table});
          check_strides<float>({m, n, k}, {.accumulate = true, .table = table});
        }
      }
    }
  }
}

TEST_CASE("float: shapes beyond the blocks of depth and columns") {
  for (const kernels::RealKernels* table : kernels::supported_real_kernels()) {
    const std::string name = table->name;
    CAPTURE(name);
    for (const Extents e : {Extents{3, 300, 70}, Extents{14, 5, 1030}, Extents{2, 270, 520}}) {
      const auto a = numbers<float>(e.m * e.k, 4);
      const auto b = numbers<float>(e.k * e.n, 5);
      std::vector<float> c(static_cast<std::size_t>(e.m * e.n));
      const MatrixView<const float> av(a.data(), e.m, e.k);
      const MatrixView<const float> bv(b.data(), e.k, e.n);
      const MatrixView<float> cv(c.data(), e.m, e.n);
      gemm(av, bv, cv, {.table = table});
      CHECK(differences<float>(av, bv, cv, {}) == 0);
    }
  }
}

TEST_CASE("float: rows at powers of two are packed, with the same result") {
  const auto a = numbers<float>(20 * 512, 6);
  const auto b = numbers<float>(512 * 9, 7);
  std::vector<float> c(20 * 9);
  const MatrixView<const float> av(a.data(), 20, 512);
  const MatrixView<const float> bv(b.data(), 512, 9);
  const MatrixView<float> cv(c.data(), 20, 9);
  gemm(av, bv, cv);
  CHECK(differences<float>(av, bv, cv, {}) == 0);
}

TEST_CASE("double and integers go through the portable loop") {
  check_strides<double>({7, 19, 23}, {});
  check_strides<double>({7, 19, 23}, {.accumulate = true});
  check_strides<double>({3, 259, 515}, {});
  const int a[] = {1, 2, 3, 4};
  const int b[] = {5, 6, 7, 8};
  int c[4] = {};
  gemm(MatrixView<const int>(a, 2, 2), MatrixView<const int>(b, 2, 2), MatrixView<int>(c, 2, 2));
  CHECK(c[0] == 19);
  CHECK(c[1] == 22);
  CHECK(c[2] == 43);
  CHECK(c[3] == 50);
}

TEST_CASE("empty extents: no k gives zeros or leaves C, no rows or columns do nothing") {
  std::vector<float> c(6, 3.0F);
  const MatrixView<float> cv(c.data(), 2, 3);
  gemm(MatrixView<const float>(nullptr, 2, 0), MatrixView<const float>(nullptr, 0, 3), cv,
       {.accumulate = true});
  CHECK(c == std::vector<float>(6, 3.0F));
  gemm(MatrixView<const float>(nullptr, 2, 0), MatrixView<const float>(nullptr, 0, 3), cv);
  CHECK(c == std::vector<float>(6, 0.0F));
  const float x = 1.0F;
  gemm(MatrixView<const float>(&x, 0, 1), MatrixView<const float>(&x, 1, 1),
       MatrixView<float>(nullptr, 0, 1));
}

TEST_CASE("extents that do not fit are a ShapeError with both sides") {
  std::vector<float> x(100);
  const MatrixView<const float> a(x.data(), 2, 3);
  const MatrixView<const float> b(x.data(), 4, 5);
  const MatrixView<float> c(x.data() + 50, 2, 5);
  CHECK_THROWS_WITH_AS(gemm(a, b, c), "gemm: a [2, 3] times b [4, 5] does not give c [2, 5]",
                       bitdial::ShapeError);
  CHECK_THROWS_AS(gemm(a, b.transposed(), c), bitdial::ShapeError);
  const PackedB<float> packed(b);
  CHECK_THROWS_WITH_AS(gemm_packed<float>([](std::int64_t, std::int64_t, MatrixView<float>) {},
                                          packed, MatrixView<float>(x.data(), 2, 6)),
                       "gemm_packed: b [4, 5] does not give c [2, 6]", bitdial::ShapeError);
}

TEST_CASE("callbacks deliver the blocks; B may be packed once; same bits as gemm") {
  for (const kernels::RealKernels* table : kernels::supported_real_kernels()) {
    const std::string name = table->name;
    CAPTURE(name);
    for (const Extents e : {Extents{29, 37, 41}, Extents{5, 300, 600}}) {
      const auto a_values = numbers<float>(e.m * e.k, 8);
      const auto b_values = numbers<float>(e.k * e.n, 9);
      const MatrixView<const float> a(a_values.data(), e.m, e.k);
      const MatrixView<const float> b(b_values.data(), e.k, e.n);
      const auto pack_a = [&](std::int64_t row0, std::int64_t k0, MatrixView<float> panel) {
        CHECK(panel.col_stride == 1);
        for (std::int64_t i = 0; i < panel.rows; ++i) {
          for (std::int64_t k = 0; k < panel.cols; ++k) panel(i, k) = a(row0 + i, k0 + k);
        }
      };
      const auto pack_b = [&](std::int64_t k0, std::int64_t col0, MatrixView<float> panel) {
        CHECK(panel.col_stride == 1);
        for (std::int64_t k = 0; k < panel.rows; ++k) {
          for (std::int64_t j = 0; j < panel.cols; ++j) panel(k, j) = b(k0 + k, col0 + j);
        }
      };
      const auto size = static_cast<std::size_t>(e.m * e.n);
      std::vector<float> expected(size), c(size, 1.0F), prepacked(size, 1.0F);
      const GemmOptions options{.table = table};
      gemm(a, b, MatrixView<float>(expected.data(), e.m, e.n), options);
      gemm_packed(e.k, pack_a, pack_b, MatrixView<float>(c.data(), e.m, e.n), options);
      CHECK(c == expected);
      const PackedB<float> packed(e.k, e.n, pack_b, table);
      CHECK(packed.depth() == e.k);
      CHECK(packed.cols() == e.n);
      gemm_packed(pack_a, packed, MatrixView<float>(prepacked.data(), e.m, e.n), options);
      CHECK(prepacked == expected);
      const PackedB<float> from_view(b, table);
      gemm_packed(pack_a, from_view, MatrixView<float>(prepacked.data(), e.m, e.n),
                  {.accumulate = true, .table = table});
      int wrong = 0;
      for (std::int64_t i = 0; i < e.m; ++i) {
        for (std::int64_t j = 0; j < e.n; ++j) {
          const auto at = static_cast<std::size_t>(i * e.n + j);
          wrong += prepacked[at] != element(a, b, i, j, expected[at]);
        }
      }
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("A in memory, in any layout, gives the bits of a packed A") {
  const Extents e{29, 300, 37};
  const auto b_values = numbers<float>(e.k * e.n, 21);
  const MatrixView<const float> b(b_values.data(), e.k, e.n);
  const PackedB<float> packed(b);
  // Row-major and column-major, with strides that share cache sets (512) and that do not.
  for (const std::int64_t stride : {301, 512}) {
    const auto a_values = numbers<float>(e.k * 512, 20);
    const MatrixView<const float> rows(a_values.data(), e.m, e.k, stride);
    const MatrixView<const float> columns(a_values.data(), e.m, e.k, 1, stride);
    for (const MatrixView<const float>& a : {rows, columns}) {
      std::vector<float> expected(static_cast<std::size_t>(e.m * e.n));
      gemm_packed(
          [&](std::int64_t row0, std::int64_t k0, MatrixView<float> panel) {
            for (std::int64_t i = 0; i < panel.rows; ++i) {
              for (std::int64_t k = 0; k < panel.cols; ++k) panel(i, k) = a(row0 + i, k0 + k);
            }
          },
          packed, MatrixView<float>(expected.data(), e.m, e.n));
      std::vector<float> whole(expected.size()), prepacked(expected.size());
      gemm(a, b, MatrixView<float>(whole.data(), e.m, e.n));
      gemm(a, packed, MatrixView<float>(prepacked.data(), e.m, e.n));
      CHECK(whole == expected);
      CHECK(prepacked == expected);
    }
  }
  std::vector<float> c(static_cast<std::size_t>(e.m * e.n));
  const MatrixView<const float> narrow(b_values.data(), e.m, 3);
  CHECK_THROWS_WITH_AS(gemm(narrow, packed, MatrixView<float>(c.data(), e.m, e.n)),
                       "gemm: a [29, 3] times b [37, 300] does not give c [29, 300]",
                       bitdial::ShapeError);
}

TEST_CASE("a split of the rows or columns of C changes no bit") {
  const Extents e{31, 45, 530};
  const auto a_values = numbers<float>(e.m * e.k, 10);
  const auto b_values = numbers<float>(e.k * e.n, 11);
  const MatrixView<const float> a(a_values.data(), e.m, e.k);
  const MatrixView<const float> b(b_values.data(), e.k, e.n);
  std::vector<float> whole(static_cast<std::size_t>(e.m * e.n)), parts(whole.size());
  const MatrixView<float> cw(whole.data(), e.m, e.n), cp(parts.data(), e.m, e.n);
  gemm(a, b, cw);
  for (std::int64_t row = 0; row < e.m; row += 7) {
    const std::int64_t rows = std::min<std::int64_t>(7, e.m - row);
    for (std::int64_t col = 0; col < e.n; col += 11) {
      const std::int64_t cols = std::min<std::int64_t>(11, e.n - col);
      gemm(a.block(row, 0, rows, e.k), b.block(0, col, e.k, cols), cp.block(row, col, rows, cols));
    }
  }
  CHECK(parts == whole);
}

TEST_CASE("a product runs on the kernels that B was packed for, whatever its options say") {
  const Extents e{13, 70, 45};
  const auto a_values = numbers<float>(e.m * e.k, 12);
  const auto b_values = numbers<float>(e.k * e.n, 13);
  const MatrixView<const float> a(a_values.data(), e.m, e.k);
  const MatrixView<const float> b(b_values.data(), e.k, e.n);
  const auto pack_a = [&](std::int64_t row0, std::int64_t k0, MatrixView<float> panel) {
    for (std::int64_t i = 0; i < panel.rows; ++i) {
      for (std::int64_t k = 0; k < panel.cols; ++k) panel(i, k) = a(row0 + i, k0 + k);
    }
  };
  std::vector<float> expected(static_cast<std::size_t>(e.m * e.n));
  gemm(a, b, MatrixView<float>(expected.data(), e.m, e.n));
  // `other` has tiles that no real table has.
  kernels::RealKernels other = *kernels::supported_real_kernels().front();
  other.gemm_f32 = {3, 5, bitdial::ops::detail::gemm_tile<float>};
  CHECK(PackedB<float>().table() == nullptr);
  for (const kernels::RealKernels* packed_for : kernels::supported_real_kernels()) {
    const PackedB<float> packed(b, packed_for);
    CHECK(packed.table() == packed_for);
    for (const kernels::RealKernels* table : kernels::supported_real_kernels()) {
      std::vector<float> c(expected.size());
      gemm_packed(pack_a, packed, MatrixView<float>(c.data(), e.m, e.n), {.table = table});
      CHECK(c == expected);
    }
    std::vector<float> c(expected.size());
    gemm_packed(pack_a, packed, MatrixView<float>(c.data(), e.m, e.n), {.table = &other});
    CHECK(c == expected);
  }
}
