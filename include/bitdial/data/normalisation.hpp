// SPDX-License-Identifier: Apache-2.0
// Image values with mean 0 and deviation 1 per channel.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include <bitdial/core/error.hpp>
#include <bitdial/core/image_byte.hpp>
#include <bitdial/core/text.hpp>

namespace bitdial::inline BITDIAL_ABI::data {

/// (x - mean) / deviation per channel, x in [0, 1]; empty: x itself, which is what packed networks
/// take (their input is bytes, u / 255).
struct Normalisation {
  std::vector<float> mean{};
  std::vector<float> deviation{};

  [[nodiscard]] bool empty() const noexcept { return mean.empty() && deviation.empty(); }
  /// Throws `ConfigError` unless it is empty or has `channels` means and positive deviations.
  void require(std::int64_t channels) const {
    if (empty()) return;
    bool valid = static_cast<std::int64_t>(mean.size()) == channels &&
                 static_cast<std::int64_t>(deviation.size()) == channels;
    for (const float value : deviation) valid = valid && value > 0.0F;
    if (!valid) {
      throw ConfigError(concat("normalisation: expected ", channels,
                               " means and positive deviations, found means [", join(mean),
                               "], deviations [", join(deviation), "]"));
    }
  }
  /// The value of channel `channel`.
  [[nodiscard]] float operator()(float x, std::size_t channel) const noexcept {
    return empty() ? x : (x - mean[channel]) / deviation[channel];
  }
};

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
    normalisation.require(channels);
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
