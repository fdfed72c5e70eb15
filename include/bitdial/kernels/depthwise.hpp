// SPDX-License-Identifier: Apache-2.0
// The operands of the depthwise kernels: every channel is a convolution of its own, so channels are
// the lanes and one call covers a run of pixels along a row. The rules are those of
// kernel_table.hpp.
#pragma once

#include <cstdint>

#include <bitdial/core/config.hpp>
#include <bitdial/kernels/code_steps.hpp>

namespace bitdial::inline BITDIAL_ABI::kernels {

/// y[p * y_step + c] (+)= sum over taps t of x[t][p * x_step + c] * w[t][c].
///
/// Every output is one chain of fused multiply-adds in ascending t that starts from 0 or, when
/// accumulating, from y. Without taps the sum is 0.
template <class T>
struct DepthwiseTaps {
  std::int64_t pixels = 0;
  std::int64_t channels = 0;
  std::int64_t taps = 0;
  const T* const* x = nullptr;  ///< one pointer per tap: what it reads for pixel 0
  std::int64_t x_step = 0;      ///< elements between the pixels of x
  const T* const* w = nullptr;  ///< one pointer per tap: `channels` weights
  T* y = nullptr;
  std::int64_t y_step = 0;
  bool accumulate = false;
};

/// dw[t][c] += sum over pixels p of dy[p * channels + c] * x[t][p * x_step + c].
///
/// Every output is one chain of fused multiply-adds in ascending p that starts from dw.
template <class T>
struct DepthwiseWeightSums {
  std::int64_t pixels = 0;
  std::int64_t channels = 0;
  std::int64_t taps = 0;
  const T* const* x = nullptr;
  std::int64_t x_step = 0;
  const T* dy = nullptr;
  T* const* dw = nullptr;  ///< one pointer per tap: `channels` sums
};

/// Operands of the integer depthwise kernel, modulo 2^32:
/// I[p][c] = product_factor * sum_t u * w(t, c) + code_factor * sum_t u,
/// u = x[p * x_step + offsets[t] + c], codes 0 .. 255 against levels -128 .. 127; then either
/// sums[p * channels + c] = I, or, as `requantize` followed by `quantize`,
/// codes[p * codes_step + c] = code(fma(float(I), scale, bias)).
///
/// Channels are taken in blocks of B, the `cols` of the table's kernel, a multiple of 16. In a
/// block channel c stands at place(c) = (c % 16 / 4) * (B / 4) + c % B / 16 * 4 + c % 4. Taps are
/// taken in groups of g = `group_taps`: with G = ceil(taps / g), level (t, c) is
/// w[((c / B * G + t / g) * B + place(c)) * 4 + t % g]; groups up to 4 levels and channels up to a
/// multiple of B are padded with zero levels. The scale and bias of channel c stand at
/// c / B * B + place(c). x is read in whole blocks: up to B - 1 bytes behind the last channel must
/// be readable.
///
/// `shared_groups` is a promise that no group is cut short, and that the last so many groups of a
/// pixel read what the first ones of the next pixel read, as the columns of neighbouring windows
/// do.
struct DepthwiseU8S8 {
  std::int64_t pixels = 0;
  std::int64_t channels = 0;
  std::int64_t taps = 0;
  std::int64_t group_taps = 4;     ///< 1 .. 4
  std::int64_t shared_groups = 0;  ///< 0: nothing is promised
  const std::uint8_t* x = nullptr;
  std::int64_t x_step = 0;
  const std::int64_t* offsets = nullptr;
  const std::int8_t* w = nullptr;
  std::int32_t product_factor = 1;
  std::int32_t code_factor = 0;
  std::int32_t* sums = nullptr;  ///< null: codes are wanted, and everything below is needed
  const float* scale = nullptr;
  const float* bias = nullptr;
  CodeSteps steps{};
  std::uint8_t* codes = nullptr;
  std::int64_t codes_step = 0;
};

/// G above.
[[nodiscard]] constexpr std::int64_t depthwise_groups(std::int64_t taps,
                                                      std::int64_t group_taps) noexcept {
  return (taps + group_taps - 1) / group_taps;
}

/// place(c) above: where a channel stands in its block of `cols`.
[[nodiscard]] constexpr std::int64_t depthwise_place(std::int64_t channel,
                                                     std::int64_t cols) noexcept {
  return channel % 16 / 4 * (cols / 4) + channel % cols / 16 * 4 + channel % 4;
}

}  // namespace bitdial::inline BITDIAL_ABI::kernels
