// SPDX-License-Identifier: Apache-2.0
// The instruction sets of this library, strongest first: the only file outside `isa/` that names
// one. A new one adds an include and an entry. See docs/writing-an-isa.md.
//
// A unit that defines BITDIAL_EXTERN_KERNELS compiles none of them: it takes the lists from the
// unit that includes kernels/emit_kernels.hpp. Same names, same types, same kernels.
//
// BITDIAL_ODD_KERNELS, in all units of a program or in none, adds a table of odd tile shapes, for
// tests.
#pragma once

#include <bitdial/kernels/isa/scalar.hpp>

#if !defined(BITDIAL_EXTERN_KERNELS)
#  include <bitdial/kernels/isa/arm_neon.hpp>
#  include <bitdial/kernels/isa/arm_neon_dotprod.hpp>
#  include <bitdial/kernels/isa/x86_avx2.hpp>
#  include <bitdial/kernels/isa/x86_avx512.hpp>
#  include <bitdial/kernels/isa/x86_avx512bf16.hpp>
#  include <bitdial/kernels/isa/x86_avx512vnni.hpp>
#  if defined(BITDIAL_ODD_KERNELS)
#    include <bitdial/kernels/isa/scalar_odd.hpp>
#  endif
#endif

#if defined(BITDIAL_ODD_KERNELS)
#  define BITDIAL_ODD_ISA(entry) entry(scalar_odd)
#else
#  define BITDIAL_ODD_ISA(entry)
#endif

// Selection takes the first supported one; what stands after `scalar` must be asked for.
// clang-format off
#define BITDIAL_EVERY_ISA(entry) \
  entry(avx512bf16)   \
  entry(avx512vnni)   \
  entry(avx512)       \
  entry(avx2)         \
  entry(neon_dotprod) \
  entry(neon)         \
  entry(scalar)       \
  BITDIAL_ODD_ISA(entry)
// clang-format on

namespace bitdial::inline BITDIAL_ABI::kernels {

#if defined(BITDIAL_EXTERN_KERNELS)

#  define BITDIAL_ISA_COUNT(name) +1
extern const KernelTable* const isa_list[BITDIAL_EVERY_ISA(BITDIAL_ISA_COUNT)];
extern const RealKernels* const real_kernels_list[BITDIAL_EVERY_ISA(BITDIAL_ISA_COUNT)];
#  undef BITDIAL_ISA_COUNT

#else

#  define BITDIAL_ISA_TABLE(name) &name::table,
#  define BITDIAL_ISA_REAL_KERNELS(name) &name::real_kernels,
/// The kernels on codes. Two lists, because a program that uses only one compiles only that one.
inline constexpr const KernelTable* isa_list[] = {BITDIAL_EVERY_ISA(BITDIAL_ISA_TABLE)};
/// The kernels on real numbers, in the same order.
inline constexpr const RealKernels* real_kernels_list[] = {
    BITDIAL_EVERY_ISA(BITDIAL_ISA_REAL_KERNELS)};
#  undef BITDIAL_ISA_TABLE
#  undef BITDIAL_ISA_REAL_KERNELS

#endif

}  // namespace bitdial::inline BITDIAL_ABI::kernels

#undef BITDIAL_EVERY_ISA
#undef BITDIAL_ODD_ISA
