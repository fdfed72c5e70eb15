// SPDX-License-Identifier: Apache-2.0
// bfloat16, the upper half of a float: rounding, the product step that instructions for it define,
// and the operands of its kernels.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include <bitdial/core/config.hpp>

namespace bitdial::inline BITDIAL_ABI::kernels {

/// Zero of the same sign for a subnormal number.
[[nodiscard]] inline float flush_subnormal(float x) noexcept {
  return std::fabs(x) < 0x1p-126F ? std::copysign(0.0F, x) : x;
}

[[nodiscard]] inline float from_bf16(std::uint16_t x) noexcept {
  return std::bit_cast<float>(std::uint32_t{x} << 16);
}

/// fma(a, b, c) with operands and result flushed. Results are judged after rounding to 24 bits
/// with unbounded exponent: a sum that only the coarser subnormal grid rounds up to 2^-126 is
/// still subnormal. There the sum is exact in double.
[[nodiscard]] inline float fma_bf16(std::uint16_t a_bits, std::uint16_t b_bits, float c) noexcept {
  const float a = flush_subnormal(from_bf16(a_bits));
  const float b = flush_subnormal(from_bf16(b_bits));
  c = flush_subnormal(c);
  const float sum = std::fma(a, b, c);
  if (std::fabs(sum) == 0x1p-126F) {
    const double exact =
        std::fma(static_cast<double>(a), static_cast<double>(b), static_cast<double>(c));
    if (std::fabs(exact) < 0x1p-126 - 0x1p-151) return std::copysign(0.0F, sum);
  }
  return flush_subnormal(sum);
}

[[nodiscard]] inline std::uint16_t round_bf16_one(float x) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(flush_subnormal(x));
  if (std::isnan(x)) return static_cast<std::uint16_t>(bits >> 16 | 0x40);
  return static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/// Operands of the bfloat16 matrix tile: C[r][j] (+)= sum_k A[r][k] * B[k][j], operands bfloat16
/// (the upper halves of floats), sums float.
///
/// k goes in pairs, through `runs` runs of `pairs` steps; step t of run s reads
///   A[r][2 t + i] = a[r * a_stride + s * a_run + t * a_step + i],
///   B[2 t + i][j] = b[s * b_run + t * b_step + 2 j + i],  i = 0, 1.
/// Every output is one chain, the second product of a pair first:
///   c = fma(A[r][2 t + 1], B[2 t + 1][j], c);  c = fma(A[r][2 t], B[2 t][j], c),
/// where, as in the instruction for it, subnormal operands and results count as zeros of their sign
/// and the rounding mode is to nearest. Products are exact, so the error bound is that of
/// GemmTile, plus 2^-126 a step.
struct GemmBf16Tile {
  std::int64_t rows = 0;   ///< 1 .. table rows; in half the columns 1 .. bf16_narrow_rows
  std::int64_t cols = 0;   ///< 1 .. table cols: written, and read when accumulating
  std::int64_t pairs = 0;  ///< steps of one run
  const std::uint16_t* a = nullptr;
  std::int64_t a_stride = 0;         ///< elements between rows of A
  std::int64_t a_step = 2;           ///< elements between steps of A
  const std::uint16_t* b = nullptr;  ///< every step is read in whole vectors, at most table cols
  std::int64_t b_step = 0;           ///< elements between steps of B
  float* c = nullptr;
  std::int64_t c_stride = 0;  ///< elements between rows of C
  bool accumulate = false;
  std::int64_t runs = 1;
  std::int64_t a_run = 0;  ///< elements between runs of A
  std::int64_t b_run = 0;  ///< elements between runs of B
};

/// Operands of round_bf16: floats to bfloat16, half to even; subnormal floats to zeros of their
/// sign, NaN to a NaN.
///
/// With `second`, pairs: y[2 i] = x[i], y[2 i + 1] = second[i]; else y[i] = x[i].
struct RoundBf16 {
  const float* x = nullptr;
  const float* second = nullptr;  ///< may be null
  std::int64_t count = 0;         ///< elements of x
  std::uint16_t* y = nullptr;
};

}  // namespace bitdial::inline BITDIAL_ABI::kernels
