// SPDX-License-Identifier: Apache-2.0
// The patch matrix of a convolution ("im2col"), never stored whole: any block of it on demand.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include <bitdial/ops/matrix_view.hpp>

namespace bitdial::inline BITDIAL_ABI::ops::detail {

/// One axis of a sliding window: output position i and tap t read source position
/// i * step + t * dilation + offset, and zero when that is outside 0 .. source - 1.
struct PatchAxis {
  std::int64_t outputs = 1;
  std::int64_t source = 1;
  std::int64_t taps = 1;
  std::int64_t step = 1;
  std::int64_t dilation = 1;
  std::int64_t offset = 0;
};

[[nodiscard]] constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) noexcept {
  return a >= 0 ? (a + b - 1) / b : -(-a / b);
}

/// Positions begin .. end - 1.
struct IndexRange {
  std::int64_t begin = 0, end = 0;
  friend constexpr bool operator==(const IndexRange&, const IndexRange&) = default;
};

/// The taps of an axis that lie inside the source for output position i.
[[nodiscard]] constexpr IndexRange taps_inside(const PatchAxis& axis, std::int64_t i) noexcept {
  const std::int64_t start = i * axis.step + axis.offset;
  const std::int64_t begin =
      std::clamp(ceil_div(-start, axis.dilation), std::int64_t{0}, axis.taps);
  return {begin, std::clamp(ceil_div(axis.source - start, axis.dilation), begin, axis.taps)};
}

/// Those of the output positions `of` that find tap t inside the source.
[[nodiscard]] constexpr IndexRange outputs_inside(const PatchAxis& axis, std::int64_t t,
                                                  IndexRange of) noexcept {
  const std::int64_t start = t * axis.dilation + axis.offset;
  const std::int64_t begin = std::clamp(ceil_div(-start, axis.step), of.begin, of.end);
  return {begin, std::clamp(ceil_div(axis.source - start, axis.step), begin, of.end)};
}

/// A matrix with one row per output pixel (n, i, j) and one column per (tap_h, tap_w, channel):
/// the values that this pixel's window reads of source images [N, H, W, channels].
struct PatchGrid {
  PatchAxis h, w;
  std::int64_t channels = 1;

  [[nodiscard]] constexpr std::int64_t pixels() const noexcept { return h.outputs * w.outputs; }
  [[nodiscard]] constexpr std::int64_t depth() const noexcept { return h.taps * w.taps * channels; }
};

/// True for a 1 x 1 window that moves by 1: the images are the patch matrix.
[[nodiscard]] constexpr bool reads_every_pixel_once(const PatchGrid& grid) noexcept {
  const auto once = [](const PatchAxis& axis) {
    return axis.taps == 1 && axis.step == 1 && axis.offset == 0 && axis.outputs == axis.source;
  };
  return once(grid.h) && once(grid.w);
}

/// The same pixels for a 1 x 1 window that moves by 1: short lines that follow each other are one
/// line, of which tiles of rows have more to take. Other grids stay as they are.
[[nodiscard]] constexpr PatchGrid with_joined_lines(PatchGrid grid) noexcept {
  constexpr std::int64_t most = 128;
  if (!reads_every_pixel_once(grid)) return grid;
  while (grid.h.outputs % 2 == 0 && 0 < grid.w.outputs && 2 * grid.w.outputs <= most) {
    grid.h.outputs = grid.h.source /= 2;
    grid.w.outputs = grid.w.source *= 2;
  }
  return grid;
}

/// Copies `count` runs of `length` elements from `from`, `from + from_step`, ... to `to`,
/// `to + to_step`, ... The usual lengths are constants, so that no run costs a call.
template <class T>
void copy_runs(const T* from, std::int64_t from_step, std::int64_t length, std::int64_t count,
               T* to, std::int64_t to_step) noexcept {
  constexpr std::int64_t block = 64 / static_cast<std::int64_t>(sizeof(T));
  const auto copy_blocks = [&](auto blocks) {
    for (std::int64_t r = 0; r < count; ++r, from += from_step, to += to_step) {
      std::memcpy(to, from, 64 * blocks());
    }
  };
  if (length == block) return copy_blocks(std::integral_constant<std::size_t, 1>{});
  if (length == 2 * block) return copy_blocks(std::integral_constant<std::size_t, 2>{});
  if (length == 3 * block) return copy_blocks(std::integral_constant<std::size_t, 3>{});
  for (std::int64_t r = 0; r < count; ++r, from += from_step, to += to_step) {
    std::int64_t i = 0;
    for (; i + block <= length; i += block) std::memcpy(to + i, from + i, 64);
    for (; i < length; ++i) to[i] = from[i];
  }
}

