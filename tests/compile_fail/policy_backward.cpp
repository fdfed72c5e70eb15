// SPDX-License-Identifier: Apache-2.0
// expect: bitdial: Quantizer<Policy>: Policy needs .void backward\(std::span<const float>
#include "archetype_policy.hpp"

struct Policy : ArchetypePolicy {
#ifndef GOOD
  void backward();
#endif
};

template class bitdial::Quantizer<Policy>;
