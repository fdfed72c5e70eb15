// SPDX-License-Identifier: Apache-2.0
// Operands of the kernels on rows of channels that batch normalisation consists of.
#pragma once

#include <cstdint>

#include <bitdial/core/config.hpp>

namespace bitdial::inline BITDIAL_ABI::kernels {

/// Masks on the way of these kernels: numbers of channels that are a multiple of it.
inline constexpr std::int64_t gated_channels = 16;

/// Operands of channel_sums: with v(r, c) = x(r, c) + shift[c] and a = dy, or a = v without dy,
///   first[c] = sum_r a(r, c),  second[c] = sum_r a(r, c) v(r, c),
/// each two chains, over even and over odd r in order, that start from 0 and are added; those of
/// the second are fused multiply-adds.
///
/// x and dy are [rows, channels] without gaps, the others have one element per channel. Elements of
/// dy whose bit is clear count as +0, whatever they are: `words` lie as those of Gate, and need
/// channels that are a multiple of `gated_channels`.
struct ChannelSums {
  std::int64_t rows = 0;
  std::int64_t channels = 0;
  const float* dy = nullptr;             ///< may be null
  const std::uint32_t* words = nullptr;  ///< of dy; null: all its bits are set
  const float* x = nullptr;
  const float* shift = nullptr;
  float* first = nullptr;
  float* second = nullptr;
};

/// Operands of scale_channels: y(r, c) = fma(x(r, c), factor[c], shift[c]); y may be x.
struct ScaleChannels {
  std::int64_t rows = 0;
  std::int64_t channels = 0;
  const float* x = nullptr;
  const float* factor = nullptr;
  const float* shift = nullptr;
  float* y = nullptr;
};

/// Operands of combine_channels: y(r, c) = fma(dy(r, c), a[c], fma(x(r, c) + shift[c], b[c],
/// k[c])); y may be dy or x. `words` as in ChannelSums.
struct CombineChannels {
  std::int64_t rows = 0;
  std::int64_t channels = 0;
  const float* dy = nullptr;
  const std::uint32_t* words = nullptr;
  const float* x = nullptr;
  const float* shift = nullptr;
  const float* a = nullptr;
  const float* b = nullptr;
  const float* k = nullptr;
  float* y = nullptr;
};

}  // namespace bitdial::inline BITDIAL_ABI::kernels
