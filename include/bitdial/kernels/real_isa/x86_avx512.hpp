// SPDX-License-Identifier: Apache-2.0
// Kernels on real numbers: AVX-512 F, BW, DQ and VL.
#pragma once

#include <bitdial/kernels/isa/x86_avx512.hpp>
#include <bitdial/kernels/real_isa/x86_avx2.hpp>

#if defined(__x86_64__)

BITDIAL_BEGIN_TARGET("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")
namespace bitdial::inline BITDIAL_ABI::kernels::avx512 {

inline constexpr int f32_rows = 12, f32_vectors = 2;
inline __mmask16 first_lanes(std::int64_t count) noexcept {
  return static_cast<__mmask16>(count >= f32_lanes ? 0xffff : count > 0 ? (1 << count) - 1 : 0);
}
inline F32 load_f32_part(const float* p, std::int64_t count) noexcept {
  return _mm512_maskz_loadu_ps(first_lanes(count), p);
}
inline void store_f32_part(float* p, F32 v, std::int64_t count) noexcept {
  _mm512_mask_storeu_ps(p, first_lanes(count), v);
}
inline Ints add_bits_between(Ints marked, F32 x, F32 low, F32 high, Ints bits) noexcept {
  const __mmask16 above = _mm512_cmp_ps_mask(x, low, _CMP_GE_OQ);
  return _mm512_mask_or_epi32(marked, _mm512_mask_cmp_ps_mask(above, x, high, _CMP_LE_OQ), marked,
                              bits);
}
inline Ints add_bits_above(Ints marked, F32 x, F32 low, Ints bits) noexcept {
  return _mm512_mask_or_epi32(marked, _mm512_cmp_ps_mask(x, low, _CMP_GT_OQ), marked, bits);
}
inline Ints repeat_words(const std::uint32_t* p) noexcept {
  return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline void store_words(std::uint32_t* p, Ints v) noexcept {
  const __m256i half = _mm256_or_si256(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                   _mm_or_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1)));
}
inline F32 keep_where(F32 x, Ints words, Ints bits) noexcept {
  return _mm512_maskz_mov_ps(_mm512_test_epi32_mask(words, bits), x);
}

/// The two numbers of a pair as floats.
struct Bf16Pairs {
  F32 first, second;
};

using Bf16Scope = avx2::FlushSubnormals;
inline constexpr int bf16_rows = 12, bf16_narrow_rows = 12, bf16_vectors = 2;
inline Bf16Pairs split_bf16_pairs(__m512i v) noexcept {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(v, 16)),
          _mm512_castsi512_ps(_mm512_and_si512(v, _mm512_set1_epi32(-65536)))};
}
inline Bf16Pairs broadcast_bf16_pair(const std::uint16_t* p) noexcept {
  std::int32_t pair = 0;
  std::memcpy(&pair, p, sizeof pair);
  return split_bf16_pairs(_mm512_set1_epi32(pair));
}
inline Bf16Pairs load_bf16_pairs(const std::uint16_t* p) noexcept {
  return split_bf16_pairs(_mm512_loadu_si512(p));
}
inline F32 dot_bf16(F32 c, Bf16Pairs a, Bf16Pairs b) noexcept {
  return _mm512_fmadd_ps(a.first, b.first, _mm512_fmadd_ps(a.second, b.second, c));
}

/// Rounded numbers in the upper halves.
inline __m512i round_upper_half(F32 x) noexcept {
  const __m512i bits = _mm512_castps_si512(x);
  const __m512i size = _mm512_and_si512(bits, _mm512_set1_epi32(0x7fffffff));
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i y = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const __m512i flushed =
      _mm512_mask_andnot_epi32(y, _mm512_cmplt_epi32_mask(size, _mm512_set1_epi32(0x00800000)),
                               _mm512_set1_epi32(0x7fffffff), bits);
  return _mm512_mask_or_epi32(flushed, _mm512_cmpgt_epi32_mask(size, _mm512_set1_epi32(0x7f800000)),
                              bits, _mm512_set1_epi32(0x00400000));
}
inline void store_bf16(std::uint16_t* p, F32 x) noexcept {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                      _mm512_cvtepi32_epi16(_mm512_srli_epi32(round_upper_half(x), 16)));
}
inline void store_bf16_pairs(std::uint16_t* p, F32 first, F32 second) noexcept {
  const __m512i upper = _mm512_set1_epi32(-65536);
  _mm512_storeu_si512(p, _mm512_or_si512(_mm512_srli_epi32(round_upper_half(first), 16),
                                         _mm512_and_si512(round_upper_half(second), upper)));
}

#  include <bitdial/kernels/generic/bit_mask.ipp>
#  include <bitdial/kernels/generic/decode.ipp>
#  include <bitdial/kernels/generic/depthwise_f32.ipp>
#  include <bitdial/kernels/generic/gemm_bf16.ipp>
#  include <bitdial/kernels/generic/gemm_f32.ipp>
#  include <bitdial/kernels/generic/normalisation.ipp>
#  include <bitdial/kernels/generic/tanh.ipp>
#  include <bitdial/kernels/generic/winograd.ipp>
#  include <bitdial/kernels/generic/winograd_bf16.ipp>

inline constexpr RealKernels real_kernels = [] {
  RealKernels t = avx2::real_kernels;
  t.name = "avx512";
  t.gemm_f32 = {f32_rows, f32_cols, gemm_f32};
  t.gemm_bf16 = {bf16_rows, bf16_cols, gemm_bf16};
  t.bf16_narrow_rows = bf16_narrow_rows;
  t.depthwise_taps = depthwise_taps;
  t.depthwise_weight_sums = depthwise_weight_sums;
  t.round_bf16 = round_bf16;
  t.channel_sums = channel_sums;
  t.scale_channels = scale_channels;
  t.combine_channels = combine_channels;
  t.decode = decode;
  t.tanh = tanh;
  t.mark_between = mark_between;
  t.rectify = rectify;
  t.gate = gate;
  t.add_gated = add_gated;
  t.winograd_inputs = winograd_inputs;
  t.winograd_inputs_bf16 = winograd_inputs_bf16;
  t.winograd_slopes = winograd_slopes;
  t.winograd_slopes_bf16 = winograd_slopes_bf16;
  t.winograd_outputs = winograd_outputs;
  t.winograd_taps = winograd_taps;
  return t;
}();

}  // namespace bitdial::inline BITDIAL_ABI::kernels::avx512
BITDIAL_END_TARGET

#else

namespace bitdial::inline BITDIAL_ABI::kernels::avx512 {

inline constexpr RealKernels real_kernels = [] {
  RealKernels t = avx2::real_kernels;
  t.name = "avx512";
  return t;
}();

}  // namespace bitdial::inline BITDIAL_ABI::kernels::avx512

#endif
