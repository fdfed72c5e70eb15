// SPDX-License-Identifier: Apache-2.0
// expect: bitdial: Quantizer<Policy>::fit: the state of this Policy depends on the bit width
#include <bitdial/quant/policies/lsq.hpp>
#include <bitdial/quant/quantizer.hpp>

inline float step(const bitdial::Quantizer<bitdial::LsqWeights>& quantizer) {
#ifdef GOOD
  return quantizer.fit({}, 4).step;
#else
  return quantizer.fit({}).step;
#endif
}
