// SPDX-License-Identifier: Apache-2.0
// AVX-512 with VNNI, VPOPCNTDQ and BF16 (dot products of two bfloat16, for kernels on real numbers
// alone).
#pragma once

#include <bitdial/kernels/isa/x86_avx512vnni.hpp>

namespace bitdial::inline BITDIAL_ABI::kernels::avx512bf16 {

inline bool supported() noexcept {
  constexpr std::uint32_t bf16 = 1U << 5;  // leaf 7, subleaf 1, eax
  return avx512vnni::supported() && cpuid_has(7, 1, CpuidRegister::eax, bf16);
}

inline constexpr KernelTable table = [] {
  KernelTable t = avx512vnni::table;
  t.name = "avx512bf16";
  t.supported = supported;
  return t;
}();

}  // namespace bitdial::inline BITDIAL_ABI::kernels::avx512bf16
