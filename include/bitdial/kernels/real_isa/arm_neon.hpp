// SPDX-License-Identifier: Apache-2.0
// Kernels on real numbers: NEON.
#pragma once

#include <bitdial/kernels/isa/arm_neon.hpp>
#include <bitdial/kernels/real_isa/scalar.hpp>

#if defined(__aarch64__)

namespace bitdial::inline BITDIAL_ABI::kernels::neon {

inline constexpr int f32_rows = 8, f32_vectors = 2;
inline F32 load_f32_part(const float* p, std::int64_t count) noexcept {
  float lanes[4] = {};
  for (std::int64_t i = 0; i < std::min(count, f32_lanes); ++i) lanes[i] = p[i];
  return vld1q_f32(lanes);
}
inline void store_f32_part(float* p, F32 v, std::int64_t count) noexcept {
  float lanes[4];
  vst1q_f32(lanes, v);
  for (std::int64_t i = 0; i < std::min(count, f32_lanes); ++i) p[i] = lanes[i];
}
inline Ints add_bits_between(Ints marked, F32 x, F32 low, F32 high, Ints bits) noexcept {
  const uint32x4_t inside = vandq_u32(vcgeq_f32(x, low), vcleq_f32(x, high));
  return vorrq_s32(marked, vandq_s32(vreinterpretq_s32_u32(inside), bits));
}
inline Ints add_bits_above(Ints marked, F32 x, F32 low, Ints bits) noexcept {
  return vorrq_s32(marked, vandq_s32(vreinterpretq_s32_u32(vcgtq_f32(x, low)), bits));
}
inline Ints repeat_words(const std::uint32_t* p) noexcept {
  return vreinterpretq_s32_u32(vld1q_u32(p));
}
inline void store_words(std::uint32_t* p, Ints v) noexcept {
  vst1q_u32(p, vreinterpretq_u32_s32(v));
}
inline F32 keep_where(F32 x, Ints words, Ints bits) noexcept {
  const uint32x4_t kept = vtstq_s32(words, bits);
  return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(x), kept));
}

#  include <bitdial/kernels/generic/bit_mask.ipp>
#  include <bitdial/kernels/generic/decode.ipp>
#  include <bitdial/kernels/generic/gemm_f32.ipp>
#  include <bitdial/kernels/generic/normalisation.ipp>
#  include <bitdial/kernels/generic/tanh.ipp>
#  include <bitdial/kernels/generic/winograd.ipp>

inline constexpr RealKernels real_kernels = [] {
  RealKernels t = scalar::real_kernels;
  t.name = "neon";
  t.gemm_f32 = {f32_rows, f32_cols, gemm_f32};
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
  t.winograd_slopes = winograd_slopes;
  t.winograd_outputs = winograd_outputs;
  t.winograd_taps = winograd_taps;
  return t;
}();

}  // namespace bitdial::inline BITDIAL_ABI::kernels::neon

#else

namespace bitdial::inline BITDIAL_ABI::kernels::neon {

inline constexpr RealKernels real_kernels = [] {
  RealKernels t = scalar::real_kernels;
  t.name = "neon";
  return t;
}();

}  // namespace bitdial::inline BITDIAL_ABI::kernels::neon

#endif
