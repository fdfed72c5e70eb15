// SPDX-License-Identifier: Apache-2.0
// Checks of programmer errors in hot code: active in checked mode, free otherwise.
#pragma once

#include <bitdial/core/config.hpp>

/// Stops the program in checked mode when `condition` is false: a broken contract between
/// bitdial's own functions. User input is never checked with it.
#if BITDIAL_CHECKED
#  define BITDIAL_ASSERT(condition) ((condition) ? void() : __builtin_trap())
#else
#  define BITDIAL_ASSERT(condition) void(sizeof((condition) ? 1 : 0))
#endif
