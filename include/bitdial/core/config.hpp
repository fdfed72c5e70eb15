// SPDX-License-Identifier: Apache-2.0
// The name of the inline namespace: version and every compiler mode that changes the meaning of
// bitdial's inline functions. Two translation units that disagree fail to link instead of
// silently sharing one of two bodies.
#pragma once

#include <bitdial/version.hpp>

// Under these options the compiler may reorder sums, and assume that no value is NaN: results would
// differ from machine to machine, and checks would be gone.
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__ > 0)
#  error "bitdial: compile units that include it without -ffast-math, -ffinite-math-only, -Ofast"
#endif

#if defined(_OPENMP)
#  define BITDIAL_ABI_THREADS omp
#else
#  define BITDIAL_ABI_THREADS serial
#endif

// Checked mode turns BITDIAL_ASSERT on. It follows NDEBUG unless the build says otherwise.
#if !defined(BITDIAL_CHECKED)
#  if defined(NDEBUG)
#    define BITDIAL_CHECKED 0
#  else
#    define BITDIAL_CHECKED 1
#  endif
#endif
#if BITDIAL_CHECKED
#  define BITDIAL_ABI_CHECKED checked
#else
#  define BITDIAL_ABI_CHECKED unchecked
#endif

#if defined(__cpp_exceptions)
#  define BITDIAL_ABI_ERRORS throwing
#else
#  define BITDIAL_ABI_ERRORS nothrow
#endif

#define BITDIAL_ABI_JOIN_(major, minor, threads, checked, errors) \
  v##major##_##minor##_##threads##_##checked##_##errors
#define BITDIAL_ABI_JOIN(major, minor, threads, checked, errors) \
  BITDIAL_ABI_JOIN_(major, minor, threads, checked, errors)

/// The inline namespace, for example `v0_1_omp_unchecked_throwing`.
#define BITDIAL_ABI                                                                   \
  BITDIAL_ABI_JOIN(BITDIAL_VERSION_MAJOR, BITDIAL_VERSION_MINOR, BITDIAL_ABI_THREADS, \
                   BITDIAL_ABI_CHECKED, BITDIAL_ABI_ERRORS)