template <class T>
void clear_runs(std::int64_t length, std::int64_t count, T* to, std::int64_t to_step) noexcept {
  for (std::int64_t r = 0; r < count; ++r, to += to_step) std::fill_n(to, length, T{0});
}

/// Elements first .. last - 1 of a run of neighbouring taps, for one output row after the other.
///
/// For output column j the run starts at element (j step + offset) channels of the source row.
/// Columns inside_begin .. inside_end - 1 find their whole run inside the row.
template <class T>
struct PatchRun {
  PatchRun(const PatchAxis& w, std::int64_t offset_, std::int64_t channels_, std::int64_t first_,
           std::int64_t last_)
      : step{w.step * channels_},
        offset{offset_ * channels_},
        row_size{w.source * channels_},
        first{first_},
        last{last_},
        inside_begin{ceil_div(-offset_ - first / channels_, w.step)},
        inside_end{ceil_div(w.source - ceil_div(last, channels_) - offset_ + 1, w.step)} {}

  /// Columns begin .. end - 1 of one output row, from the source row at `source`.
  void gather(const T* source, std::int64_t begin, std::int64_t end, T* to,
              std::int64_t to_step) const noexcept {
    const std::int64_t from = std::clamp(inside_begin, begin, end);
    const std::int64_t until = std::clamp(inside_end, from, end);
    gather_cut(source, begin, from, to, to_step);
    copy_runs(source + from * step + offset + first, step, last - first, until - from,
              to + (from - begin) * to_step, to_step);
    gather_cut(source, until, end, to + (until - begin) * to_step, to_step);
  }

 private:
  // The same where the row's edge may cut the run: elements low .. high - 1 lie inside.
  void gather_cut(const T* source, std::int64_t begin, std::int64_t end, T* to,
                  std::int64_t to_step) const noexcept {
    for (std::int64_t j = begin; j < end; ++j, to += to_step) {
      const std::int64_t start = j * step + offset;
      const std::int64_t low = std::clamp(-start, first, last);
      const std::int64_t high = std::clamp(row_size - start, low, last);
      std::fill(to, to + (low - first), T{0});
      std::copy(source + start + low, source + start + high, to + (low - first));
      std::fill(to + (high - first), to + (last - first), T{0});
    }
  }

  std::int64_t step, offset, row_size, first, last, inside_begin, inside_end;
};

/// block(r, k) = patch element k0 + k of output pixel pixel0 + r (pixels count through all images);
/// block.col_stride is 1.
///
/// Neighbouring taps of one kernel row are neighbours in the source unless dilated, so a run is
/// taps * channels long.
template <class T>
void gather_patches(const T* source, const PatchGrid& grid, std::int64_t pixel0, std::int64_t k0,
                    MatrixView<T> block) {
  const PatchAxis& h = grid.h;
  const PatchAxis& w = grid.w;
  const std::int64_t taps_per_run = w.dilation == 1 ? w.taps : 1;
  const std::int64_t runs_per_row = w.taps / taps_per_run;
  const std::int64_t run_size = taps_per_run * grid.channels;
  const std::int64_t k1 = k0 + block.cols;
  const std::int64_t n0 = pixel0 / grid.pixels();
  const std::int64_t i0 = pixel0 % grid.pixels() / w.outputs;
  const std::int64_t j0 = pixel0 % w.outputs;
  for (std::int64_t index = k0 / run_size; index * run_size < k1; ++index) {
    const std::int64_t first = std::max(k0 - index * run_size, std::int64_t{0});
    const std::int64_t last = std::min(k1 - index * run_size, run_size);
    const PatchRun<T> run(w, index % runs_per_row * w.dilation + w.offset, grid.channels, first,
                          last);
    T* to = block.data + (index * run_size + first - k0);
    std::int64_t n = n0;
    std::int64_t i = i0;
    std::int64_t begin = j0;
    for (std::int64_t left = block.rows; left > 0;) {
      const std::int64_t end = std::min(w.outputs, begin + left);
      const std::int64_t row = i * h.step + index / runs_per_row * h.dilation + h.offset;
      if (row < 0 || row >= h.source) {
        clear_runs(last - first, end - begin, to, block.row_stride);
      } else {
        run.gather(source + (n * h.source + row) * w.source * grid.channels, begin, end, to,
                   block.row_stride);
      }
      to += (end - begin) * block.row_stride;
      left -= end - begin;
      begin = 0;
      if (++i == h.outputs) {
        i = 0;
        ++n;
      }
    }
  }
}

}  // namespace bitdial::inline BITDIAL_ABI::ops::detail
