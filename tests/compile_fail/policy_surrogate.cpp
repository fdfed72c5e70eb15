// SPDX-License-Identifier: Apache-2.0
// expect: bitdial: Quantizer<Policy>: Policy needs .void surrogate\(std::span<const double>
#include "archetype_policy.hpp"

struct Policy : ArchetypePolicy {
#ifndef GOOD
  void surrogate();
#endif
};

template class bitdial::Quantizer<Policy>;
