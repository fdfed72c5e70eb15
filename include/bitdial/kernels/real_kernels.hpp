// SPDX-License-Identifier: Apache-2.0
// The kernels on real numbers, which training needs besides those on codes; programs that only run
// packed networks do not include them. The rules are those of `kernel_table.hpp`;
// `real_isa/scalar.hpp` defines the meaning.
#pragma once

#include <cstdint>

#include <bitdial/core/config.hpp>
#include <bitdial/kernels/bfloat16.hpp>
#include <bitdial/kernels/bit_mask.hpp>
#include <bitdial/kernels/depthwise.hpp>
#include <bitdial/kernels/kernel_table.hpp>
#include <bitdial/kernels/normalisation.hpp>
#include <bitdial/kernels/winograd.hpp>

namespace bitdial::inline BITDIAL_ABI::kernels {

/// Operands of the real-valued matrix tile: C[r][j] (+)= sum_k A[r][k] * B[k][j].
///
/// k goes through `runs` runs of `depth` steps. Step t of run s reads
///   A[r][k] = a[r * a_stride + s * a_run + t * a_step],  B[k][j] = b[s * b_run + t * b_step + j],
/// so a matrix, its transpose, and the window of a convolution on an image are all read in place.
///
/// Every output is one chain of fused multiply-adds in ascending k that starts from 0 or, when
/// accumulating, from C: c = fma(A[r][k], B[k][j], c). A sum split over calls is therefore the
/// same chain. Error bound: |c - exact| <= gamma_K * sum_k |A| |B|, gamma_K = K u / (1 - K u).
template <class T>
struct GemmTile {
  std::int64_t rows = 0;   ///< 1 .. table rows
  std::int64_t cols = 0;   ///< 1 .. table cols: written, and read when accumulating
  std::int64_t depth = 0;  ///< steps of one run
  const T* a = nullptr;
  std::int64_t a_stride = 0;  ///< elements between rows of A
  std::int64_t a_step = 1;    ///< elements between steps of A
  const T* b = nullptr;       ///< every step is read in whole vectors, at most table cols
  std::int64_t b_step = 0;    ///< elements between steps of B
  T* c = nullptr;
  std::int64_t c_stride = 0;  ///< elements between rows of C
  bool accumulate = false;
  std::int64_t runs = 1;
  std::int64_t a_run = 0;  ///< elements between runs of A
  std::int64_t b_run = 0;  ///< elements between runs of B
};

/// Operands of decode: y[i] = scale * fma(multiplier, codes[i], offset), the products of integers
/// below 2^24.
struct Decode {
  const std::uint8_t* codes = nullptr;
  std::int64_t count = 0;
  float scale = 1.0F;
  float multiplier = 1.0F;
  float offset = 0.0F;
  float* y = nullptr;
};

/// Operands of tanh: y[i] = hyperbolic_tangent(x[i]); y may be x.
struct Tanh {
  const float* x = nullptr;
  std::int64_t count = 0;
  float* y = nullptr;
};

/// The kernels of one instruction set on real numbers. A table starts as a copy of the next weaker
/// one; no pointer is ever null.
struct RealKernels {
  const char* name = nullptr;  ///< that of the `KernelTable`

  TileKernel<GemmTile<float>> gemm_f32;
  TileKernel<GemmBf16Tile> gemm_bf16;
  /// The rows of tiles of gemm_bf16 of at most half its columns: its own, or more.
  std::int64_t bf16_narrow_rows = 0;
  void (*round_bf16)(const RoundBf16&) noexcept = nullptr;

  void (*depthwise_taps)(const DepthwiseTaps<float>&) noexcept = nullptr;
  void (*depthwise_weight_sums)(const DepthwiseWeightSums<float>&) noexcept = nullptr;

  void (*channel_sums)(const ChannelSums&) noexcept = nullptr;
  void (*scale_channels)(const ScaleChannels&) noexcept = nullptr;
  void (*combine_channels)(const CombineChannels&) noexcept = nullptr;

  void (*decode)(const Decode&) noexcept = nullptr;
  void (*tanh)(const Tanh&) noexcept = nullptr;
  void (*mark_between)(const MarkBetween&) noexcept = nullptr;
  void (*rectify)(const Rectify&) noexcept = nullptr;
  void (*gate)(const Gate<float>&) noexcept = nullptr;
  void (*add_gated)(const AddGated&) noexcept = nullptr;

  void (*winograd_inputs)(const WinogradInputs<float>&) noexcept = nullptr;
  void (*winograd_inputs_bf16)(const WinogradInputs<std::uint16_t>&) noexcept = nullptr;
  void (*winograd_slopes)(const WinogradSlopes<float>&) noexcept = nullptr;
  void (*winograd_slopes_bf16)(const WinogradSlopes<std::uint16_t>&) noexcept = nullptr;
  void (*winograd_outputs)(const WinogradOutputs&) noexcept = nullptr;
  void (*winograd_taps)(const WinogradTaps&) noexcept = nullptr;
};

}  // namespace bitdial::inline BITDIAL_ABI::kernels
