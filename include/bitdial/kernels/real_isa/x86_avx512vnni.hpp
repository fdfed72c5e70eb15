// SPDX-License-Identifier: Apache-2.0
// Kernels on real numbers: AVX-512 with VNNI: those of AVX-512.
#pragma once

#include <bitdial/kernels/isa/x86_avx512vnni.hpp>
#include <bitdial/kernels/real_isa/x86_avx512.hpp>

namespace bitdial::inline BITDIAL_ABI::kernels::avx512vnni {

inline constexpr RealKernels real_kernels = [] {
  RealKernels t = avx512::real_kernels;
  t.name = "avx512vnni";
  return t;
}();

}  // namespace bitdial::inline BITDIAL_ABI::kernels::avx512vnni
