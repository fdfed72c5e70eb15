// SPDX-License-Identifier: Apache-2.0
// Kernels on real numbers in portable C++: the meaning that every other table must reproduce bit
// for bit.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include <bitdial/core/tanh.hpp>
#include <bitdial/kernels/isa/scalar.hpp>
#include <bitdial/kernels/real_kernels.hpp>

namespace bitdial::inline BITDIAL_ABI::kernels::scalar {

inline constexpr std::int64_t f32_rows = 4, f32_cols = 8;
inline constexpr std::int64_t bf16_rows = 4, bf16_cols = 8;

#include <bitdial/kernels/generic/bit_mask_reference.ipp>
#include <bitdial/kernels/generic/depthwise_f32_reference.ipp>
#include <bitdial/kernels/generic/gemm_real_reference.ipp>
#include <bitdial/kernels/generic/normalisation_reference.ipp>
#include <bitdial/kernels/generic/tanh.ipp>
#include <bitdial/kernels/generic/winograd_reference.ipp>

inline void round_bf16(const RoundBf16& q) noexcept {
  const std::int64_t step = q.second != nullptr ? 2 : 1;
  for (std::int64_t i = 0; i < q.count; ++i) {
    q.y[i * step] = round_bf16_one(q.x[i]);
    if (q.second != nullptr) q.y[2 * i + 1] = round_bf16_one(q.second[i]);
  }
}

inline void decode(const Decode& q) noexcept {
  for (std::int64_t i = 0; i < q.count; ++i) {
    q.y[i] = q.scale * std::fma(q.multiplier, static_cast<float>(q.codes[i]), q.offset);
  }
}

inline constexpr RealKernels real_kernels = {
    .name = "scalar",
    .gemm_f32 = {f32_rows, f32_cols, gemm_f32},
    .gemm_bf16 = {bf16_rows, bf16_cols, gemm_bf16},
    .bf16_narrow_rows = bf16_rows,
    .round_bf16 = round_bf16,
    .depthwise_taps = depthwise_taps<float>,
    .depthwise_weight_sums = depthwise_weight_sums<float>,
    .channel_sums = channel_sums,
    .scale_channels = scale_channels,
    .combine_channels = combine_channels,
    .decode = decode,
    .tanh = tanh,
    .mark_between = mark_between,
    .rectify = rectify,
    .gate = gate<float>,
    .add_gated = add_gated,
    .winograd_inputs = winograd_inputs<float>,
    .winograd_inputs_bf16 = winograd_inputs<std::uint16_t>,
    .winograd_slopes = winograd_slopes<float>,
    .winograd_slopes_bf16 = winograd_slopes<std::uint16_t>,
    .winograd_outputs = winograd_outputs,
    .winograd_taps = winograd_taps,
};

}  // namespace bitdial::inline BITDIAL_ABI::kernels::scalar
