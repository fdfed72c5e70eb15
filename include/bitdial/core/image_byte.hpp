// SPDX-License-Identifier: Apache-2.0
// The real value of a byte of an image: training and the packed network start from the same floats.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <bitdial/core/config.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// byte / 255, correctly rounded, in [0, 1].
/// `round_half_even(unit_value(u) * 255)` is u again, for every u.
[[nodiscard]] constexpr float unit_value(std::uint8_t byte) noexcept {
  return static_cast<float>(byte) / 255.0F;
}

/// (x - mean) / deviation per channel, x in [0, 1]; empty: x itself.
///
/// Two operations, each rounded to `f32`, so that training and every machine that runs the packed
/// network agree on the value of a byte to the bit.
struct Normalisation {
  std::vector<float> mean{};
  std::vector<float> deviation{};

  [[nodiscard]] bool empty() const noexcept { return mean.empty() && deviation.empty(); }
  /// True when it is empty or has `channels` finite means and finite, positive deviations.
  [[nodiscard]] bool fits(std::int64_t channels) const noexcept {
    const auto finite = [](float value) { return std::isfinite(value); };
    const auto usable = [](float value) { return std::isfinite(value) && value > 0.0F; };
    return empty() || (static_cast<std::int64_t>(mean.size()) == channels &&
                       static_cast<std::int64_t>(deviation.size()) == channels &&
                       std::all_of(mean.begin(), mean.end(), finite) &&
                       std::all_of(deviation.begin(), deviation.end(), usable));
  }
  /// The value of channel `channel`.
  [[nodiscard]] float operator()(float x, std::size_t channel) const noexcept {
    return empty() ? x : (x - mean[channel]) / deviation[channel];
  }

  friend bool operator==(const Normalisation&, const Normalisation&) = default;
};

}  // namespace bitdial::inline BITDIAL_ABI
