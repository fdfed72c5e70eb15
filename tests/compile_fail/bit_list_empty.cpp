// SPDX-License-Identifier: Apache-2.0
// expect: bitdial: BitList needs at least one bit width
#include <bitdial/switchable/bit_list.hpp>

#ifdef GOOD
using Bits = bitdial::BitList<8>;
#else
using Bits = bitdial::BitList<>;
#endif

inline constexpr auto count = Bits::values.size();
