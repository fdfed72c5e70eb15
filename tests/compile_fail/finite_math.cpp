// SPDX-License-Identifier: Apache-2.0
// expect: compile units that include it without -ffast-math
// flags: -ffinite-math-only
#include <bitdial/core/config.hpp>
