// SPDX-License-Identifier: Apache-2.0
// expect: bitdial: QTensor<Bits, Layout>: Layout must satisfy the concept BitLayout
#include <bitdial/quant/qtensor.hpp>

#ifdef GOOD
using Layout = bitdial::BitPlanes;
#else
struct Layout {};
#endif

inline constexpr auto size = sizeof(bitdial::QTensor<4, Layout>);
