// SPDX-License-Identifier: Apache-2.0
// expect: bitdial: Quantizer<Policy>: Policy needs .std::int32_t encode\(float x
#include "archetype_policy.hpp"

struct Policy : ArchetypePolicy {
#ifndef GOOD
  float encode(float x, const State& state, int bits) const;
#endif
};

template class bitdial::Quantizer<Policy>;
