// SPDX-License-Identifier: Apache-2.0
// The version of bitdial; the build system reads it from here.
#pragma once

#define BITDIAL_VERSION_MAJOR 0
#define BITDIAL_VERSION_MINOR 1
#define BITDIAL_VERSION_PATCH 0
