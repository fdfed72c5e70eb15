// SPDX-License-Identifier: Apache-2.0
// expect: bitdial: Quantizer<Policy>: Policy must be default constructible and copyable
#include "archetype_policy.hpp"

struct Policy : ArchetypePolicy {
#ifndef GOOD
  explicit Policy(int);
#endif
};

template class bitdial::Quantizer<Policy>;
