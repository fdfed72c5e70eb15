// SPDX-License-Identifier: Apache-2.0
// expect: bitdial: QTensor::planes<K>: K must lie in \[1, Bits\]
#include <bitdial/quant/qtensor.hpp>

#ifdef GOOD
inline constexpr int planes = 4;
#else
inline constexpr int planes = 5;
#endif

inline auto top(const bitdial::QTensor<4, bitdial::BitPlanes>& x) {
  return x.planes<planes>();
}
