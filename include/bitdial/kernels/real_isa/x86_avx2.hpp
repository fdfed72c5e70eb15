// SPDX-License-Identifier: Apache-2.0
// Kernels on real numbers: AVX2 with FMA.
#pragma once

#include <bitdial/kernels/isa/x86_avx2.hpp>
#include <bitdial/kernels/real_isa/scalar.hpp>

#if defined(__x86_64__)

BITDIAL_BEGIN_TARGET("avx2,fma")
namespace bitdial::inline BITDIAL_ABI::kernels::avx2 {

inline constexpr int f32_rows = 6, f32_vectors = 2;
inline __m256i first_lanes(std::int64_t count) noexcept {
  const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const auto valid = static_cast<int>(std::min(count, f32_lanes));
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(valid), lanes);
}
inline F32 load_f32_part(const float* p, std::int64_t count) noexcept {
  return _mm256_maskload_ps(p, first_lanes(count));
}
inline void store_f32_part(float* p, F32 v, std::int64_t count) noexcept {
  _mm256_maskstore_ps(p, first_lanes(count), v);
}
inline Ints add_bits_between(Ints marked, F32 x, F32 low, F32 high, Ints bits) noexcept {
  const F32 inside =
      _mm256_and_ps(_mm256_cmp_ps(x, low, _CMP_GE_OQ), _mm256_cmp_ps(x, high, _CMP_LE_OQ));
  return _mm256_or_si256(marked, _mm256_and_si256(_mm256_castps_si256(inside), bits));
}
inline Ints add_bits_above(Ints marked, F32 x, F32 low, Ints bits) noexcept {
  const F32 above = _mm256_cmp_ps(x, low, _CMP_GT_OQ);
  return _mm256_or_si256(marked, _mm256_and_si256(_mm256_castps_si256(above), bits));
}
inline Ints repeat_words(const std::uint32_t* p) noexcept {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline void store_words(std::uint32_t* p, Ints v) noexcept {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                   _mm_or_si128(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1)));
}
inline F32 keep_where(F32 x, Ints words, Ints bits) noexcept {
  const Ints is_clear = _mm256_cmpeq_epi32(_mm256_and_si256(words, bits), Ints{});
  return _mm256_andnot_ps(_mm256_castsi256_ps(is_clear), x);
}

/// Subnormal numbers count as zeros while one of these lives. The compiler must not move loads
/// before its begin nor stores past its end.
class FlushSubnormals {
 public:
  FlushSubnormals() noexcept {
    constexpr unsigned operands_and_results = 0x8040;
    _mm_setcsr(saved_ | operands_and_results);
    __asm__ volatile("" ::: "memory");
  }
  FlushSubnormals(const FlushSubnormals&) = delete;
  FlushSubnormals& operator=(const FlushSubnormals&) = delete;
  ~FlushSubnormals() {
    __asm__ volatile("" ::: "memory");
    _mm_setcsr(saved_);
  }

 private:
  unsigned saved_ = _mm_getcsr();
};

/// The two numbers of a pair as floats.
struct Bf16Pairs {
  F32 first, second;
};

using Bf16Scope = FlushSubnormals;
inline constexpr int bf16_rows = 4, bf16_narrow_rows = 4, bf16_vectors = 2;
inline Bf16Pairs split_bf16_pairs(__m256i v) noexcept {
  return {_mm256_castsi256_ps(_mm256_slli_epi32(v, 16)),
          _mm256_castsi256_ps(_mm256_and_si256(v, _mm256_set1_epi32(-65536)))};
}
inline Bf16Pairs broadcast_bf16_pair(const std::uint16_t* p) noexcept {
  std::int32_t pair = 0;
  std::memcpy(&pair, p, sizeof pair);
  return split_bf16_pairs(_mm256_set1_epi32(pair));
}
inline Bf16Pairs load_bf16_pairs(const std::uint16_t* p) noexcept {
  return split_bf16_pairs(load_256(p));
}
inline F32 dot_bf16(F32 c, Bf16Pairs a, Bf16Pairs b) noexcept {
  return _mm256_fmadd_ps(a.first, b.first, _mm256_fmadd_ps(a.second, b.second, c));
}

/// Rounded numbers in the upper halves.
inline __m256i round_upper_half(F32 x) noexcept {
  const __m256i bits = _mm256_castps_si256(x);
  const __m256i size = _mm256_and_si256(bits, _mm256_set1_epi32(0x7fffffff));
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  __m256i y = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  y = _mm256_blendv_epi8(y, _mm256_andnot_si256(_mm256_set1_epi32(0x7fffffff), bits),
                         _mm256_cmpgt_epi32(_mm256_set1_epi32(0x00800000), size));
  return _mm256_blendv_epi8(y, _mm256_or_si256(bits, _mm256_set1_epi32(0x00400000)),
                            _mm256_cmpgt_epi32(size, _mm256_set1_epi32(0x7f800000)));
}
inline void store_bf16(std::uint16_t* p, F32 x) noexcept {
  const __m256i words = _mm256_srli_epi32(round_upper_half(x), 16);
  const __m256i packed = _mm256_packus_epi32(words, words);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                   _mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08)));
}
inline void store_bf16_pairs(std::uint16_t* p, F32 first, F32 second) noexcept {
  const __m256i upper = _mm256_set1_epi32(-65536);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                      _mm256_or_si256(_mm256_srli_epi32(round_upper_half(first), 16),
                                      _mm256_and_si256(round_upper_half(second), upper)));
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
  RealKernels t = scalar::real_kernels;
  t.name = "avx2";
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

}  // namespace bitdial::inline BITDIAL_ABI::kernels::avx2
BITDIAL_END_TARGET

#else

namespace bitdial::inline BITDIAL_ABI::kernels::avx2 {

inline constexpr RealKernels real_kernels = [] {
  RealKernels t = scalar::real_kernels;
  t.name = "avx2";
  return t;
}();

}  // namespace bitdial::inline BITDIAL_ABI::kernels::avx2

#endif
