// SPDX-License-Identifier: Apache-2.0
// expect: bitdial: CompositeLayer: a policy that learns numbers per filter is not searched
#include <bitdial/quant/policies/lsq.hpp>
#include <bitdial/search/composite_layer.hpp>

struct LsqPerFilter : bitdial::LsqWeights {
#ifndef GOOD
  static constexpr bool filterwise = true;
#endif
};
using Choice = bitdial::Candidates<bitdial::BitList<4, 2>>;

inline constexpr auto size =
    sizeof(bitdial::CompositeConv2d<Choice, LsqPerFilter, bitdial::HwgqActivations>);
