// SPDX-License-Identifier: Apache-2.0
// The real value of a byte of an image: training and the packed network start from the same floats.
#pragma once

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
    if (empty()) return true;
    const auto count = static_cast<std::size_t>(channels);
    if (channels < 0 || mean.size() != count || deviation.size() != count) return false;
    for (std::size_t c = 0; c < count; ++c) {
      const bool usable = std::isfinite(deviation[c]) && deviation[c] > 0.0F;
      if (!std::isfinite(mean[c]) || !usable) return false;
    }
    return true;
  }
  /// The value of channel `channel`.
  [[nodiscard]] float operator()(float x, std::size_t channel) const noexcept {
    return empty() ? x : (x - mean[channel]) / deviation[channel];
  }

  friend bool operator==(const Normalisation&, const Normalisation&) = default;
};

}  // namespace bitdial::inline BITDIAL_ABI
