// SPDX-License-Identifier: Apache-2.0
// expect: bitdial: CompositeLayer: Candidates has a width that its policy does not quantize
#include <bitdial/quant/policies/twn.hpp>
#include <bitdial/search/composite_layer.hpp>

#ifdef GOOD
using Weights = bitdial::BitList<2>;
#else
using Weights = bitdial::BitList<4, 2>;
#endif
using Choice = bitdial::Candidates<Weights, bitdial::BitList<4, 2>>;

inline constexpr auto size =
    sizeof(bitdial::CompositeConv2d<Choice, bitdial::TernaryWeights, bitdial::HwgqActivations>);
