// SPDX-License-Identifier: Apache-2.0
// expect: bitdial: Quantizer<Policy>: Policy needs .static constexpr TensorRole role
#include "archetype_policy.hpp"

struct Policy : ArchetypePolicy {
#ifndef GOOD
  void role();
#endif
};

template class bitdial::Quantizer<Policy>;
