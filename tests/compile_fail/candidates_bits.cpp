// SPDX-License-Identifier: Apache-2.0
// expect: bitdial: Candidates<WeightBits, ActivationBits>: both must be BitLists
#include <bitdial/search/candidates.hpp>
#include <bitdial/switchable/bit_list.hpp>

#ifdef GOOD
using Bits = bitdial::BitList<4, 2>;
#else
using Bits = int;
#endif

inline constexpr auto size = sizeof(bitdial::Candidates<Bits>);
