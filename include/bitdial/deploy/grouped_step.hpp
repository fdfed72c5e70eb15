// SPDX-License-Identifier: Apache-2.0
// One grouped convolution, line by line: exact sums, then values and codes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include <bitdial/core/assert.hpp>
#include <bitdial/deploy/matrix_epilogue.hpp>
#include <bitdial/deploy/plan_compiler.hpp>
#include <bitdial/deploy/prepared_encoder.hpp>
#include <bitdial/deploy/prepared_groups.hpp>
#include <bitdial/kernels/kernel_table.hpp>

namespace bitdial::inline BITDIAL_ABI::detail {

/// Runs output lines of one grouped convolution. Lines do not depend on each other: any split gives
/// the same bits.
///
/// A depthwise layer with one reader of codes goes from codes to codes in registers. Every other
/// case computes a line of sums, and then its values and codes; groups that are not depthwise run
/// on plain loops.
class GroupedStep {
 public:
  GroupedStep(const kernels::KernelTable& table, std::span<const PreparedEncoder> encoders,
              std::span<const ProgramBuffer> buffers, const Step& step,
              const PreparedGroups& groups, const MatrixOperands& operands) noexcept
      : table_{table},
        encoders_{encoders},
        buffers_{buffers},
        step_{step},
        groups_{groups},
        operands_{operands},
        x_{buffers[static_cast<std::size_t>(step.x_codes)].layout} {
    BITDIAL_ASSERT(table.depthwise_u8s8.cols <= code_slack);
  }

  [[nodiscard]] std::int64_t lines() const noexcept { return operands_.count * step_.y_shape.h; }
  /// Multiplications.
  [[nodiscard]] std::int64_t work() const noexcept { return operands_.count * groups_.work(step_); }

  /// Bytes of scratch of one `run`: a line of sums, a line of values.
  [[nodiscard]] static std::size_t scratch_bytes(const Step& step) noexcept {
    return 2 * line_bytes(step);
  }

  void run(IndexRange lines, std::byte* scratch) const noexcept {
    const bool direct = groups_.depthwise && step_.codes.size() == 1 && operands_.y == nullptr &&
                        operands_.residual == nullptr && groups_.border.empty() && is_whole() &&
                        codes_need_no_relu();
    for (std::int64_t line = lines.begin; line < lines.end; ++line) {
      if (direct) {
        run_direct(line);
      } else {
        run_in_turn(line, scratch);
      }
    }
  }

 private:
  [[nodiscard]] static std::size_t line_bytes(const Step& step) noexcept {
    return static_cast<std::size_t>(round_up(step.y_shape.w * step.y_shape.c * 4, 64));
  }
  [[nodiscard]] const PreparedEncoder& encoder(const CodeOutput& output) const noexcept {
    return encoders_[static_cast<std::size_t>(output.encoder)];
  }
  /// The result has all channels of its pixels: lines have no gaps.
  [[nodiscard]] bool is_whole() const noexcept { return step_.pixel == step_.y_shape.c; }
  /// The codes of the only reader are the same without the ReLU: none changes at or below 0.
  [[nodiscard]] bool codes_need_no_relu() const noexcept {
    const kernels::CodeSteps steps = encoder(step_.codes.front()).steps();
    return !step_.relu || steps.count == 0 || steps.thresholds[0] > 0.0F;
  }
  [[nodiscard]] const std::uint8_t* input(std::int64_t line) const noexcept {
    const std::int64_t h = step_.y_shape.h;
    return operands_.x + line / h * x_.image() +
           x_.at(line % h * step_.window.stride_h - step_.window.padding_h,
                 -step_.window.padding_w);
  }
  [[nodiscard]] std::uint8_t* output(const CodeOutput& codes, std::int64_t line) const noexcept {
    const ProgramBuffer& buffer = buffers_[static_cast<std::size_t>(codes.buffer)];
    return reinterpret_cast<std::uint8_t*>(operands_.arena + buffer.offset) +
           buffer.layout.at_line(line) + step_.first_channel;
  }

  /// Calls the kernel for one line, in rows of as many channels as were prepared.
  void multiply(kernels::DepthwiseU8S8 operands) const noexcept {
    const std::int64_t channels = step_.y_shape.c, size = step_.y_shape.w * channels;
    operands.taps = static_cast<std::int64_t>(groups_.offsets.size());
    operands.group_taps = groups_.group_taps;
    operands.shared_groups = groups_.shared_groups;
    operands.offsets = groups_.offsets.data();
    operands.w = groups_.levels.data();
    operands.product_factor = static_cast<std::int32_t>(groups_.product_factor);
    operands.code_factor = static_cast<std::int32_t>(groups_.code_factor);
    operands.channels = groups_.row;
    operands.pixels = size / groups_.row;
    operands.x_step = groups_.row == channels ? step_.window.stride_w * channels : groups_.row;
    operands.codes_step = groups_.row;
    table_.depthwise_u8s8.run(operands);
    const std::int64_t done = operands.pixels * groups_.row;
    if (done == size) return;
    operands.x += done;
    if (operands.sums != nullptr) operands.sums += done;
    if (operands.codes != nullptr) operands.codes += done;
    operands.pixels = 1;
    operands.channels = size - done;
    table_.depthwise_u8s8.run(operands);
  }

