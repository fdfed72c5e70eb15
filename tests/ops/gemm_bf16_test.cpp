// SPDX-License-Identifier: Apache-2.0
// Products with bfloat16 operands: the stated chain, strides, blocks, tables, errors.
#include <doctest/doctest.h>

#include <bitdial/kernels/dispatch.hpp>
#include <bitdial/ops/gemm_bf16.hpp>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

using bitdial::ops::MatrixView;
namespace kernels = bitdial::kernels;
namespace ops = bitdial::ops;

namespace {

std::vector<float> random_numbers(std::int64_t size) {
  std::vector<float> values(static_cast<std::size_t>(size));
  std::uint32_t state = 12345;
  for (float& v : values) {
    state = state * 1664525U + 1013904223U;
    v = static_cast<float>(static_cast<std::int32_t>(state)) * 0x1p-31F;
  }
  return values;
}

float chain(MatrixView<const float> a, MatrixView<const float> b, std::int64_t i, std::int64_t j,
            float sum) {
  const auto step = [&](std::int64_t k) {
    const float x = k < a.cols ? a(i, k) : 0.0F;
    const float y = k < a.cols ? b(k, j) : 0.0F;
    sum = kernels::fma_bf16(kernels::round_bf16_one(x), kernels::round_bf16_one(y), sum);
  };
  for (std::int64_t k = 0; k < a.cols; k += 2) {
    step(k + 1);
    step(k);
  }
  return sum;
}

struct Extents {
  std::int64_t m, n, k;
};

}  // namespace

TEST_CASE("gemm_bf16: the stated chain for every layout of the operands, accumulating or not") {
  for (const kernels::RealKernels* table : kernels::supported_real_kernels()) {
    const std::string name = table->name;
    CAPTURE(name);
    for (const Extents e : {Extents{1, 1, 1}, Extents{5, 3, 0}, Extents{13, 33, 7},
                            Extents{101, 260, 2}, Extents{12, 32, 513}, Extents{3, 7, 1030}}) {
      const auto a_data = random_numbers(2 * e.m * e.k);
      const auto b_data = random_numbers(2 * e.k * e.n);
      for (const int layout : {0, 1, 2}) {  // rows contiguous, columns contiguous, neither
        const MatrixView<const float> a =
            layout == 1 ? MatrixView<const float>(a_data.data(), e.k, e.m).transposed()
                        : MatrixView<const float>(a_data.data(), e.m, e.k, e.k * (1 + layout / 2),
                                                  1 + layout / 2);
        const MatrixView<const float> b =
            layout == 1 ? MatrixView<const float>(b_data.data(), e.n, e.k).transposed()
                        : MatrixView<const float>(b_data.data(), e.k, e.n, e.n * (1 + layout / 2),
                                                  1 + layout / 2);
        for (const bool accumulate : {false, true}) {
          auto c_data = random_numbers(e.m * e.n * 2);
          const auto before = c_data;
          const MatrixView<float> c = layout == 2
                                          ? MatrixView<float>(c_data.data(), e.m, e.n, 2 * e.n, 2)
                                          : MatrixView<float>(c_data.data(), e.m, e.n, 2 * e.n);
          ops::gemm_bf16(a, b, c, {.accumulate = accumulate, .table = table});
          int wrong = 0;
          for (std::int64_t i = 0; i < e.m; ++i) {
            for (std::int64_t j = 0; j < e.n; ++j) {
              const auto at = static_cast<std::size_t>(i * c.row_stride + j * c.col_stride);
              const float expected = chain(a, b, i, j, accumulate ? before[at] : 0.0F);
              wrong += c_data[at] != expected;
            }
          }
          CAPTURE(e.m);
          CAPTURE(e.n);
          CAPTURE(e.k);
          CAPTURE(layout);
          CAPTURE(accumulate);
          CHECK(wrong == 0);
        }
      }
    }
  }
}

TEST_CASE("gemm_bf16: within the stated distance of the exact product") {
  const std::int64_t m = 20, n = 17, k = 300;
  const auto a = random_numbers(m * k);
  const auto b = random_numbers(k * n + 5);
  std::vector<float> c(static_cast<std::size_t>(m * n));
  ops::gemm_bf16({a.data(), m, k}, {b.data() + 5, k, n}, {c.data(), m, n});
  const double bound = 0x1p-8 + 0x1p-18 + 300 * 0x1p-24 / (1 - 300 * 0x1p-24);
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      double exact = 0, size = 0;
      for (std::int64_t t = 0; t < k; ++t) {
        const double product = static_cast<double>(a[static_cast<std::size_t>(i * k + t)]) *
                               static_cast<double>(b[static_cast<std::size_t>(t * n + j + 5)]);
        exact += product;
        size += std::fabs(product);
      }
      const double got = static_cast<double>(c[static_cast<std::size_t>(i * n + j)]);
      CHECK(std::fabs(got - exact) <= bound * size);
    }
  }
}

TEST_CASE("gemm_bf16: extents that do not fit are an error that names both sides") {
  std::vector<float> x(64);
  CHECK_THROWS_WITH_AS(ops::gemm_bf16({x.data(), 2, 3}, {x.data(), 4, 5}, {x.data(), 2, 5}),
                       "gemm_bf16: a [2, 3] times b [4, 5] does not give c [2, 5]",
                       bitdial::ShapeError);
}
