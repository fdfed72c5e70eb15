// SPDX-License-Identifier: Apache-2.0
// The kernels on real numbers of every instruction set. A list and headers of their own: a program
// that only runs packed networks does not even read them, and compiles in two thirds of the time.
//
// A unit that defines BITDIAL_EXTERN_KERNELS compiles none of them: it takes the list from the unit
// that includes kernels/emit_kernels.hpp. Same names, same types, same kernels.
#pragma once

#include <bitdial/kernels/isa_names.hpp>
#include <bitdial/kernels/real_isa/scalar.hpp>

#if !defined(BITDIAL_EXTERN_KERNELS)
#  include <bitdial/kernels/real_isa/arm_neon.hpp>
#  include <bitdial/kernels/real_isa/arm_neon_dotprod.hpp>
#  include <bitdial/kernels/real_isa/x86_avx2.hpp>
#  include <bitdial/kernels/real_isa/x86_avx512.hpp>
#  include <bitdial/kernels/real_isa/x86_avx512bf16.hpp>
#  include <bitdial/kernels/real_isa/x86_avx512vnni.hpp>
#  if defined(BITDIAL_ODD_KERNELS)
#    include <bitdial/kernels/real_isa/scalar_odd.hpp>
#  endif
#endif

namespace bitdial::inline BITDIAL_ABI::kernels {

#if defined(BITDIAL_EXTERN_KERNELS)

extern const RealKernels* const real_isa_list[BITDIAL_EVERY_ISA(BITDIAL_ISA_COUNT)];

#else

#  define BITDIAL_ISA_TABLE(name) &name::real_kernels,
/// In the order of `isa_list`.
inline constexpr const RealKernels* real_isa_list[] = {BITDIAL_EVERY_ISA(BITDIAL_ISA_TABLE)};
#  undef BITDIAL_ISA_TABLE

#endif

}  // namespace bitdial::inline BITDIAL_ABI::kernels
