// SPDX-License-Identifier: Apache-2.0
// The portable kernels with odd tile shapes: for tests of the code around the kernels. Never
// chosen by itself.
#pragma once

#include <bitdial/kernels/isa/scalar.hpp>

namespace bitdial::inline BITDIAL_ABI::kernels::scalar_odd {

inline constexpr std::int64_t u8s8_rows = 5, u8s8_cols = 3;
inline constexpr std::int64_t planes_rows = 3, planes_cols = 7;
inline constexpr std::int64_t codes_rows = 3, codes_cols = 5;
inline constexpr std::int64_t lookup_rows = 3, lookup_cols = 48;
inline constexpr LookupOrder lookup_order = LookupOrder::by_column;

#include <bitdial/kernels/generic/reference.ipp>

inline constexpr KernelTable table = [] {
  KernelTable t = scalar::table;
  t.name = "scalar_odd";
  t.gemm_u8s8 = {u8s8_rows, u8s8_cols, gemm_u8s8};
  t.gemm_planes = {planes_rows, planes_cols, gemm_planes};
  t.gemm_codes = {codes_rows, codes_cols, gemm_codes};
  t.gemm_lookup = {lookup_rows, lookup_cols, gemm_lookup};
  t.lookup_order = lookup_order;
  t.depthwise_u8s8 = {1, 48, scalar::depthwise_u8s8<48>};
  t.depthwise_lanes = 48;
  return t;
}();

}  // namespace bitdial::inline BITDIAL_ABI::kernels::scalar_odd
