// SPDX-License-Identifier: Apache-2.0
// CG-PACT: AdaBits' calibrated gradient for the learned clipping level of PACT.
#pragma once

#include <array>
#include <cmath>
#include <span>
#include <string_view>

#include <bitdial/quant/policies/pact.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// PACT with the calibrated gradient of AdaBits: alpha also gets the rounding error inside.
///
/// dalpha = that of `PactActivations` + sum over the x inside of dy (y - x) / alpha; all else as
/// there. Jin et al., "AdaBits", arXiv 1912.09666.
struct CgPactActivations : detail::PactValues {
  static constexpr std::string_view name = "CgPactActivations";
  static constexpr std::string_view paper = "arXiv 1912.09666";

  [[nodiscard]] State gradients(std::span<const float> x, std::span<const float> dy,
                                const State& state, int bits) const {
    const float clip = state.clip();
    const IntegerLevels line = bits == real_valued_bits ? IntegerLevels{} : levels(state, bits);
    const double top = bits == real_valued_bits ? 1.0 : (1 << bits) - 1;
    const auto sums = sum_gradients<1>(x, dy, [=, this](float value, double gradient) {
      if (value >= clip) return std::array{gradient};
      if (!(value > lowest(state))) {
        return std::array{value <= lowest(state) ? slope_below() * gradient : 0.0};
      }
      if (bits == real_valued_bits) return std::array{0.0};
      const double unit = static_cast<double>(value) / static_cast<double>(clip);
      const double rounded = line.level(encode(value, state, bits)) / top;
      return std::array{gradient * (rounded - unit)};
    });
    return {std::copysign(1.0F, state.alpha) * static_cast<float>(sums[0])};
  }
};

}  // namespace bitdial::inline BITDIAL_ABI
