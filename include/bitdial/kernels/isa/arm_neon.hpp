// SPDX-License-Identifier: Apache-2.0
// AArch64 Advanced SIMD ("NEON"): 128-bit vectors, part of every 64-bit Arm processor.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#if defined(__aarch64__)
#  include <arm_neon.h>
#endif

#include <bitdial/kernels/isa/scalar.hpp>

namespace bitdial::inline BITDIAL_ABI::kernels::neon {

inline bool supported() noexcept {
#if defined(__aarch64__)
  return true;
#else
  return false;
#endif
}

#if defined(__aarch64__)

using F32 = float32x4_t;
inline constexpr std::int64_t f32_lanes = 4;

inline F32 load_f32(const float* p) noexcept {
  return vld1q_f32(p);
}
inline void store_f32(float* p, F32 v) noexcept {
  vst1q_f32(p, v);
}
inline F32 broadcast_f32(const float* p) noexcept {
  return vld1q_dup_f32(p);
}
inline F32 fmadd_f32(F32 a, F32 b, F32 c) noexcept {
  return vfmaq_f32(c, a, b);
}
inline F32 mul_f32(F32 a, F32 b) noexcept {
  return vmulq_f32(a, b);
}
inline F32 add_f32(F32 a, F32 b) noexcept {
  return vaddq_f32(a, b);
}
inline F32 min_f32(F32 a, F32 b) noexcept {
  return vbslq_f32(vcltq_f32(a, b), a, b);
}
inline F32 max_f32(F32 a, F32 b) noexcept {
  return vbslq_f32(vcgtq_f32(a, b), a, b);
}
using Ints = int32x4_t;
inline Ints load_ints(const void* p) noexcept {
  return vld1q_s32(static_cast<const std::int32_t*>(p));
}
inline void store_ints(std::int32_t* p, Ints v) noexcept {
  vst1q_s32(p, v);
}
inline Ints broadcast_int(std::uint32_t x) noexcept {
  return vdupq_n_s32(static_cast<std::int32_t>(x));
}
inline Ints mul_ints(Ints a, Ints b) noexcept {
  return vmulq_s32(a, b);
}
inline Ints add_ints(Ints a, Ints b) noexcept {
  return vaddq_s32(a, b);
}
/// a0 + a1, a2 + a3, .. of both.
inline Ints add_neighbours(Ints a, Ints b) noexcept {
  return vpaddq_s32(a, b);
}
inline F32 floats_of(Ints v) noexcept {
  return vcvtq_f32_s32(v);
}
inline Ints nearest_ints(F32 v) noexcept {
  return vcvtnq_s32_f32(v);
}
inline Ints add_at_least(Ints a, F32 x, F32 y) noexcept {
  return vsubq_s32(a, vreinterpretq_s32_u32(vcgeq_f32(x, y)));
}
inline bool is_any_farther(F32 x, F32 y, F32 distance) noexcept {
  return vmaxvq_u32(vcgtq_f32(vabdq_f32(x, y), distance)) != 0;
}
inline F32 threshold_at(const float* thresholds, Ints index) noexcept {
  F32 v = vld1q_dup_f32(thresholds + vgetq_lane_s32(index, 0));
  v = vld1q_lane_f32(thresholds + vgetq_lane_s32(index, 1), v, 1);
  v = vld1q_lane_f32(thresholds + vgetq_lane_s32(index, 2), v, 2);
  return vld1q_lane_f32(thresholds + vgetq_lane_s32(index, 3), v, 3);
}
inline Ints ints_of_codes(const std::uint8_t* p) noexcept {
  std::uint32_t four = 0;
  std::memcpy(&four, p, sizeof four);
  const uint16x8_t wide = vmovl_u8(vcreate_u8(four));
  return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(wide)));
}
inline void store_codes(std::uint8_t* p, Ints v) noexcept {
  const uint16x4_t half = vqmovun_s32(v);
  const std::uint32_t four =
      vget_lane_u32(vreinterpret_u32_u8(vqmovn_u16(vcombine_u16(half, half))), 0);
  std::memcpy(p, &four, sizeof four);
}
inline void store_code_run(std::uint8_t* p, const Ints (&v)[4]) noexcept {
  const uint16x8_t low = vqmovun_high_s32(vqmovun_s32(v[0]), v[1]);
  const uint16x8_t high = vqmovun_high_s32(vqmovun_s32(v[2]), v[3]);
  vst1q_u8(p, vqmovn_high_u16(vqmovn_u16(low), high));
}
inline void store_code_rows(std::uint8_t* p, std::int64_t stride, const Ints (&v)[4]) noexcept {
  std::uint8_t rows[4][4];
  store_code_run(rows[0], v);
  for (int r = 0; r < 4; ++r) std::memcpy(p + r * stride, rows[r], sizeof rows[r]);
}

/// Codes and levels are widened to 16 bits; each column keeps its four products apart until the
/// end.
struct U8S8Sums {
  int32x4_t column[4];
};
struct U8S8Levels {
  int16x8_t first, second;  ///< columns 0 and 1, 2 and 3
};
using U8S8Codes = int16x4_t;
inline constexpr std::int64_t u8s8_lanes = 4;
inline constexpr int u8s8_rows = 3, u8s8_vectors = 2;
inline constexpr bool u8s8_narrows = true;

