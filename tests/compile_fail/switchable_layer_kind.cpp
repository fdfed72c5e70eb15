// SPDX-License-Identifier: Apache-2.0
// expect: bitdial: SwitchableLayer<Layer, Bits>: Layer must be a module that is linear
#include <bitdial/nn/activation.hpp>
#include <bitdial/nn/conv2d.hpp>
#include <bitdial/switchable/switchable_layer.hpp>

using Bits = bitdial::BitList<8, 4>;

#ifdef GOOD
using Layer = bitdial::nn::Conv2d;
#else
using Layer = bitdial::nn::Relu;
#endif

inline constexpr auto size = sizeof(bitdial::SwitchableLayer<Layer, Bits>);
