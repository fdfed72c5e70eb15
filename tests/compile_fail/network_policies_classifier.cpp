// SPDX-License-Identifier: Apache-2.0
// expect: bitdial: NetworkPolicies<.*>: ClassifierPolicy must be a policy of weights
#include <bitdial/models/network_policies.hpp>
#include <bitdial/quant/policies/adabits.hpp>
#include <bitdial/quant/policies/twn.hpp>

#ifdef GOOD
using Classifier = bitdial::AdaBitsWeights;
#else
using Classifier = bitdial::TernaryWeights;
#endif

inline constexpr auto size = sizeof(
    bitdial::models::NetworkPolicies<bitdial::DoReFaWeights, bitdial::PactActivations, Classifier>);
