// SPDX-License-Identifier: Apache-2.0
// expect: bitdial: BasicTape<T>: T must be float or double
#include <bitdial/autodiff/tape.hpp>

#ifdef GOOD
using Real = double;
#else
using Real = int;
#endif

using Recorded = bitdial::BasicTape<Real>::Var;
