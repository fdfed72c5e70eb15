// SPDX-License-Identifier: Apache-2.0
// expect: bitdial: BitList: list bit widths widest first, without repeats
#include <bitdial/switchable/bit_list.hpp>

#ifdef GOOD
using Bits = bitdial::BitList<8, 4>;
#else
using Bits = bitdial::BitList<8, 4, 4>;
#endif

inline constexpr auto widest = Bits::values[0];
