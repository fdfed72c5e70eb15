// SPDX-License-Identifier: Apache-2.0
// The kernels on codes of every instruction set.
//
// A unit that defines BITDIAL_EXTERN_KERNELS compiles none of them: it takes the list from the unit
// that includes kernels/emit_kernels.hpp. Same names, same types, same kernels.
#pragma once

#include <bitdial/kernels/isa/scalar.hpp>
#include <bitdial/kernels/isa_names.hpp>

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

namespace bitdial::inline BITDIAL_ABI::kernels {

#if defined(BITDIAL_EXTERN_KERNELS)

extern const KernelTable* const isa_list[BITDIAL_EVERY_ISA(BITDIAL_ISA_COUNT)];

#else

#  define BITDIAL_ISA_TABLE(name) &name::table,
inline constexpr const KernelTable* isa_list[] = {BITDIAL_EVERY_ISA(BITDIAL_ISA_TABLE)};
#  undef BITDIAL_ISA_TABLE

#endif

}  // namespace bitdial::inline BITDIAL_ABI::kernels
