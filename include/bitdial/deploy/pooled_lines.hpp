// SPDX-License-Identifier: Apache-2.0
// The result of a convolution that only the pool behind it reads: a band of its lines, which stays
// in the second-level cache.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <bitdial/core/rounding.hpp>
#include <bitdial/deploy/plan_compiler.hpp>
#include <bitdial/deploy/window_rows.hpp>
#include <bitdial/kernels/code_winograd.hpp>

namespace bitdial::inline BITDIAL_ABI::detail {

/// Lines of one image of the convolution, made in order a few at a time, in memory of a thread.
class PooledLines {
 public:
  /// Lines are made in multiples of this, whole tiles of Winograd's filtering, but for the last
  /// ones of an image.
  static constexpr std::int64_t unit = kernels::winograd_shorts.lines;

  PooledLines(const Step& convolution, const Step& pool, float* memory) noexcept
      : window_{pool.window},
        lines_{convolution.y_shape.h},
        line_{line_values(convolution)},
        most_{most_lines(convolution, pool)},
        memory_{memory} {}

  /// Bytes of the memory.
  [[nodiscard]] static std::size_t bytes(const Step& convolution, const Step& pool) noexcept {
    return static_cast<std::size_t>(most_lines(convolution, pool) * line_values(convolution)) *
           sizeof(float);
  }

  /// `take(line, values)` for the lines `pooled` of the pool, at least one, `values` the address of
  /// the image as if all of it were there: the lines of the window are. `make(lines, values)` makes
  /// the next ones; those between windows and behind the last one are left out.
  template <class Make, class Take>
  void run(IndexRange pooled, const Make& make, const Take& take) noexcept {
    const std::int64_t last = std::min(lines_, round_up(end_of(pooled.end - 1), unit));
    std::int64_t first = 0, end = 0;  // of those in memory
    for (std::int64_t line = pooled.begin; line < pooled.end; ++line) {
      const std::int64_t wanted = first_of(line);
      if (end_of(line) > std::max(wanted, end)) {
        if (wanted < end) {
          std::copy(memory_ + (wanted - first) * line_, memory_ + (end - first) * line_, memory_);
          first = wanted;
        } else {
          first = end = wanted / unit * unit;
        }
        const std::int64_t next = std::min(last, end + (first + most_ - end) / unit * unit);
        make(IndexRange{end, next}, memory_ - first * line_);
        end = next;
      }
      take(line, memory_ - first * line_);
    }
  }

 private:
  static constexpr std::int64_t band_bytes = std::int64_t{1} << 18;

  [[nodiscard]] static std::int64_t line_values(const Step& convolution) noexcept {
    return convolution.y_shape.w * convolution.y_shape.c;
  }
  /// Those of the largest window, with room to begin and to end on whole units, or more, but no
  /// more than there are.
  [[nodiscard]] static std::int64_t most_lines(const Step& convolution, const Step& pool) noexcept {
    const ops::Window& window = pool.window;
    const std::int64_t taps = (window.kernel_h - 1) * window.dilation_h + 1;
    const std::int64_t least = taps + 2 * unit;
    return std::min(round_up(convolution.y_shape.h, unit),
                    std::max(least, band_bytes / (line_values(convolution) * 4)));
  }
  /// The lines under the window of a line of the pool, those of the border left out.
  [[nodiscard]] std::int64_t first_of(std::int64_t line) const noexcept {
    return std::clamp<std::int64_t>(line * window_.stride_h - window_.padding_h, 0, lines_);
  }
  [[nodiscard]] std::int64_t end_of(std::int64_t line) const noexcept {
    const std::int64_t last = (window_.kernel_h - 1) * window_.dilation_h;
    return std::clamp<std::int64_t>(line * window_.stride_h - window_.padding_h + last + 1, 0,
                                    lines_);
  }

  const ops::Window& window_;
  std::int64_t lines_, line_, most_;
  float* memory_;
};

}  // namespace bitdial::inline BITDIAL_ABI::detail
