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
    for (std::size_t u = 0; u < byte_codes_.size(); ++u) {
      byte_codes_[u] = search(unit_value(static_cast<std::uint8_t>(u)));
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

  /// codes[i] = code(x[i] / 255).
  void encode_bytes(const std::uint8_t* x, std::int64_t count, std::uint8_t* codes) const noexcept {
    for (std::int64_t i = 0; i < count; ++i) codes[i] = byte_codes_[x[i]];
  }

 private:
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
  std::array<std::uint8_t, 256> byte_codes_{};
};

}  // namespace bitdial::inline BITDIAL_ABI
