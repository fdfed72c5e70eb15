// SPDX-License-Identifier: Apache-2.0
// Include this in one unit of a program whose other units define BITDIAL_EXTERN_KERNELS: it
// compiles the kernels for all of them.
#pragma once

#if defined(BITDIAL_EXTERN_KERNELS)
#  error "bitdial: emit_kernels.hpp: its unit must not define BITDIAL_EXTERN_KERNELS"
#endif

#include <bitdial/kernels/isa_list.hpp>
#include <bitdial/kernels/real_isa_list.hpp>

namespace bitdial::inline BITDIAL_ABI::kernels {

/// Makes the compiler emit the two lists, and with them every kernel.
[[gnu::used]] inline const void* const emitted_kernels[] = {isa_list, real_isa_list};

}  // namespace bitdial::inline BITDIAL_ABI::kernels
