// SPDX-License-Identifier: Apache-2.0
// AVX2 with FMA: 256-bit vectors. On other processors the table is the portable one, never
// selected.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#if defined(__x86_64__)
#  include <immintrin.h>
#endif

#include <bitdial/kernels/cpu_features.hpp>
#include <bitdial/kernels/isa/scalar.hpp>
#include <bitdial/kernels/target_region.hpp>

namespace bitdial::inline BITDIAL_ABI::kernels::avx2 {

inline bool supported() noexcept {
  constexpr std::uint32_t fma = 1U << 12;  // leaf 1, ecx
  constexpr std::uint32_t avx2 = 1U << 5;  // leaf 7, ebx
  return os_saves_registers(0x6) && cpuid_has(1, 0, CpuidRegister::ecx, fma) &&
         cpuid_has(7, 0, CpuidRegister::ebx, avx2);
}

}  // namespace bitdial::inline BITDIAL_ABI::kernels::avx2

#if defined(__x86_64__)

BITDIAL_BEGIN_TARGET("avx2,fma")
namespace bitdial::inline BITDIAL_ABI::kernels::avx2 {

using F32 = __m256;
inline constexpr std::int64_t f32_lanes = 8;

inline F32 load_f32(const float* p) noexcept {
  return _mm256_loadu_ps(p);
}
inline void store_f32(float* p, F32 v) noexcept {
  _mm256_storeu_ps(p, v);
}
inline F32 broadcast_f32(const float* p) noexcept {
  return _mm256_broadcast_ss(p);
}
inline F32 fmadd_f32(F32 a, F32 b, F32 c) noexcept {
  return _mm256_fmadd_ps(a, b, c);
}
inline F32 mul_f32(F32 a, F32 b) noexcept {
  return _mm256_mul_ps(a, b);
}
inline F32 add_f32(F32 a, F32 b) noexcept {
  return _mm256_add_ps(a, b);
}
inline F32 min_f32(F32 a, F32 b) noexcept {
  return _mm256_min_ps(a, b);
}
inline F32 max_f32(F32 a, F32 b) noexcept {
  return _mm256_max_ps(a, b);
}
inline __m256i load_256(const void* p) noexcept {
  return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
using Ints = __m256i;
inline Ints load_ints(const void* p) noexcept {
  return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
inline void store_ints(std::int32_t* p, Ints v) noexcept {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v);
}
inline Ints broadcast_int(std::uint32_t x) noexcept {
  return _mm256_set1_epi32(static_cast<int>(x));
}
inline Ints mul_ints(Ints a, Ints b) noexcept {
  return _mm256_mullo_epi32(a, b);
}
inline Ints add_ints(Ints a, Ints b) noexcept {
  return _mm256_add_epi32(a, b);
}
/// a0 + a1, a2 + a3, .. of both.
inline Ints add_neighbours(Ints a, Ints b) noexcept {
  return _mm256_permute4x64_epi64(_mm256_hadd_epi32(a, b), 0xd8);
}
inline F32 floats_of(Ints v) noexcept {
  return _mm256_cvtepi32_ps(v);
}
inline Ints nearest_ints(F32 v) noexcept {
  return _mm256_cvtps_epi32(v);
}
inline Ints add_at_least(Ints a, F32 x, F32 y) noexcept {
  return _mm256_sub_epi32(a, _mm256_castps_si256(_mm256_cmp_ps(x, y, _CMP_GE_OQ)));
}
inline bool is_any_farther(F32 x, F32 y, F32 distance) noexcept {
  const F32 size = _mm256_andnot_ps(_mm256_set1_ps(-0.0F), _mm256_sub_ps(x, y));
  return _mm256_movemask_ps(_mm256_cmp_ps(size, distance, _CMP_GT_OQ)) != 0;
}
inline F32 threshold_at(const float* thresholds, Ints index) noexcept {
  return _mm256_i32gather_ps(thresholds, index, sizeof(float));
}
inline Ints ints_of_codes(const std::uint8_t* p) noexcept {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
}
/// Byte i of every four.
template <int i>
inline Ints ints_of_levels(const std::int8_t* p) noexcept {
  return _mm256_srai_epi32(_mm256_slli_epi32(load_256(p), 24 - 8 * i), 24);
}
inline void store_codes(std::uint8_t* p, Ints v) noexcept {
  const __m128i half = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(half, half));
}
inline __m256i narrow_ints(Ints a, Ints b, Ints c, Ints d) noexcept {
  return _mm256_packus_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
}
inline __m256i four_codes(const Ints (&v)[4]) noexcept {
  const __m256i pairs = _mm256_permute4x64_epi64(narrow_ints(v[0], v[1], v[2], v[3]), 0xd8);
  return _mm256_shuffle_epi32(pairs, 0xd8);
}
inline void store_code_run(std::uint8_t* p, const Ints (&v)[4]) noexcept {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), four_codes(v));
}
inline void store_code_rows(std::uint8_t* p, std::int64_t stride, const Ints (&v)[4]) noexcept {
  const __m256i codes = four_codes(v);
  const __m128i low = _mm256_castsi256_si128(codes), high = _mm256_extracti128_si256(codes, 1);
  const auto row = [p, stride](int r) { return reinterpret_cast<__m128i*>(p + r * stride); };
  _mm_storel_epi64(row(0), low);
  _mm_storel_epi64(row(1), _mm_unpackhi_epi64(low, low));
  _mm_storel_epi64(row(2), high);
  _mm_storel_epi64(row(3), _mm_unpackhi_epi64(high, high));
}

