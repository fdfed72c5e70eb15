// SPDX-License-Identifier: Apache-2.0
// expect: bitdial: Quantizer<Policy>: Policy needs a regular .struct State. and .State fit
#include "archetype_policy.hpp"

struct Policy : ArchetypePolicy {
#ifndef GOOD
  void fit();
#endif
};

template class bitdial::Quantizer<Policy>;
