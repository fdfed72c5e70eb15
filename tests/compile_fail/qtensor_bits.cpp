// SPDX-License-Identifier: Apache-2.0
// expect: bitdial: QTensor<Bits, Layout>: Bits must lie in \[1, 8\]
#include <bitdial/quant/qtensor.hpp>

#ifdef GOOD
using Tensor = bitdial::QTensor<8>;
#else
using Tensor = bitdial::QTensor<9>;
#endif

inline constexpr auto size = sizeof(Tensor);
