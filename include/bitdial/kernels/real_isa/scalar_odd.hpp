// SPDX-License-Identifier: Apache-2.0
// Kernels on real numbers in portable C++ with odd tile shapes: for tests of the code around the
// kernels.
#pragma once

#include <bitdial/kernels/isa/scalar_odd.hpp>
#include <bitdial/kernels/real_isa/scalar.hpp>

namespace bitdial::inline BITDIAL_ABI::kernels::scalar_odd {

inline constexpr std::int64_t f32_rows = 3, f32_cols = 5;
inline constexpr std::int64_t bf16_rows = 3, bf16_cols = 7;

#include <bitdial/kernels/generic/gemm_real_reference.ipp>

inline constexpr RealKernels real_kernels = [] {
  RealKernels t = scalar::real_kernels;
  t.name = "scalar_odd";
  t.gemm_f32 = {f32_rows, f32_cols, gemm_f32};
  t.gemm_bf16 = {bf16_rows, bf16_cols, gemm_bf16};
  t.bf16_narrow_rows = bf16_rows;
  return t;
}();

}  // namespace bitdial::inline BITDIAL_ABI::kernels::scalar_odd
