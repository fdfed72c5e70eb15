// SPDX-License-Identifier: Apache-2.0
// The instruction sets of this library, strongest first: the only file outside `isa/` that names
// one. A new one adds an include and an entry. See docs/writing-an-isa.md.
//
// A unit that defines BITDIAL_EXTERN_KERNELS compiles none of them: it takes the lists from the
// unit that includes kernels/emit_kernels.hpp. Same names, same types, same kernels.
#pragma once

#include <iterator>

#if defined(BITDIAL_EXTERN_KERNELS)

#  include <bitdial/kernels/isa/scalar.hpp>

namespace bitdial::inline BITDIAL_ABI::kernels {

extern const KernelTable* const isa_list[8];
extern const RealKernels* const real_kernels_list[8];

}  // namespace bitdial::inline BITDIAL_ABI::kernels

#else

#  include <bitdial/kernels/isa/arm_neon.hpp>
#  include <bitdial/kernels/isa/arm_neon_dotprod.hpp>
#  include <bitdial/kernels/isa/scalar.hpp>
#  include <bitdial/kernels/isa/scalar_odd.hpp>
#  include <bitdial/kernels/isa/x86_avx2.hpp>
#  include <bitdial/kernels/isa/x86_avx512.hpp>
#  include <bitdial/kernels/isa/x86_avx512bf16.hpp>
#  include <bitdial/kernels/isa/x86_avx512vnni.hpp>

namespace bitdial::inline BITDIAL_ABI::kernels {

/// Selection takes the first supported entry; what stands after `scalar` must be asked for.
inline constexpr const KernelTable* isa_list[] = {
    &avx512bf16::table,   &avx512vnni::table, &avx512::table, &avx2::table,
    &neon_dotprod::table, &neon::table,       &scalar::table, &scalar_odd::table,
};

/// The same for real numbers, in the same order.
inline constexpr const RealKernels* real_kernels_list[] = {
    &avx512bf16::real_kernels, &avx512vnni::real_kernels,   &avx512::real_kernels,
    &avx2::real_kernels,       &neon_dotprod::real_kernels, &neon::real_kernels,
    &scalar::real_kernels,     &scalar_odd::real_kernels,
};
static_assert(std::size(isa_list) == std::size(real_kernels_list));

}  // namespace bitdial::inline BITDIAL_ABI::kernels

#endif
