// SPDX-License-Identifier: Apache-2.0
// The names of the instruction sets of this library, strongest first. A new one is an entry here,
// an include in isa_list.hpp and one in real_isa_list.hpp; no other file outside `isa/` and
// `real_isa/` names one. See docs/writing-an-isa.md.
//
// BITDIAL_ODD_KERNELS, in all units of a program or in none, adds a table of odd tile shapes, for
// tests.
#pragma once

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

#define BITDIAL_ISA_COUNT(name) +1