using U8S8Sums = __m256i;
inline constexpr std::int64_t u8s8_lanes = 8;
inline constexpr int u8s8_rows = 5, u8s8_vectors = 2;

inline void store_sums(std::int32_t* p, U8S8Sums c) noexcept {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), c);
}
inline U8S8Sums load_sums(const std::int32_t* p) noexcept {
  return load_256(p);
}
inline U8S8Sums add_sums(U8S8Sums a, U8S8Sums b) noexcept {
  return _mm256_add_epi32(a, b);
}

/// Products of 16 bits, of codes and levels that are widened, even and odd bytes apart.
using Pairs = __m256i;
inline Pairs even_codes(__m256i codes) noexcept {
  return _mm256_and_si256(codes, _mm256_set1_epi16(255));
}
inline Pairs odd_codes(__m256i codes) noexcept {
  return _mm256_srli_epi16(codes, 8);
}
inline Pairs even_levels(__m256i levels) noexcept {
  return _mm256_srai_epi16(_mm256_slli_epi16(levels, 8), 8);
}
inline Pairs odd_levels(__m256i levels) noexcept {
  return _mm256_srai_epi16(levels, 8);
}
inline Pairs broadcast_pair(const std::int16_t* p) noexcept {
  std::int32_t two = 0;
  std::memcpy(&two, p, sizeof two);
  return _mm256_set1_epi32(two);
}
inline U8S8Sums add_pairs(U8S8Sums c, Pairs a, Pairs b) noexcept {
  return _mm256_add_epi32(c, _mm256_madd_epi16(a, b));
}

/// Bytes multiplied as they are, in pairs: exact where the sum of two products fits 16 bits.
using Shorts = __m256i;
inline __m256i broadcast_group(const std::uint8_t* p) noexcept {
  std::int32_t four = 0;
  std::memcpy(&four, p, sizeof four);
  return _mm256_set1_epi32(four);
}
inline Shorts multiply_pairs(__m256i codes, __m256i levels) noexcept {
  return _mm256_maddubs_epi16(codes, levels);
}
inline Shorts add_shorts(Shorts a, Shorts b) noexcept {
  return _mm256_add_epi16(a, b);
}
inline U8S8Sums widen_shorts(Shorts c) noexcept {
  return _mm256_madd_epi16(c, _mm256_set1_epi16(1));
}

/// Population count by table look-up of nibbles (Mula); a byte holds 31 words of 8 ones.
using Bits = __m256i;
inline constexpr std::int64_t bits_lanes = 4, max_counts = 31;
inline constexpr int planes_rows = 4, planes_cols = 8;

