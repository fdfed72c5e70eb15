// SPDX-License-Identifier: Apache-2.0
// expect: bitdial: Quantizer<Policy>: Policy needs .float real_valued\(float x
#include "archetype_policy.hpp"

struct Policy : ArchetypePolicy {
#ifndef GOOD
  void real_valued();
#endif
};

template class bitdial::Quantizer<Policy>;
