// SPDX-License-Identifier: Apache-2.0
// How long a kernel takes for a layer: a few tiles of rows, timed on this machine.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>

#include <bitdial/core/rounding.hpp>
#include <bitdial/core/stopwatch.hpp>
#include <bitdial/deploy/arena.hpp>
#include <bitdial/deploy/kernel_choice.hpp>
#include <bitdial/deploy/matrix_step.hpp>
#include <bitdial/deploy/pooled_lines.hpp>
#include <bitdial/deploy/prepared_step.hpp>
#include <bitdial/deploy/prepared_weights.hpp>
#include <bitdial/kernels/kernel_table.hpp>

namespace bitdial::inline BITDIAL_ABI::detail {

/// Multiplications of one timing, and tiles that read the same weights.
inline constexpr std::int64_t most_timed_work = std::int64_t{1} << 22, least_timed_tiles = 16;
/// Rows of y beyond which more of them tell nothing new.
inline constexpr std::int64_t most_timed_rows = std::int64_t{1} << 13;
/// Codes, and what a kernel reads beside them, that a timing may take.
inline constexpr std::int64_t most_timed_bytes = std::int64_t{1} << 26;

/// The part of a layer that is timed: the first rows of y and what they read of x. Windows, borders
/// and channels are those of the layer, so that no kernel's share of the time changes.
[[nodiscard]] constexpr MatrixShape timed_part(const MatrixShape& shape) noexcept {
  MatrixShape part = shape;
  if (shape.linear) return part;
  const std::int64_t rows = std::clamp(most_timed_work / (shape.y.c * shape.depth()),
                                       least_timed_tiles * most_tile_rows, most_timed_rows);
  part.y.w = std::min(shape.y.w, rows);
  part.y.h = std::min(shape.y.h, round_up(rows / part.y.w + 1, PooledLines::unit));
  const ops::Window& window = shape.window;
  const std::int64_t read_h = (part.y.h - 1) * window.stride_h +
                              (window.kernel_h - 1) * window.dilation_h + 1 - window.padding_h;
  const std::int64_t read_w = (part.y.w - 1) * window.stride_w +
                              (window.kernel_w - 1) * window.dilation_w + 1 - window.padding_w;
  part.x.h = std::clamp<std::int64_t>(read_h, 1, shape.x.h);
  part.x.w = std::clamp<std::int64_t>(read_w, 1, shape.x.w);
  return part;
}

/// Runs a part of a layer of zeros, the memory laid out as in a session, weights as far above 0 as
/// below. No kernel's time depends on the numbers, but that of bytes multiplied in pairs, whose
/// levels of 8 bits count as small ones: `usual_short_groups`.
class StepTimer {
 public:
  StepTimer(const kernels::KernelTable& table, const MatrixShape& shape)
      : table_{table}, shape_{timed_part(shape)}, whole_{shape} {
    const auto channels = static_cast<std::size_t>(shape.y.c);
    state_.multiplier = std::vector<float>(channels);
    state_.bias = state_.multiplier;
    step_.kind = shape.linear ? ops::NodeKind::linear : ops::NodeKind::conv2d;
    step_.window = shape.window;
    step_.x_shape = {shape_.x.h, shape_.x.w, shape_.x.pixel};
    step_.y_shape = shape_.y;
  }

  /// Nanoseconds of one image; none where even the part takes too much memory.
  [[nodiscard]] std::optional<double> time(KernelPath path) const {
    PreparedStep prepared;
    prepared.rows = rows_over(shape_, shape_.x, shape_.may_join);
    const IntegerLevels levels{.multiplier = 2, .offset = 1 - (1 << shape_.bits.w)};
    PreparedWeights weights =
        weight_layout({shape_.y.c, shape_.depth(), shape_.bits.w, levels}, path,
                      {.segments = prepared.rows.segments(), .pixel = shape_.x.pixel});
    prepared.weights = &weights;
    prepared.state = &state_;
    prepared.short_groups = usual_short_groups(shape_.bits);
    prepared.row_sum_factor = static_cast<std::uint32_t>(weights.row_sum_factor);
    lay_out_images(shape_, path, prepared);

    const std::int64_t image_bytes = prepared.images.empty() ? 0 : prepared.images.stride();
    if (shape_.x.image() + image_bytes > most_timed_bytes) return std::nullopt;
    std::size_t end = 0;
    const auto take = [&](std::size_t bytes) {
      const std::size_t at = end;
      end += static_cast<std::size_t>(round_up(static_cast<std::int64_t>(bytes), 64));
      return at;
    };
    const std::size_t codes_at = take(static_cast<std::size_t>(shape_.x.image() + code_slack));
    const std::size_t weights_at = take(prepared_weight_bytes(table_, weights));
    const std::size_t scratch_at = take(MatrixStep::scratch_bytes(table_, prepared, shape_.y.c, 1));
    const Result<Arena> memory = Arena::allocate(end);
    if (!memory) return std::nullopt;
    std::byte* const data = memory->data();
    std::fill_n(data, end, std::byte{0});
    weights.bytes.data = reinterpret_cast<const std::int8_t*>(data + weights_at);
    weights.planes.data = reinterpret_cast<const std::uint32_t*>(data + weights_at);
    weights.lookup.data = reinterpret_cast<const std::uint8_t*>(data + weights_at);
    weights.packed.data = reinterpret_cast<const std::uint8_t*>(data + weights_at);
    weights.winograd.data = data + weights_at;

    const MatrixOperands operands{.x = reinterpret_cast<const std::uint8_t*>(data + codes_at),
                                  .count = 1};
    const MatrixStep step{table_, {}, {}, step_, prepared, operands};
    const std::int64_t work = std::max<std::int64_t>(1, step.work() / step.tiles());
    const std::int64_t tiles = std::clamp<std::int64_t>(
        most_timed_work / work, std::min(step.tiles(), least_timed_tiles), step.tiles());
    const double products = shortest([&] {
      step.run({0, tiles}, {0, shape_.y.c}, data + scratch_at);
    });
    const double whole = products * ratio(step.tiles(), tiles) *
                         ratio(whole_.y.h * whole_.y.w, shape_.y.h * shape_.y.w);
    return step.needs_images() ? whole + image_time(step, data + scratch_at) : whole;
  }

 private:
  [[nodiscard]] static double ratio(std::int64_t a, std::int64_t b) noexcept {
    return static_cast<double>(a) / static_cast<double>(b);
  }

  /// What the kernel reads beside the codes. The first line has more of the border than others.
  [[nodiscard]] double image_time(const MatrixStep& step, std::byte* scratch) const {
    const std::int64_t lines = shape_.x.h;
    double time = shortest([&] { step.make_images({0, 1}, scratch); });
    if (lines > 1) {
      time += shortest([&] {
                step.make_images({1, lines}, scratch);
              }) *
              ratio(whole_.x.h - 1, lines - 1);
    }
    return time * ratio(whole_.x.w, shape_.x.w);
  }

  template <class Run>
  [[nodiscard]] static double shortest(const Run& run) {
    double best = std::numeric_limits<double>::max();
    for (int i = 0; i < 5; ++i) {
      const Stopwatch turn;
      run();
      if (i > 0) best = std::min(best, 1e9 * turn.seconds());
    }
    return best;
  }

  const kernels::KernelTable& table_;
  MatrixShape shape_, whole_;  ///< of the part and of the layer
  LayerState state_;
  Step step_;
};

}  // namespace bitdial::inline BITDIAL_ABI::detail
