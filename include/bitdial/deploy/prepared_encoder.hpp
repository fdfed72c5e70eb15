// SPDX-License-Identifier: Apache-2.0
// Activation encoders ready to run: steps for the kernels, and a table for image bytes.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include <bitdial/core/image_byte.hpp>
#include <bitdial/deploy/activation_encoder.hpp>
#include <bitdial/kernels/isa/scalar.hpp>
#include <bitdial/kernels/kernel_table.hpp>

namespace bitdial::inline BITDIAL_ABI {

class PreparedEncoder {
 public:
  explicit PreparedEncoder(const ActivationEncoder& encoder)
      : bits_{encoder.bits},
        uniform_{encoder.uniform},
        count_{static_cast<std::int32_t>(encoder.thresholds.size())} {
    std::copy(encoder.thresholds.begin(), encoder.thresholds.end(), thresholds_.begin());
    if (count_ > cheap_comparisons) line_ = code_line(encoder.thresholds);
  }

  /// Makes the tables of `encode_bytes`: one for all channels where nothing is normalised.
  /// `normalisation` must fit `channels`.
  void prepare_bytes(const Normalisation& normalisation, std::int64_t channels) {
    byte_codes_.resize(normalisation.empty() ? 1 : static_cast<std::size_t>(channels));
    for (std::size_t c = 0; c < byte_codes_.size(); ++c) {
      for (std::size_t u = 0; u < 256; ++u) {
        const float x = normalisation(unit_value(static_cast<std::uint8_t>(u)), c);
        byte_codes_[c][u] = kernels::scalar::code_of(x, steps());
      }
    }
  }

  /// What the kernels take; this encoder must outlive it.
  [[nodiscard]] kernels::CodeSteps steps() const noexcept {
    if (uniform_) return uniform_->code_steps(bits_);
    return {.thresholds = thresholds_.data(),
            .count = count_,
            .line_factor = line_.factor,
            .line_constant = line_.constant,
            .line_margin = line_.margin};
  }

  /// codes[i] = code(x[i]).
  void encode(const kernels::KernelTable& table, const float* x, std::int64_t count,
              std::uint8_t* codes) const noexcept {
    table.quantize({.x = x, .count = count, .steps = steps(), .codes = codes});
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
  static constexpr std::int32_t cheap_comparisons = 3;  ///< cost less than a line

  int bits_;
  std::optional<UniformSteps> uniform_;
  std::array<float, 255> thresholds_{};
  std::int32_t count_;  ///< of thresholds
  CodeLine line_{};
  std::vector<ByteCodes> byte_codes_;  ///< by channel, or one for all
};

}  // namespace bitdial::inline BITDIAL_ABI
