// SPDX-License-Identifier: Apache-2.0
// Activation encoders ready to run: the uniform kernel, a branch-free threshold search, and a table
// for image bytes.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include <bitdial/core/image_byte.hpp>
#include <bitdial/deploy/activation_encoder.hpp>
#include <bitdial/kernels/kernel_table.hpp>

namespace bitdial::inline BITDIAL_ABI {

class PreparedEncoder {
 public:
  explicit PreparedEncoder(const ActivationEncoder& encoder)
      : bits_{encoder.bits}, uniform_{encoder.uniform} {
    // Comparisons with NaN are false, so codes that no float reaches are never counted.
    thresholds_.fill(std::numeric_limits<float>::quiet_NaN());
    std::copy(encoder.thresholds.begin(), encoder.thresholds.end(), thresholds_.begin());
  }

  /// Makes the tables of `encode_bytes`: one for all channels where nothing is normalised.
  /// `normalisation` must fit `channels`.
  void prepare_bytes(const Normalisation& normalisation, std::int64_t channels) {
    byte_codes_.resize(normalisation.empty() ? 1 : static_cast<std::size_t>(channels));
    for (std::size_t c = 0; c < byte_codes_.size(); ++c) {
      for (std::size_t u = 0; u < 256; ++u) {
        byte_codes_[c][u] = search(normalisation(unit_value(static_cast<std::uint8_t>(u)), c));
      }
    }
  }

  [[nodiscard]] const std::optional<UniformSteps>& uniform() const noexcept { return uniform_; }
  [[nodiscard]] int max_code() const noexcept { return (1 << bits_) - 1; }

  /// codes[i] = code(x[i]).
  void encode(const kernels::KernelTable& table, const float* x, std::int64_t count,
              std::uint8_t* codes) const noexcept {
    if (uniform_) {
      table.quantize({.x = x,
                      .count = count,
                      .clip = uniform_->clip,
                      .inverse_step = uniform_->inverse_step,
                      .max_code = max_code(),
                      .codes = codes});
      return;
    }
    for (std::int64_t i = 0; i < count; ++i) codes[i] = search(x[i]);
  }

  /// The codes of the values of `count` bytes, whole pixels, after `prepare_bytes`.
  void encode_bytes(const std::uint8_t* x, std::int64_t count, std::uint8_t* codes) const noexcept {
    if (byte_codes_.size() == 1) {
      const ByteCodes& own = byte_codes_[0];
      for (std::int64_t i = 0; i < count; ++i) codes[i] = own[x[i]];
      return;
    }
    const auto channels = static_cast<std::int64_t>(byte_codes_.size());
    for (std::int64_t i = 0; i < count; i += channels) {
      for (std::int64_t c = 0; c < channels; ++c) {
        codes[i + c] = byte_codes_[static_cast<std::size_t>(c)][x[i + c]];
      }
    }
  }

 private:
  using ByteCodes = std::array<std::uint8_t, 256>;

  /// The number of thresholds at or below x, by halving; `bits_` comparisons, no branch on x.
  [[nodiscard]] std::uint8_t search(float x) const noexcept {
    std::size_t count = 0;
    for (std::size_t half = std::size_t{1} << (bits_ - 1); half > 0; half /= 2) {
      count += x >= thresholds_[count + half - 1] ? half : 0;
    }
    return static_cast<std::uint8_t>(count);
  }

  int bits_;
  std::optional<UniformSteps> uniform_;
  std::array<float, 255> thresholds_{};
  std::vector<ByteCodes> byte_codes_;  ///< by channel, or one for all
};

}  // namespace bitdial::inline BITDIAL_ABI
