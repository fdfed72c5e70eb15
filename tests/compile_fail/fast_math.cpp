// SPDX-License-Identifier: Apache-2.0
// expect: compile units that include it without -ffast-math
// flags: -ffast-math
#include <bitdial/core/config.hpp>
