// SPDX-License-Identifier: Apache-2.0
// Kernels on real numbers: AVX-512 with BF16 (dot products of two bfloat16).
#pragma once

#include <bitdial/kernels/isa/x86_avx512bf16.hpp>
#include <bitdial/kernels/real_isa/x86_avx512vnni.hpp>

#if defined(__x86_64__)

BITDIAL_BEGIN_TARGET(
    "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vpopcntdq,avx512bf16")
namespace bitdial::inline BITDIAL_ABI::kernels::avx512bf16 {

using F32 = __m512;
inline constexpr std::int64_t f32_lanes = 16;
using avx512::load_f32, avx512::store_f32, avx512::load_f32_part, avx512::store_f32_part;

/// The instruction itself is the rule that `fma_bf16` states.
using Bf16Pairs = __m512i;

struct Bf16Scope {};
inline constexpr int bf16_rows = 12, bf16_narrow_rows = 16, bf16_vectors = 2;
inline Bf16Pairs broadcast_bf16_pair(const std::uint16_t* p) noexcept {
  std::int32_t pair = 0;
  std::memcpy(&pair, p, sizeof pair);
  return _mm512_set1_epi32(pair);
}
inline Bf16Pairs load_bf16_pairs(const std::uint16_t* p) noexcept {
  return _mm512_loadu_si512(p);
}
inline F32 dot_bf16(F32 c, Bf16Pairs a, Bf16Pairs b) noexcept {
  return _mm512_dpbf16_ps(c, (__m512bh)a, (__m512bh)b);
}
inline void store_bf16(std::uint16_t* p, F32 x) noexcept {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), (__m256i)_mm512_cvtneps_pbh(x));
}
inline void store_bf16_pairs(std::uint16_t* p, F32 first, F32 second) noexcept {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24,
                                         8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  _mm512_storeu_si512(p,
                      _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(second, first)));
}

using avx512::for_single_vectors, avx512::NumbersOfInputs, avx512::NumbersOfSlopes;

#  include <bitdial/kernels/generic/tile_rows.ipp>

#  include <bitdial/kernels/generic/gemm_bf16.ipp>
#  include <bitdial/kernels/generic/winograd_bf16.ipp>

inline constexpr RealKernels real_kernels = [] {
  RealKernels t = avx512vnni::real_kernels;
  t.name = "avx512bf16";
  t.gemm_bf16 = {bf16_rows, bf16_cols, gemm_bf16};
  t.bf16_narrow_rows = bf16_narrow_rows;
  t.round_bf16 = round_bf16;
  t.winograd_inputs_bf16 = winograd_inputs_bf16;
  t.winograd_slopes_bf16 = winograd_slopes_bf16;
  return t;
}();

}  // namespace bitdial::inline BITDIAL_ABI::kernels::avx512bf16
BITDIAL_END_TARGET

#else

namespace bitdial::inline BITDIAL_ABI::kernels::avx512bf16 {

inline constexpr RealKernels real_kernels = [] {
  RealKernels t = avx512vnni::real_kernels;
  t.name = "avx512bf16";
  return t;
}();

}  // namespace bitdial::inline BITDIAL_ABI::kernels::avx512bf16

#endif