inline U8S8Codes broadcast_codes(const std::uint8_t* p) noexcept {
  std::uint32_t four = 0;
  std::memcpy(&four, p, sizeof four);
  return vget_low_s16(vreinterpretq_s16_u16(vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four)))));
}
inline U8S8Levels load_levels(const std::int8_t* p) noexcept {
  const int8x16_t v = vld1q_s8(p);
  return {vmovl_s8(vget_low_s8(v)), vmovl_high_s8(v)};
}
inline U8S8Sums multiply_add(U8S8Sums c, U8S8Codes a, U8S8Levels b) noexcept {
  return {{vmlal_s16(c.column[0], vget_low_s16(b.first), a),
           vmlal_s16(c.column[1], vget_high_s16(b.first), a),
           vmlal_s16(c.column[2], vget_low_s16(b.second), a),
           vmlal_s16(c.column[3], vget_high_s16(b.second), a)}};
}
inline void store_sums(std::int32_t* p, U8S8Sums c) noexcept {
  vst1q_s32(p,
            vpaddq_s32(vpaddq_s32(c.column[0], c.column[1]), vpaddq_s32(c.column[2], c.column[3])));
}

/// The bit count instruction counts bytes; a byte holds 31 words of 8 ones.
using Bits = uint64x2_t;
inline constexpr std::int64_t bits_lanes = 2, max_counts = 31;
inline constexpr int planes_rows = 4, planes_cols = 4;

inline Bits load_bits(const std::uint32_t* p) noexcept {
  return vreinterpretq_u64_u32(vld1q_u32(p));
}
inline Bits broadcast_bits(std::uint32_t word) noexcept {
  return vreinterpretq_u64_u32(vdupq_n_u32(word));
}
inline Bits and_bits(Bits a, Bits b) noexcept {
  return vandq_u64(a, b);
}
inline Bits xor_bits(Bits a, Bits b) noexcept {
  return veorq_u64(a, b);
}
inline Bits add_counts(Bits a, Bits b) noexcept {
  return vreinterpretq_u64_u32(vaddq_u32(vreinterpretq_u32_u64(a), vreinterpretq_u32_u64(b)));
}
inline Bits count_bits(Bits counts, Bits v) noexcept {
  const uint8x16_t ones = vcntq_u8(vreinterpretq_u8_u64(v));
  return vreinterpretq_u64_u8(vaddq_u8(vreinterpretq_u8_u64(counts), ones));
}
inline Bits fold_counts(Bits counts) noexcept {
  return vreinterpretq_u64_u32(vpaddlq_u16(vpaddlq_u8(vreinterpretq_u8_u64(counts))));
}
inline void store_counts(std::int32_t* p, Bits v) noexcept {
  vst1q_s32(p, vreinterpretq_s32_u64(v));
}
inline Ints narrow_lanes(Bits a, Bits b) noexcept {
  return vuzp1q_s32(vreinterpretq_s32_u64(a), vreinterpretq_s32_u64(b));
}
inline std::uint64_t sum_lanes(Bits v) noexcept {
  return vaddvq_u64(v);
}
inline Bits add_code_sums(Bits sum, const std::uint8_t* p) noexcept {
  return vaddq_u64(sum, vpaddlq_u32(vpaddlq_u16(vpaddlq_u8(vld1q_u8(p)))));
}
using CodePart = std::int64_t;
inline CodePart code_part(std::int64_t count) noexcept {
  return count;
}
[[gnu::noinline]] inline Bits add_code_sums_part(Bits sum, const std::uint8_t* p,
                                                 CodePart count) noexcept {
  for (; count >= 8; p += 8, count -= 8) {
    sum = vsetq_lane_u64(vgetq_lane_u64(sum, 0) + vaddlv_u8(vld1_u8(p)), sum, 0);
  }
  for (; count > 0; ++p, --count) sum = vsetq_lane_u64(vgetq_lane_u64(sum, 0) + *p, sum, 0);
  return sum;
}

struct Codes64 {
  uint8x16_t quarter[4];
};
inline Codes64 load_codes64(const std::uint8_t* p) noexcept {
  return {{vld1q_u8(p), vld1q_u8(p + 16), vld1q_u8(p + 32), vld1q_u8(p + 48)}};
}
/// A byte of eight codes: each keeps the power of two of its place where its bit is set, and
/// pairwise additions gather them.
inline std::uint64_t plane_word(Codes64 codes, int bit) noexcept {
  const uint8x16_t wanted = vdupq_n_u8(static_cast<std::uint8_t>(1 << bit));
  const uint8x16_t places = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201U));
  uint8x16_t q[4];
  for (int i = 0; i < 4; ++i) q[i] = vandq_u8(vtstq_u8(codes.quarter[i], wanted), places);
  const uint8x16_t pairs = vpaddq_u8(vpaddq_u8(q[0], q[1]), vpaddq_u8(q[2], q[3]));
  return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(pairs, pairs)), 0);
}

namespace narrower = scalar;

#  include <bitdial/kernels/generic/tile_rows.ipp>

#  include <bitdial/kernels/generic/adjacent_rows.ipp>
#  include <bitdial/kernels/generic/bit_planes.ipp>
#  include <bitdial/kernels/generic/code_steps.ipp>
#  include <bitdial/kernels/generic/elementwise.ipp>
#  include <bitdial/kernels/generic/gemm_u8s8.ipp>
#  include <bitdial/kernels/generic/row_sums.ipp>

inline constexpr KernelTable table = [] {
  KernelTable t = scalar::table;
  t.name = "neon";
  t.supported = supported;
  t.gemm_u8s8 = {u8s8_rows, u8s8_cols, gemm_u8s8};
  t.gemm_planes = {planes_rows, planes_cols, gemm_planes};
  t.quantize = quantize;
  t.requantize = requantize;
  t.maximum = maximum;
  t.pack_planes = pack_planes;
  t.sum_codes = sum_codes;
  t.sum_rows = sum_rows;
  return t;
}();

#else

inline constexpr KernelTable table = [] {
  KernelTable t = scalar::table;
  t.name = "neon";
  t.supported = supported;
  return t;
}();

#endif

}  // namespace bitdial::inline BITDIAL_ABI::kernels::neon
