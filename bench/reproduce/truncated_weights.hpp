// SPDX-License-Identifier: Apache-2.0
// What a store of 8 bits gives a policy whose codes are not nested: for comparison.
#pragma once

#include <bitdial/quant/policies/dorefa.hpp>
#include <cstdint>
#include <string_view>

namespace reproduce {

/// DoReFa weights whose code of k bits is the top k bits of the code of 8 bits.
///
/// All else is `DoReFaWeights`, whose grid rounds to nearest at every width: at 2^k - 1 steps the
/// top bits of round(255 u) are not round((2^k - 1) u).
struct TruncatedDoReFaWeights : bitdial::DoReFaWeights {
  static constexpr std::string_view name = "TruncatedDoReFaWeights";

  [[nodiscard]] std::int32_t encode(float w, const State& state, int bits) const noexcept {
    return DoReFaWeights::encode(w, state, 8) >> (8 - bits);
  }
};

}  // namespace reproduce
