// SPDX-License-Identifier: Apache-2.0
// A region of source whose functions are compiled for a named instruction set, whatever the flags
// of the translation unit.
//
// A target attribute belongs to a definition, not to a template instantiation: only functions,
// lambdas and templates *defined* between BEGIN and END are compiled for the target. Inside a
// region: no #include but `.ipp` text, no OpenMP pragma (Clang rejects it), no lambda without
// captures whose parameters are vectors (its conversion to a pointer lies outside the target), no
// call of the region's functions before the CPU was asked.
#pragma once

#define BITDIAL_PRAGMA(text) _Pragma(#text)

#if defined(__clang__)
// Checks of undefined behaviour on every unrolled access would quadruple the time to compile; the
// portable table, which computes the same, keeps them.
#  define BITDIAL_BEGIN_TARGET(isa)                                                         \
    BITDIAL_PRAGMA(clang attribute push(__attribute__((target(isa))), apply_to = function)) \
    BITDIAL_PRAGMA(                                                                         \
        clang attribute push(__attribute__((no_sanitize("undefined"))), apply_to = function))
#  define BITDIAL_END_TARGET            \
    BITDIAL_PRAGMA(clang attribute pop) \
    BITDIAL_PRAGMA(clang attribute pop)
#else
// The vector headers of GCC trip its own warnings about uninitialised values once inlined here.
#  define BITDIAL_BEGIN_TARGET(isa)                          \
    BITDIAL_PRAGMA(GCC push_options)                         \
    BITDIAL_PRAGMA(GCC target(isa))                          \
    BITDIAL_PRAGMA(GCC diagnostic push)                      \
    BITDIAL_PRAGMA(GCC diagnostic ignored "-Wuninitialized") \
    BITDIAL_PRAGMA(GCC diagnostic ignored "-Wmaybe-uninitialized")
#  define BITDIAL_END_TARGET           \
    BITDIAL_PRAGMA(GCC diagnostic pop) \
    BITDIAL_PRAGMA(GCC pop_options)
#endif