  void run_direct(std::int64_t line) const noexcept {
    const CodeOutput& codes = step_.codes.front();
    kernels::CodeSteps steps = encoder(codes).steps();
    steps.saturates = groups_.saturates;
    multiply({.x = input(line),
              .scale = groups_.scale.data(),
              .bias = groups_.bias.data(),
              .steps = steps,
              .codes = output(codes, line)});
  }

  void run_in_turn(std::int64_t line, std::byte* scratch) const noexcept {
    const std::int64_t channels = step_.y_shape.c;
    auto* const sums = reinterpret_cast<std::int32_t*>(scratch);
    if (groups_.depthwise) {
      multiply({.x = input(line), .sums = sums});
    } else {
      multiply_groups(input(line), sums);
    }
    float* const scratch_y =
        step_.codes.size() > 1 ? reinterpret_cast<float*>(scratch + line_bytes(step_)) : nullptr;
    for (std::int64_t first = 0; first < step_.y_shape.w; first += epilogue_rows) {
      finish(line, {first, std::min(step_.y_shape.w, first + epilogue_rows)},
             sums + first * channels, scratch_y);
    }
  }

  /// From the sums of pixels of a line, at most `epilogue_rows`, to y and its codes. The codes of
  /// the first reader are made in registers, those of others from y.
  [[gnu::always_inline]] void finish(std::int64_t line, IndexRange pixels, const std::int32_t* sums,
                                     float* scratch_y) const noexcept {
    const std::int64_t channels = step_.y_shape.c;
    const std::int64_t at = line * step_.y_shape.w + pixels.begin;
    const std::uint32_t* owed[epilogue_rows];
    kernels::Requantize part{
        .rows = pixels.end - pixels.begin,
        .cols = channels,
        .sums = sums,
        .sums_stride = channels,
        .scale = groups_.state->multiplier.data(),
        .bias = groups_.state->bias.data(),
        .residual = operands_.residual == nullptr ? nullptr : operands_.residual + at * channels,
        .residual_stride = channels,
        .relu = step_.relu,
        .y = operands_.y == nullptr ? scratch_y : operands_.y + at * step_.pixel,
        .y_stride = operands_.y == nullptr ? channels : step_.pixel};
    if (!groups_.border.empty()) {
      for (std::int64_t ox = pixels.begin; ox < pixels.end; ++ox) {
        owed[ox - pixels.begin] = groups_.border.at(line % step_.y_shape.h, ox);
      }
      part.offsets = owed;
    }
    const auto place = [&](const CodeOutput& codes) {
      return output(codes, line) + pixels.begin * step_.pixel;
    };
    if (!step_.codes.empty()) {
      part.codes = place(step_.codes.front());
      part.codes_stride = step_.pixel;
      part.steps = encoder(step_.codes.front()).steps();
      part.steps.saturates = groups_.saturates;
    }
    table_.requantize(part);
    for (std::size_t i = 1; i < step_.codes.size(); ++i) {
      encoder(step_.codes[i])
          .encode(table_, {.rows = part.rows,
                           .size = channels,
                           .x = part.y,
                           .x_step = part.y_stride,
                           .codes = place(step_.codes[i]),
                           .codes_step = step_.pixel});
    }
  }

  /// The sums of one line for groups of any size.
  void multiply_groups(const std::uint8_t* x, std::int32_t* sums) const noexcept {
    const std::int64_t channels = step_.y_shape.c;
    const auto taps = static_cast<std::int64_t>(groups_.offsets.size());
    const std::int64_t depth = static_cast<std::int64_t>(groups_.products.size()) / channels;
    const std::int64_t in = depth / taps;
    const std::int64_t group_outputs = channels / (step_.x_shape.c / in);
    for (std::int64_t ox = 0; ox < step_.y_shape.w; ++ox, x += step_.window.stride_w * x_.pixel) {
      for (std::int64_t c = 0; c < channels; ++c) {
        const std::int32_t* level = groups_.products.data() + c * depth;
        std::uint32_t sum = 0;
        for (const std::int64_t offset : groups_.offsets) {
          const std::uint8_t* const u = x + offset + c / group_outputs * in;
          for (std::int64_t i = 0; i < in; ++i) sum += u[i] * static_cast<std::uint32_t>(*level++);
        }
        *sums++ = static_cast<std::int32_t>(groups_.product_factor * sum);
      }
    }
  }

  const kernels::KernelTable& table_;
  std::span<const PreparedEncoder> encoders_;
  std::span<const ProgramBuffer> buffers_;
  const Step& step_;
  const PreparedGroups& groups_;
  const MatrixOperands& operands_;
  const CodeLayout& x_;
};

}  // namespace bitdial::inline BITDIAL_ABI::detail
