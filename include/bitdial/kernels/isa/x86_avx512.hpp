// SPDX-License-Identifier: Apache-2.0
// AVX-512 F, BW, DQ and VL: 512-bit vectors, without the integer dot product and bit count
// instructions of later processors. Products with packed weights, depthwise sums of codes and
// Winograd's filtering of codes stay AVX2's, which multiplies bytes in pairs and words.
#pragma once

#include <bitdial/kernels/isa/x86_avx2.hpp>

namespace bitdial::inline BITDIAL_ABI::kernels::avx512 {

inline bool supported() noexcept {
  constexpr std::uint32_t f_dq_bw_vl = 1U << 16 | 1U << 17 | 1U << 30 | 1U << 31;  // leaf 7, ebx
  return avx2::supported() && os_saves_registers(0xe6) &&
         cpuid_has(7, 0, CpuidRegister::ebx, f_dq_bw_vl);
}

}  // namespace bitdial::inline BITDIAL_ABI::kernels::avx512

#if defined(__x86_64__)

BITDIAL_BEGIN_TARGET("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")
namespace bitdial::inline BITDIAL_ABI::kernels::avx512 {

using F32 = __m512;
inline constexpr std::int64_t f32_lanes = 16;

inline F32 load_f32(const float* p) noexcept {
  return _mm512_loadu_ps(p);
}
inline void store_f32(float* p, F32 v) noexcept {
  _mm512_storeu_ps(p, v);
}
inline F32 broadcast_f32(const float* p) noexcept {
  return _mm512_set1_ps(*p);
}
inline F32 fmadd_f32(F32 a, F32 b, F32 c) noexcept {
  return _mm512_fmadd_ps(a, b, c);
}
inline F32 mul_f32(F32 a, F32 b) noexcept {
  return _mm512_mul_ps(a, b);
}
inline F32 add_f32(F32 a, F32 b) noexcept {
  return _mm512_add_ps(a, b);
}
inline F32 min_f32(F32 a, F32 b) noexcept {
  return _mm512_min_ps(a, b);
}
inline F32 max_f32(F32 a, F32 b) noexcept {
  return _mm512_max_ps(a, b);
}
using Ints = __m512i;
inline Ints load_ints(const void* p) noexcept {
  return _mm512_loadu_si512(p);
}
inline void store_ints(std::int32_t* p, Ints v) noexcept {
  _mm512_storeu_si512(p, v);
}
inline Ints broadcast_int(std::uint32_t x) noexcept {
  return _mm512_set1_epi32(static_cast<int>(x));
}
inline Ints mul_ints(Ints a, Ints b) noexcept {
  return _mm512_mullo_epi32(a, b);
}
inline Ints add_ints(Ints a, Ints b) noexcept {
  return _mm512_add_epi32(a, b);
}
/// a0 + a1, a2 + a3, .. of both.
inline Ints add_neighbours(Ints a, Ints b) noexcept {
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
  return _mm512_add_epi32(_mm512_permutex2var_epi32(a, even, b),
                          _mm512_permutex2var_epi32(a, odd, b));
}
inline F32 floats_of(Ints v) noexcept {
  return _mm512_cvtepi32_ps(v);
}
inline Ints nearest_ints(F32 v) noexcept {
  return _mm512_cvtps_epi32(v);
}
inline Ints add_at_least(Ints a, F32 x, F32 y) noexcept {
  return _mm512_mask_add_epi32(a, _mm512_cmp_ps_mask(x, y, _CMP_GE_OQ), a, _mm512_set1_epi32(1));
}
inline bool is_any_farther(F32 x, F32 y, F32 distance) noexcept {
  return _mm512_cmp_ps_mask(_mm512_abs_ps(_mm512_sub_ps(x, y)), distance, _CMP_GT_OQ) != 0;
}
inline F32 threshold_at(const float* thresholds, Ints index) noexcept {
  return _mm512_i32gather_ps(index, thresholds, sizeof(float));
}
inline Ints ints_of_codes(const std::uint8_t* p) noexcept {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline void store_codes(std::uint8_t* p, Ints v) noexcept {
  const __m512i not_below_zero = _mm512_max_epi32(v, __m512i{});
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtusepi32_epi8(not_below_zero));
}
inline __m512i narrow_ints(Ints a, Ints b, Ints c, Ints d) noexcept {
  return _mm512_packus_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
}
inline __m512i four_codes(const Ints (&v)[4]) noexcept {
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  return _mm512_permutexvar_epi32(order, narrow_ints(v[0], v[1], v[2], v[3]));
}
inline void store_code_run(std::uint8_t* p, const Ints (&v)[4]) noexcept {
  _mm512_storeu_si512(p, four_codes(v));
}
inline void store_code_rows(std::uint8_t* p, std::int64_t stride, const Ints (&v)[4]) noexcept {
  const __m512i codes = four_codes(v);
  if (stride == 16) return _mm512_storeu_si512(p, codes);
  const auto row = [p, stride](int r) { return reinterpret_cast<__m128i*>(p + r * stride); };
  _mm_storeu_si128(row(0), _mm512_castsi512_si128(codes));
  _mm_storeu_si128(row(1), _mm512_extracti32x4_epi32(codes, 1));
  _mm_storeu_si128(row(2), _mm512_extracti32x4_epi32(codes, 2));
  _mm_storeu_si128(row(3), _mm512_extracti32x4_epi32(codes, 3));
}

/// Codes and levels are widened to 16 bits, even and odd bytes apart, and multiplied there: the
/// instruction that multiplies bytes would saturate.
using U8S8Sums = __m512i;
struct U8S8Codes {
  __m512i even, odd;
};
using U8S8Levels = U8S8Codes;
inline constexpr std::int64_t u8s8_lanes = 16;
inline constexpr int u8s8_rows = 8, u8s8_vectors = 2;
inline constexpr bool u8s8_narrows = false;

inline U8S8Codes broadcast_codes(const std::uint8_t* p) noexcept {
  std::int32_t four = 0;
  std::memcpy(&four, p, sizeof four);
  const __m512i v = _mm512_set1_epi32(four);
  return {_mm512_and_si512(v, _mm512_set1_epi16(255)), _mm512_srli_epi16(v, 8)};
}
inline U8S8Levels load_levels(const std::int8_t* p) noexcept {
  const __m512i v = _mm512_loadu_si512(p);
  return {_mm512_srai_epi16(_mm512_slli_epi16(v, 8), 8), _mm512_srai_epi16(v, 8)};
}
inline U8S8Sums multiply_add(U8S8Sums c, U8S8Codes a, U8S8Levels b) noexcept {
  const __m512i even = _mm512_madd_epi16(a.even, b.even);
  const __m512i odd = _mm512_madd_epi16(a.odd, b.odd);
  return _mm512_add_epi32(c, _mm512_add_epi32(even, odd));
}
inline void store_sums(std::int32_t* p, U8S8Sums c) noexcept {
  _mm512_storeu_si512(p, c);
}

/// Population count by table look-up of nibbles (Mula); a byte holds 31 words of 8 ones.
using Bits = __m512i;
inline constexpr std::int64_t bits_lanes = 8, max_counts = 31;
inline constexpr int planes_rows = 6, planes_cols = 16;

inline Bits load_bits(const std::uint32_t* p) noexcept {
  return _mm512_loadu_si512(p);
}
inline Bits broadcast_bits(std::uint32_t word) noexcept {
  return _mm512_set1_epi32(static_cast<int>(word));
}
inline Bits and_bits(Bits a, Bits b) noexcept {
  return _mm512_and_si512(a, b);
}
inline Bits xor_bits(Bits a, Bits b) noexcept {
  return _mm512_xor_si512(a, b);
}
inline Bits add_counts(Bits a, Bits b) noexcept {
  return _mm512_add_epi32(a, b);
}
inline Bits count_bits(Bits counts, Bits v) noexcept {
  const __m512i nibble = _mm512_set1_epi8(15);
  const __m512i ones =
      _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
  const __m512i low = _mm512_shuffle_epi8(ones, _mm512_and_si512(v, nibble));
  const __m512i high = _mm512_shuffle_epi8(ones, _mm512_and_si512(_mm512_srli_epi16(v, 4), nibble));
  return _mm512_add_epi8(counts, _mm512_add_epi8(low, high));
}
inline Bits fold_counts(Bits counts) noexcept {
  return _mm512_madd_epi16(_mm512_maddubs_epi16(counts, _mm512_set1_epi8(1)), _mm512_set1_epi16(1));
}
inline void store_counts(std::int32_t* p, Bits v) noexcept {
  _mm512_storeu_si512(p, v);
}

/// Look-ups in 16-entry tables of bytes, another table for each 16 bytes of a vector.
using Bytes = __m512i;
inline constexpr std::int64_t byte_lanes = 64;
inline constexpr int lookup_rows = 4, lookup_vectors = 2;

inline Bytes load_bytes(const std::uint8_t* p) noexcept {
  return _mm512_loadu_si512(p);
}
inline void store_bytes(std::uint8_t* p, Bytes v) noexcept {
  _mm512_storeu_si512(p, v);
}
inline void store_bytes_part(std::uint8_t* p, Bytes v, std::int64_t count) noexcept {
  _mm512_mask_storeu_epi8(p, ~0ULL >> (byte_lanes - count), v);
}
inline Bytes broadcast_block(const std::uint8_t* p) noexcept {
  return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline Bytes look_up(Bytes table, Bytes index) noexcept {
  return _mm512_shuffle_epi8(table, index);
}
inline Bytes low_nibbles(Bytes v) noexcept {
  return _mm512_and_si512(v, _mm512_set1_epi8(15));
}
inline Bytes high_nibbles(Bytes v) noexcept {
  return _mm512_and_si512(_mm512_srli_epi16(v, 4), _mm512_set1_epi8(15));
}
inline Bytes add_u8(Bytes a, Bytes b) noexcept {
  return _mm512_add_epi8(a, b);
}
inline Bytes add_u16(Bytes a, Bytes b) noexcept {
  return _mm512_add_epi16(a, b);
}
inline Bytes high_bytes(Bytes v) noexcept {
  return _mm512_srli_epi16(v, 8);
}
inline Bytes low_bytes_sum(Bytes both, Bytes high) noexcept {
  return _mm512_sub_epi16(both, _mm512_slli_epi16(high, 8));
}

using LookupSums = __m512i;
inline LookupSums widen_lookup_sums(Bytes low, Bytes high) noexcept {
  const __m512i pairs = _mm512_add_epi16(_mm512_shuffle_i64x2(low, high, 0x44),
                                         _mm512_shuffle_i64x2(low, high, 0xee));
  const __m512i sums = _mm512_add_epi16(_mm512_shuffle_i64x2(pairs, pairs, 0x88),
                                        _mm512_shuffle_i64x2(pairs, pairs, 0xdd));
  return _mm512_cvtepu16_epi32(_mm512_castsi512_si256(sums));
}
inline LookupSums load_lookup_sums(const std::int32_t* p) noexcept {
  return _mm512_loadu_si512(p);
}
inline LookupSums add_lookup_sums(LookupSums a, LookupSums b) noexcept {
  return _mm512_add_epi32(a, b);
}
inline void store_lookup_sums(std::int32_t* p, LookupSums v) noexcept {
  _mm512_storeu_si512(p, v);
}

using Codes64 = __m512i;
inline Codes64 load_codes64(const std::uint8_t* p) noexcept {
  return _mm512_loadu_si512(p);
}
inline std::uint64_t plane_word(Codes64 codes, int bit) noexcept {
  return _mm512_test_epi8_mask(codes, _mm512_set1_epi8(static_cast<char>(1 << bit)));
}

/// Interleaved codes of four taps and their sums, for tables with a dot product.
inline Bytes unpack_low8(Bytes a, Bytes b) noexcept {
  return _mm512_unpacklo_epi8(a, b);
}
inline Bytes unpack_high8(Bytes a, Bytes b) noexcept {
  return _mm512_unpackhi_epi8(a, b);
}
inline Bytes unpack_low16(Bytes a, Bytes b) noexcept {
  return _mm512_unpacklo_epi16(a, b);
}
inline Bytes unpack_high16(Bytes a, Bytes b) noexcept {
  return _mm512_unpackhi_epi16(a, b);
}
inline U8S8Sums mul_sums(U8S8Sums v, std::int32_t factor) noexcept {
  return _mm512_mullo_epi32(v, _mm512_set1_epi32(factor));
}
inline U8S8Sums add_sums(U8S8Sums a, U8S8Sums b) noexcept {
  return _mm512_add_epi32(a, b);
}
inline F32 sums_to_f32(U8S8Sums v) noexcept {
  return _mm512_cvtepi32_ps(v);
}

namespace narrower = avx2;

#  include <bitdial/kernels/generic/tile_rows.ipp>

#  include <bitdial/kernels/generic/bit_planes.ipp>
#  include <bitdial/kernels/generic/code_steps.ipp>
#  include <bitdial/kernels/generic/elementwise.ipp>
#  include <bitdial/kernels/generic/gemm_lookup.ipp>
#  include <bitdial/kernels/generic/gemm_u8s8.ipp>

inline constexpr KernelTable table = [] {
  KernelTable t = avx2::table;
  t.name = "avx512";
  t.supported = supported;
  t.gemm_u8s8 = {u8s8_rows, u8s8_cols, gemm_u8s8};
  t.reads_short_runs = false;
  t.gemm_planes = {planes_rows, planes_cols, gemm_planes};
  t.gemm_lookup = {lookup_rows, lookup_cols, gemm_lookup};
  t.subset_sums = subset_sums;
  t.quantize = quantize;
  t.requantize = requantize;
  t.maximum = maximum;
  t.pack_planes = pack_planes;
  return t;
}();

}  // namespace bitdial::inline BITDIAL_ABI::kernels::avx512
BITDIAL_END_TARGET

#else

namespace bitdial::inline BITDIAL_ABI::kernels::avx512 {

inline constexpr KernelTable table = [] {
  KernelTable t = avx2::table;
  t.name = "avx512";
  t.supported = supported;
  return t;
}();

}  // namespace bitdial::inline BITDIAL_ABI::kernels::avx512

#endif
