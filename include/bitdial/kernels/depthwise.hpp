// SPDX-License-Identifier: Apache-2.0
// The operands of the depthwise kernels: every channel is a convolution of its own, so channels are
// the lanes and one call covers a run of pixels along a row. The rules are those of
// kernel_table.hpp.
#pragma once

#include <cstdint>

#include <bitdial/core/config.hpp>

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

}  // namespace bitdial::inline BITDIAL_ABI::kernels
