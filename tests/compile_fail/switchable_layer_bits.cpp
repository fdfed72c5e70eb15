// SPDX-License-Identifier: Apache-2.0
// expect: bitdial: SwitchableLayer<Layer, Bits>: Bits must be a BitList
#include <bitdial/nn/activation.hpp>
#include <bitdial/nn/conv2d.hpp>
#include <bitdial/switchable/switchable_layer.hpp>

using Layer = bitdial::nn::Conv2d;

#ifdef GOOD
using Bits = bitdial::BitList<8, 4>;
#else
using Bits = int;
#endif

inline constexpr auto size = sizeof(bitdial::SwitchableLayer<Layer, Bits>);
