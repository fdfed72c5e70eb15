// SPDX-License-Identifier: Apache-2.0
// Operands of the kernels that write and apply masks of one bit per element. The rules are those of
// kernel_table.hpp.
#pragma once

#include <cstdint>

#include <bitdial/core/config.hpp>

namespace bitdial::inline BITDIAL_ABI::kernels {

/// Elements whose bits share memory: four words. Bit j of word l belongs to element 4 j + l, so
/// that neighbours lie in the lanes of one vector.
inline constexpr std::int64_t mask_block = 128, mask_words = 4;

/// Operands of mark_between: the bit of an element is low <= x && x <= high, for whole blocks.
struct MarkBetween {
  std::int64_t blocks = 0;
  const float* x = nullptr;
  float low = 0.0F;
  float high = 0.0F;
  std::uint32_t* words = nullptr;
};

/// Operands of rectify: y = x > 0 ? x : +0, and the bit is x > 0; y may be x.
struct Rectify {
  std::int64_t blocks = 0;
  const float* x = nullptr;
  float* y = nullptr;
  std::uint32_t* words = nullptr;
};

/// Operands of gate: y = x, and +0 where the bit is clear, whatever x is; y may be x.
template <class T>
struct Gate {
  std::int64_t blocks = 0;
  const std::uint32_t* words = nullptr;
  const T* x = nullptr;
  T* y = nullptr;
};

/// Operands of add_gated: y = a + b, each +0 where its bit is clear; y may be a or b.
struct AddGated {
  std::int64_t blocks = 0;
  const std::uint32_t* a_words = nullptr;  ///< null: all bits are set
  const float* a = nullptr;
  const std::uint32_t* b_words = nullptr;
  const float* b = nullptr;
  float* y = nullptr;
};

}  // namespace bitdial::inline BITDIAL_ABI::kernels
