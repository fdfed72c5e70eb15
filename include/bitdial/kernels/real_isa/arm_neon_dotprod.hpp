// SPDX-License-Identifier: Apache-2.0
// Kernels on real numbers: NEON with dot products: those of NEON.
#pragma once

#include <bitdial/kernels/isa/arm_neon_dotprod.hpp>
#include <bitdial/kernels/real_isa/arm_neon.hpp>

namespace bitdial::inline BITDIAL_ABI::kernels::neon_dotprod {

inline constexpr RealKernels real_kernels = [] {
  RealKernels t = neon::real_kernels;
  t.name = "neon_dotprod";
  return t;
}();

}  // namespace bitdial::inline BITDIAL_ABI::kernels::neon_dotprod
