// SPDX-License-Identifier: Apache-2.0
// Image values with mean 0 and deviation 1 per channel: published constants, and tables.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include <bitdial/core/error.hpp>
#include <bitdial/core/image_byte.hpp>
#include <bitdial/core/text.hpp>

namespace bitdial::inline BITDIAL_ABI::data {

using bitdial::Normalisation;

/// Throws `ConfigError` unless it is empty or has `channels` finite means and positive deviations.
inline void require_fits(const Normalisation& normalisation, std::int64_t channels) {
  if (normalisation.fits(channels)) return;
  throw ConfigError(
      concat("normalisation: expected ", channels, " means and positive deviations, found means [",
             join(normalisation.mean), "], deviations [", join(normalisation.deviation), "]"));
}

/// Of the training images of ImageNet.
[[nodiscard]] inline Normalisation imagenet_normalisation() {
  return {.mean = {0.485F, 0.456F, 0.406F}, .deviation = {0.229F, 0.224F, 0.225F}};
}

/// Of the training images of CIFAR-100.
[[nodiscard]] inline Normalisation cifar100_normalisation() {
  return {.mean = {0.50708F, 0.48655F, 0.44092F}, .deviation = {0.26733F, 0.25644F, 0.27615F}};
}

/// The value of each byte in each channel: what `Normalisation` gives for u / 255, looked up.
class ByteValues {
 public:
  ByteValues(const Normalisation& normalisation, std::int64_t channels)
      : values_(static_cast<std::size_t>(channels)) {
    require_fits(normalisation, channels);
    for (std::size_t c = 0; c < values_.size(); ++c) {
      for (std::size_t u = 0; u < 256; ++u) {
        values_[c][u] = normalisation(unit_value(static_cast<std::uint8_t>(u)), c);
      }
    }
  }
  [[nodiscard]] std::size_t channels() const noexcept { return values_.size(); }
  /// The 256 values of one channel.
  [[nodiscard]] const std::array<float, 256>& operator[](std::size_t channel) const noexcept {
    return values_[channel];
  }

 private:
  std::vector<std::array<float, 256>> values_;
};

}  // namespace bitdial::inline BITDIAL_ABI::data
