// SPDX-License-Identifier: Apache-2.0
// The end of a convolution or linear layer: from the sums of a tile to values and codes, while the
// sums are in the first-level cache.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include <bitdial/deploy/plan_compiler.hpp>
#include <bitdial/deploy/prepared_encoder.hpp>
#include <bitdial/deploy/prepared_step.hpp>
#include <bitdial/deploy/window_rows.hpp>
#include <bitdial/kernels/kernel_table.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// What a matrix step may touch, for images 0 .. `count` - 1 of the arena.
struct MatrixOperands {
  const std::uint8_t* x = nullptr;
  float* y = nullptr;               ///< first channel of the result; null where nobody reads values
  const float* residual = nullptr;  ///< null where nothing is added
  std::byte* arena = nullptr;       ///< of the codes of y
  std::int64_t count = 0;           ///< of images
};

namespace detail {

/// What is done once for many rows costs little for each.
inline constexpr std::int64_t epilogue_rows = 256;
/// Of every kernel.
inline constexpr std::int64_t most_tile_rows = 16;

/// Where a thread keeps the sums of rows and what belongs to them.
struct RowSums {
  std::int32_t* sums = nullptr;
  std::int64_t stride = 0;  ///< between rows
  std::int32_t* row_terms = nullptr;
  float* values = nullptr;  ///< of y, for readers of codes behind the first one
};

/// Holds the operands of `requantize`, of which a tile changes only a few.
class MatrixEpilogue {
 public:
  MatrixEpilogue(const kernels::KernelTable& table, std::span<const PreparedEncoder> encoders,
                 std::span<const ProgramBuffer> buffers, const Step& step,
                 const PreparedStep& prepared, const MatrixOperands& operands,
                 const RowSums& sums) noexcept
      : table_{table},
        encoders_{encoders},
        buffers_{buffers},
        step_{step},
        prepared_{prepared},
        operands_{operands},
        tile_{.sums = sums.sums,
              .sums_stride = sums.stride,
              .residual_stride = step.y_shape.c,
              .relu = step.relu,
              .factor = prepared.product_factor,
              .row_terms = prepared.row_sum_factor == 0 ? nullptr : sums.row_terms,
              .y = step.codes.size() > 1 ? sums.values : nullptr,
              .y_stride = operands.y != nullptr ? step.pixel : sums.stride} {
    if (!step_.codes.empty()) {
      places_ = places_of(step_.codes.front());
      tile_.codes_stride = places_.pixel;
      tile_.codes_line = places_.line;
      tile_.steps = encoder_of(step_.codes.front()).steps();
      tile_.steps.saturates = prepared_.saturates;
    }
  }

  /// What the codes of each row of a run add to its sums, where anything.
  void sum_rows(const LineRun& run, std::int32_t* row_terms) const noexcept {
    if (prepared_.row_sum_factor == 0) return;
    const WindowRows& rows = prepared_.rows;
    table_.sum_rows({.codes = operands_.x + rows.at(run.rows),
                     .lines = run.lines,
                     .line = rows.line_step,
                     .rows = run.rows.rows,
                     .stride = rows.row_step,
                     .count = rows.run,
                     .factor = prepared_.row_sum_factor,
                     .sums = row_terms,
                     .segments = rows.segments(),
                     .offsets = rows.offsets.data()});
  }

  /// From here on sums and what rows add to them stand elsewhere.
  void move_to(const std::int32_t* sums, const std::int32_t* row_terms) noexcept {
    tile_.sums = sums;
    if (prepared_.row_sum_factor != 0) tile_.row_terms = row_terms;
  }

  /// From the sums of the rows of a run, the first of which is row `row` of the batch, to y and its
  /// codes. Several lines are whole ones. The codes of the first reader are made in registers,
  /// those of others from y.
  void finish(const LineRun& run, std::int64_t row, IndexRange cols) noexcept {
    tile_.lines = run.lines;
    tile_.rows = run.rows.rows;
    tile_.cols = cols.end - cols.begin;
    tile_.scale = prepared_.state->multiplier.data() + cols.begin;
    tile_.bias = prepared_.state->bias.data() + cols.begin;
    if (operands_.residual != nullptr) {
      tile_.residual = operands_.residual + row * step_.y_shape.c + cols.begin;
    }
    if (operands_.y != nullptr) tile_.y = operands_.y + row * step_.pixel + cols.begin;
    if (!step_.codes.empty()) tile_.codes = places_.at(run.rows, cols.begin);
    const std::uint32_t* owed[std::max(epilogue_rows, most_tile_rows)];
    if (prepared_.border.is_constant()) {
      tile_.column_terms = prepared_.border.at(0, 0) + cols.begin;
    } else if (!prepared_.border.empty()) {
      find_owed(run, cols.begin, owed);
      tile_.offsets = owed;
    }
    table_.requantize(tile_);
    for (std::size_t i = 1; i < step_.codes.size(); ++i) encode(step_.codes[i], run, cols);
  }

 private:
  /// Where the codes of pixels stand that a reader wants, and what lies between them, in bytes.
  struct CodePlaces {
    std::uint8_t* first = nullptr;
    std::int64_t image = 0, line = 0, pixel = 0;

    [[nodiscard]] std::uint8_t* at(const RowRun& run, std::int64_t channel) const noexcept {
      return first + run.image * image + run.line * line + run.first * pixel + channel;
    }
  };
  [[nodiscard]] CodePlaces places_of(const CodeOutput& output) const noexcept {
    const ProgramBuffer& buffer = buffers_[static_cast<std::size_t>(output.buffer)];
    const CodeLayout& layout = buffer.layout;
    return {.first = reinterpret_cast<std::uint8_t*>(operands_.arena + buffer.offset) +
                     layout.at(0, 0) + step_.first_channel,
            .image = layout.image(),
            .line = layout.line(),
            .pixel = prepared_.rows.images_are_rows ? layout.image() : layout.pixel};
  }

  [[nodiscard]] const PreparedEncoder& encoder_of(const CodeOutput& output) const noexcept {
    return encoders_[static_cast<std::size_t>(output.encoder)];
  }

  void encode(const CodeOutput& output, const LineRun& run, IndexRange cols) const noexcept {
    const PreparedEncoder& encoder = encoder_of(output);
    const CodePlaces places = places_of(output);
    for (std::int64_t line = 0; line < run.lines; ++line) {
      encoder.encode(table_, {.rows = run.rows.rows,
                              .size = cols.end - cols.begin,
                              .x = tile_.y + line * run.rows.rows * tile_.y_stride,
                              .x_step = tile_.y_stride,
                              .codes = places.at(run.rows, cols.begin) + line * places.line,
                              .codes_step = places.pixel});
    }
  }

  /// What the border owes to each row of a run, from channel `channel` on.
  void find_owed(const LineRun& run, std::int64_t channel,
                 const std::uint32_t** owed) const noexcept {
    for (std::int64_t line = 0; line < run.lines; ++line) {
      for (std::int64_t r = 0; r < run.rows.rows; ++r) {
        *owed++ = prepared_.border.at(run.rows.line + line, run.rows.first + r) + channel;
      }
    }
  }

  const kernels::KernelTable& table_;
  std::span<const PreparedEncoder> encoders_;
  std::span<const ProgramBuffer> buffers_;
  const Step& step_;
  const PreparedStep& prepared_;
  const MatrixOperands& operands_;
  kernels::Requantize tile_;
  CodePlaces places_;  ///< of the codes that `requantize` makes
};

}  // namespace detail

}  // namespace bitdial::inline BITDIAL_ABI