inline Bits load_bits(const std::uint32_t* p) noexcept {
  return load_256(p);
}
inline Bits broadcast_bits(std::uint32_t word) noexcept {
  return _mm256_set1_epi32(static_cast<int>(word));
}
inline Bits and_bits(Bits a, Bits b) noexcept {
  return _mm256_and_si256(a, b);
}
inline Bits xor_bits(Bits a, Bits b) noexcept {
  return _mm256_xor_si256(a, b);
}
inline Bits add_counts(Bits a, Bits b) noexcept {
  return _mm256_add_epi32(a, b);
}
inline Bits count_bits(Bits counts, Bits v) noexcept {
  const __m256i nibble = _mm256_set1_epi8(15);
  const __m256i ones =
      _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
  const __m256i low = _mm256_shuffle_epi8(ones, _mm256_and_si256(v, nibble));
  const __m256i high = _mm256_shuffle_epi8(ones, _mm256_and_si256(_mm256_srli_epi16(v, 4), nibble));
  return _mm256_add_epi8(counts, _mm256_add_epi8(low, high));
}
inline Bits fold_counts(Bits counts) noexcept {
  return _mm256_madd_epi16(_mm256_maddubs_epi16(counts, _mm256_set1_epi8(1)), _mm256_set1_epi16(1));
}
inline void store_counts(std::int32_t* p, Bits v) noexcept {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v);
}
inline Ints narrow_lanes(Bits a, Bits b) noexcept {
  const __m256 low = _mm256_shuffle_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), 0x88);
  return _mm256_permute4x64_epi64(_mm256_castps_si256(low), 0xd8);
}
inline std::uint64_t sum_lanes(Bits v) noexcept {
  alignas(32) std::uint64_t lanes[4];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), v);
  return lanes[0] + lanes[1] + lanes[2] + lanes[3];
}
inline Bits add_code_sums(Bits sum, const std::uint8_t* p) noexcept {
  return _mm256_add_epi64(sum, _mm256_sad_epu8(load_256(p), Bits{}));
}
using CodePart = std::int64_t;
inline CodePart code_part(std::int64_t count) noexcept {
  return count;
}
[[gnu::noinline]] inline Bits add_code_sums_part(Bits sum, const std::uint8_t* p,
                                                 CodePart count) noexcept {
  const auto add = [&sum](__m128i codes) {
    sum = _mm256_add_epi64(sum, _mm256_sad_epu8(_mm256_zextsi128_si256(codes), Bits{}));
  };
  for (; count >= 16; p += 16, count -= 16)
    add(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  for (; count >= 8; p += 8, count -= 8) add(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  for (; count > 0; ++p, --count) add(_mm_cvtsi32_si128(*p));
  return sum;
}

/// Look-ups in 16-entry tables of bytes, another table for each 16 bytes of a vector.
using Bytes = __m256i;
inline constexpr std::int64_t byte_lanes = 32;
inline constexpr int lookup_rows = 4, lookup_vectors = 1;

inline Bytes load_bytes(const std::uint8_t* p) noexcept {
  return load_256(p);
}
inline void store_bytes(std::uint8_t* p, Bytes v) noexcept {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v);
}
inline Bytes broadcast_block(const std::uint8_t* p) noexcept {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline Bytes look_up(Bytes table, Bytes index) noexcept {
  return _mm256_shuffle_epi8(table, index);
}
inline Bytes low_nibbles(Bytes v) noexcept {
  return _mm256_and_si256(v, _mm256_set1_epi8(15));
}
inline Bytes high_nibbles(Bytes v) noexcept {
  return _mm256_and_si256(_mm256_srli_epi16(v, 4), _mm256_set1_epi8(15));
}
inline Bytes add_u8(Bytes a, Bytes b) noexcept {
  return _mm256_add_epi8(a, b);
}
inline Bytes add_u16(Bytes a, Bytes b) noexcept {
  return _mm256_add_epi16(a, b);
}
inline Bytes high_bytes(Bytes v) noexcept {
  return _mm256_srli_epi16(v, 8);
}
inline Bytes low_bytes_sum(Bytes both, Bytes high) noexcept {
  return _mm256_sub_epi16(both, _mm256_slli_epi16(high, 8));
}
inline constexpr int codes_rows = 2, codes_vectors = 2;
/// Codes that start at bit `place * bits` of every byte.
template <int bits, int place>
inline Bytes unpack_bytes(Bytes v) noexcept {
  return _mm256_and_si256(_mm256_srli_epi16(v, place * bits), _mm256_set1_epi8((1 << bits) - 1));
}

struct LookupSums {
  __m256i low, high;
};
inline LookupSums widen_lookup_sums(Bytes low, Bytes high) noexcept {
  const __m256i sums = _mm256_add_epi16(_mm256_permute2x128_si256(low, high, 0x20),
                                        _mm256_permute2x128_si256(low, high, 0x31));
  return {_mm256_cvtepu16_epi32(_mm256_castsi256_si128(sums)),
          _mm256_cvtepu16_epi32(_mm256_extracti128_si256(sums, 1))};
}
inline LookupSums load_lookup_sums(const std::int32_t* p) noexcept {
  return {load_256(p), load_256(p + 8)};
}
inline LookupSums add_lookup_sums(LookupSums a, LookupSums b) noexcept {
  return {_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)};
}
inline void store_lookup_sums(std::int32_t* p, LookupSums v) noexcept {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v.low);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 8), v.high);
}

