// SPDX-License-Identifier: Apache-2.0
// Activation encoders ready to run: steps for the kernels, and a table for image bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include <bitdial/core/heap_bytes.hpp>
#include <bitdial/core/image_byte.hpp>
#include <bitdial/deploy/activation_encoder.hpp>
#include <bitdial/kernels/isa/scalar.hpp>
#include <bitdial/kernels/kernel_table.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Rows of `size` values, from row to row `x_step` values and `codes_step` codes.
struct EncodedRows {
  std::int64_t rows = 0, size = 0;
  const float* x = nullptr;
  std::int64_t x_step = 0;
  std::uint8_t* codes = nullptr;
  std::int64_t codes_step = 0;
};

/// An encoder, which must outlive it, and what makes it fast.
class PreparedEncoder {
 public:
  explicit PreparedEncoder(const ActivationEncoder& encoder)
      : encoder_{&encoder}, uniform_{encoder.uniform} {
    if (uniform_ || encoder.thresholds.size() <= cheap_comparisons) return;
    uniform_ = find_uniform_steps(encoder.thresholds, encoder.bits);
    if (!uniform_) line_ = code_line(encoder.thresholds);
  }
  PreparedEncoder(ActivationEncoder&&) = delete;

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

  /// What the kernels take.
  [[nodiscard]] kernels::CodeSteps steps() const noexcept {
    static constexpr float none[1]{};
    if (uniform_) return uniform_->code_steps(encoder_->bits);
    const std::vector<float>& thresholds = encoder_->thresholds;
    return {.thresholds = thresholds.empty() ? none : thresholds.data(),
            .count = static_cast<std::int32_t>(thresholds.size()),
            .line_factor = line_.factor,
            .line_constant = line_.constant,
            .line_margin = line_.margin};
  }

  /// codes[i] = code(x[i]).
  void encode(const kernels::KernelTable& table, const float* x, std::int64_t count,
              std::uint8_t* codes) const noexcept {
    table.quantize({.x = x, .count = count, .steps = steps(), .codes = codes});
  }

  /// The same row by row, at once where rows have no gaps.
  void encode(const kernels::KernelTable& table, const EncodedRows& rows) const noexcept {
    if (rows.size == rows.x_step && rows.size == rows.codes_step) {
      return encode(table, rows.x, rows.rows * rows.size, rows.codes);
    }
    for (std::int64_t r = 0; r < rows.rows; ++r) {
      encode(table, rows.x + r * rows.x_step, rows.size, rows.codes + r * rows.codes_step);
    }
  }

  /// The codes of the values of `count` bytes, whole pixels, after `prepare_bytes`.
  void encode_bytes(const kernels::KernelTable& table, const std::uint8_t* x, std::int64_t count,
                    std::uint8_t* codes) const noexcept {
    table.look_up_bytes({.x = x,
                         .count = count,
                         .tables = byte_codes_.front().data(),
                         .channels = static_cast<std::int64_t>(byte_codes_.size()),
                         .y = codes});
  }

  [[nodiscard]] std::size_t heap_bytes() const noexcept { return bitdial::heap_bytes(byte_codes_); }

 private:
  using ByteCodes = std::array<std::uint8_t, 256>;
  static constexpr std::size_t cheap_comparisons = 3;  ///< cost less than a line

  const ActivationEncoder* encoder_;
  std::optional<UniformSteps> uniform_;
  CodeLine line_{};
  std::vector<ByteCodes> byte_codes_;  ///< by channel, or one for all
};

}  // namespace bitdial::inline BITDIAL_ABI
