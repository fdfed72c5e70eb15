// SPDX-License-Identifier: Apache-2.0
// expect: bitdial: visit_bits: the visitor must return the same type for every bit width
#include <type_traits>

#include <bitdial/switchable/bit_list.hpp>

#ifdef GOOD
using Other = int;
#else
using Other = float;
#endif

template <int Bits>
using Answer = std::conditional_t<Bits == 8, int, Other>;

inline auto answer(int bits) {
  return bitdial::visit_bits(bitdial::BitList<8, 4>{}, bits,
                             []<int Bits>() { return Answer<Bits>{}; });
}