struct Codes64 {
  __m256i low, high;
};
inline Codes64 load_codes64(const std::uint8_t* p) noexcept {
  return {load_256(p), load_256(p + 32)};
}
/// The wanted bit is moved to the sign of its byte; bits of the neighbour byte stay below it.
inline std::uint64_t plane_word(Codes64 codes, int bit) noexcept {
  const __m128i shift = _mm_cvtsi32_si128(7 - bit);
  const auto low =
      static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_sll_epi16(codes.low, shift)));
  const auto high =
      static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_sll_epi16(codes.high, shift)));
  return std::uint64_t{high} << 32 | low;
}

/// Numbers and sums of Winograd's filtering. Pairs of bytes would seldom fit 16 bits.
using ByteNumbers = void;
using ShortNumbers [[gnu::vector_size(32)]] = std::uint16_t;
using IntLanes [[gnu::vector_size(32)]] = std::uint32_t;
using SignedLanes [[gnu::vector_size(32)]] = std::int32_t;
inline constexpr std::int64_t s16_lanes = 8;
inline constexpr int s16_rows = 6, s16_vectors = 2;

inline void load_codes(const std::uint8_t* p, ShortNumbers& codes) noexcept {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  codes = reinterpret_cast<ShortNumbers>(_mm256_cvtepu8_epi16(bytes));
}
inline IntLanes multiply_add_pairs(IntLanes c, Pairs a, IntLanes b) noexcept {
  return c + reinterpret_cast<IntLanes>(_mm256_madd_epi16(a, reinterpret_cast<__m256i>(b)));
}

namespace narrower = scalar;

#  include <bitdial/kernels/generic/tile_rows.ipp>

#  include <bitdial/kernels/generic/adjacent_rows.ipp>
#  include <bitdial/kernels/generic/bit_planes.ipp>
#  include <bitdial/kernels/generic/code_steps.ipp>
#  include <bitdial/kernels/generic/code_winograd.ipp>
#  include <bitdial/kernels/generic/depthwise_floats.ipp>
#  include <bitdial/kernels/generic/elementwise.ipp>
#  include <bitdial/kernels/generic/gemm_codes_pairs.ipp>
#  include <bitdial/kernels/generic/gemm_lookup.ipp>
#  include <bitdial/kernels/generic/gemm_u8s8_pairs.ipp>
#  include <bitdial/kernels/generic/row_sums.ipp>

inline constexpr KernelTable table = [] {
  KernelTable t = scalar::table;
  t.name = "avx2";
  t.supported = supported;
  t.gemm_u8s8 = {u8s8_rows, u8s8_cols, gemm_u8s8};
  t.reads_short_runs = true;
  t.gemm_planes = {planes_rows, planes_cols, gemm_planes};
  t.depthwise_u8s8 = {1, depthwise_cols, depthwise_u8s8};
  t.depthwise_lanes = f32_lanes;
  t.gemm_codes = {codes_rows, codes_cols, gemm_codes};
  t.gemm_lookup = {lookup_rows, lookup_cols, gemm_lookup};
  t.subset_sums = subset_sums;
  t.quantize = quantize;
  t.requantize = requantize;
  t.maximum = maximum;
  t.pack_planes = pack_planes;
  t.sum_codes = sum_codes;
  t.sum_rows = sum_rows;
  t.winograd_codes = winograd_codes;
  t.gemm_s16 = {s16_rows, s16_cols, gemm_s16};
  t.winograd_sums = winograd_sums;
  t.winograd_shorts_pay = true;
  return t;
}();

}  // namespace bitdial::inline BITDIAL_ABI::kernels::avx2
BITDIAL_END_TARGET

#else

namespace bitdial::inline BITDIAL_ABI::kernels::avx2 {

inline constexpr KernelTable table = [] {
  KernelTable t = scalar::table;
  t.name = "avx2";
  t.supported = supported;
  return t;
}();

}  // namespace bitdial::inline BITDIAL_ABI::kernels::avx2

#endif
