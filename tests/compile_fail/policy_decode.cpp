// SPDX-License-Identifier: Apache-2.0
// expect: bitdial: Quantizer<Policy>: Policy needs .IntegerLevels levels\(const State
#include "archetype_policy.hpp"

struct Policy : ArchetypePolicy {
#ifndef GOOD
  void levels();
#endif
};

template class bitdial::Quantizer<Policy>;
