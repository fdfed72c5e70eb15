// SPDX-License-Identifier: Apache-2.0
// AArch64 Advanced SIMD with dot products of four bytes (FEAT_DotProd, optional in Armv8.2).
#pragma once

#include <bitdial/kernels/cpu_features.hpp>
#include <bitdial/kernels/isa/arm_neon.hpp>
#include <bitdial/kernels/target_region.hpp>

namespace bitdial::inline BITDIAL_ABI::kernels::neon_dotprod {

inline bool supported() noexcept {
  constexpr unsigned long asimddp = 1UL << 20;  // AT_HWCAP of the Linux kernel on AArch64
  return neon::supported() && kernel_reports(asimddp);
}

}  // namespace bitdial::inline BITDIAL_ABI::kernels::neon_dotprod

#if defined(__aarch64__)

#  if defined(__clang__)
BITDIAL_BEGIN_TARGET("dotprod")
#  else
BITDIAL_BEGIN_TARGET("arch=armv8.2-a+dotprod")
#  endif
namespace bitdial::inline BITDIAL_ABI::kernels::neon_dotprod {

/// c[i] += sum of the four products of signed bytes of lane i. Named by its instruction, because
/// the intrinsic exists only where the whole file is compiled for it.
inline int32x4_t dot_s8(int32x4_t c, int8x16_t a, int8x16_t b) noexcept {
  __asm__(".arch_extension dotprod\n\tsdot %0.4s, %1.16b, %2.16b" : "+w"(c) : "w"(a), "w"(b));
  return c;
}

/// The instruction multiplies signed bytes, so 128 is taken from each code, and 128 times the sum
/// of the four levels of a column is added again: once per load of levels, for all rows.
using U8S8Sums = int32x4_t;
using U8S8Codes = int8x16_t;
struct U8S8Levels {
  int8x16_t levels;
  int32x4_t offset;
};
inline constexpr std::int64_t u8s8_lanes = 4;
inline constexpr int u8s8_rows = 8, u8s8_vectors = 2;
inline constexpr bool u8s8_narrows = true;

inline U8S8Codes broadcast_codes(const std::uint8_t* p) noexcept {
  std::uint32_t four = 0;
  std::memcpy(&four, p, sizeof four);
  return vreinterpretq_s8_u32(veorq_u32(vdupq_n_u32(four), vdupq_n_u32(0x80808080U)));
}
inline U8S8Levels load_levels(const std::int8_t* p) noexcept {
  const int8x16_t levels = vld1q_s8(p);
  const int8x16_t half = vdupq_n_s8(64);
  return {levels, dot_s8(dot_s8(vdupq_n_s32(0), levels, half), levels, half)};
}
inline U8S8Sums multiply_add(U8S8Sums c, U8S8Codes a, U8S8Levels b) noexcept {
  return vaddq_s32(dot_s8(c, a, b.levels), b.offset);
}
inline void store_sums(std::int32_t* p, U8S8Sums c) noexcept {
  vst1q_s32(p, c);
}

#  include <bitdial/kernels/generic/tile_rows.ipp>

#  include <bitdial/kernels/generic/gemm_u8s8.ipp>

inline constexpr KernelTable table = [] {
  KernelTable t = neon::table;
  t.name = "neon_dotprod";
  t.supported = supported;
  t.gemm_u8s8 = {u8s8_rows, u8s8_cols, gemm_u8s8};
  return t;
}();

}  // namespace bitdial::inline BITDIAL_ABI::kernels::neon_dotprod
BITDIAL_END_TARGET

#else

namespace bitdial::inline BITDIAL_ABI::kernels::neon_dotprod {

inline constexpr KernelTable table = [] {
  KernelTable t = neon::table;
  t.name = "neon_dotprod";
  t.supported = supported;
  return t;
}();

}  // namespace bitdial::inline BITDIAL_ABI::kernels::neon_dotprod

#endif
