// SPDX-License-Identifier: Apache-2.0
// The kernels of every test program and benchmark, compiled once.
#include <bitdial/kernels/emit_kernels.hpp>
