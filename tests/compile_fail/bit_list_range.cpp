// SPDX-License-Identifier: Apache-2.0
// expect: bitdial: BitList: every bit width must lie in \[1, 8\]
#include <bitdial/switchable/bit_list.hpp>

#ifdef GOOD
using Bits = bitdial::BitList<8, 1>;
#else
using Bits = bitdial::BitList<16, 1>;
#endif

inline constexpr auto widest = Bits::values[0];
