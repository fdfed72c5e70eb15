// SPDX-License-Identifier: Apache-2.0
// The windows of a convolution as rows of a matrix that is never built: where each row's runs of
// codes lie in the image, and how the rows are cut into tiles for the kernels.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <bitdial/core/tile_split.hpp>
#include <bitdial/deploy/code_layout.hpp>
#include <bitdial/deploy/network_check.hpp>
#include <bitdial/ops/window.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Half-open.
struct IndexRange {
  std::int64_t begin = 0, end = 0;
};

/// Neighbouring rows: output pixels `first` .. `first + rows` - 1 of line `line` of image `image`.
struct RowRun {
  std::int64_t image = 0, line = 0, first = 0, rows = 0;
};

/// The same rows of neighbouring lines.
struct LineRun {
  RowRun rows;  ///< of the first line
  std::int64_t lines = 1;
};

/// Row r of a line is `offsets.size()` segments of `run` bytes; segment s of row r of line l of
/// image n starts at n * x.image() + origin + l * line_step + r * row_step + offsets[s].
///
/// A segment is one row of the kernel, or one tap where the taps are dilated. The output lines of a
/// convolution that looks at single pixels of a dense image are one line. A linear layer has one
/// line, with a row per image.
struct WindowRows {
  CodeLayout x;
  bool images_are_rows = false;
  std::int64_t lines = 1, line_rows = 1;  ///< of one image
  std::int64_t origin = 0, line_step = 0, row_step = 0;
  std::int64_t run = 0;
  std::vector<std::int64_t> offsets;

  [[nodiscard]] std::int64_t segments() const noexcept {
    return static_cast<std::int64_t>(offsets.size());
  }
  /// K
  [[nodiscard]] std::int64_t depth() const noexcept { return segments() * run; }

  /// Where the first row of a run begins.
  [[nodiscard]] std::int64_t at(const RowRun& first) const noexcept {
    return first.image * x.image() + origin + first.line * line_step + first.first * row_step;
  }

  /// The rows of a linear layer over images of this layout.
  [[nodiscard]] static WindowRows linear(const CodeLayout& x) {
    WindowRows rows{.x = x, .images_are_rows = true, .offsets = {}};
    rows.origin = x.at(0, 0);
    rows.row_step = x.image();
    const std::int64_t segments = x.dense() ? 1 : x.h;
    rows.run = x.h * x.w * x.pixel / segments;
    for (std::int64_t s = 0; s < segments; ++s) rows.offsets.push_back(s * x.line());
    return rows;
  }

  struct LineOptions {
    bool may_join = false;  ///< output lines may be joined: nobody needs them apart
  };
  /// The rows of a convolution; the border of `x` is at least its padding.
  [[nodiscard]] static WindowRows convolution(const CodeLayout& x, const ops::Window& window,
                                              const ImageShape& y, const LineOptions& options) {
    WindowRows rows{.x = x, .offsets = {}};
    rows.origin = x.at(-window.padding_h, -window.padding_w);
    rows.line_step = window.stride_h * x.line();
    rows.row_step = window.stride_w * x.pixel;
    rows.lines = y.h;
    rows.line_rows = y.w;
    if (options.may_join && x.dense() && window == ops::Window{}) {
      rows.lines = 1;
      rows.line_rows = y.h * y.w;
    }
    const bool adjacent = window.dilation_w == 1;
    rows.run = (adjacent ? window.kernel_w : 1) * x.pixel;
    for (std::int64_t ky = 0; ky < window.kernel_h; ++ky) {
      for (std::int64_t kx = 0; kx < (adjacent ? 1 : window.kernel_w); ++kx) {
        rows.offsets.push_back(ky * window.dilation_h * x.line() +
                               kx * window.dilation_w * x.pixel);
      }
    }
    return rows;
  }
};

/// Neighbouring tiles of one line, or all tiles of several; a tile is what one kernel call
/// computes.
struct TileRun : LineRun {
  std::int64_t count = 0;  ///< of the tiles of each line

  [[nodiscard]] std::int64_t tiles() const noexcept { return lines * count; }
};

/// The rows of a batch in tiles of at most `most` rows.
class RowTiles {
 public:
  RowTiles(const WindowRows& rows, std::int64_t images, std::int64_t most) noexcept
      : lines_{rows.images_are_rows ? 1 : rows.lines},
        line_rows_{rows.images_are_rows ? images : rows.line_rows},
        line_tiles_{line_rows_, most},
        count_{(rows.images_are_rows ? 1 : images) * lines_ * line_tiles_.count()} {}

  [[nodiscard]] std::int64_t count() const noexcept { return count_; }

  /// Tile i and those after it, before tile `end`: as many as have at most `most` rows together, in
  /// whole lines of one image or in one of the like parts of a line, but at least one.
  [[nodiscard, gnu::always_inline]] TileRun run(std::int64_t i, std::int64_t end,
                                                std::int64_t most) const noexcept {
    const std::int64_t line = i / line_tiles_.count(), first = i % line_tiles_.count();
    const std::int64_t last = std::min(line_tiles_.count(), first + end - i);
    const std::int64_t begin = line_tiles_.begin(first);
    const std::int64_t tiles = line_tiles_.count();
    const std::int64_t largest = std::max(line_tiles_.size(0), line_tiles_.size(tiles - 1));
    const std::int64_t at_once = std::max<std::int64_t>(1, most / largest);
    const std::int64_t parts = (tiles + at_once - 1) / at_once;
    const std::int64_t next = std::min(last, first + (tiles + parts - 1) / parts);
    const bool whole = next - first == line_tiles_.count();
    return {{.rows = {.image = line / lines_,
                      .line = line % lines_,
                      .first = begin,
                      .rows = line_tiles_.begin(next) - begin},
             .lines = whole ? std::min({std::max<std::int64_t>(1, most / line_rows_),
                                        (end - i) / tiles, lines_ - line % lines_})
                            : 1},
            next - first};
  }
  /// The number of the run's first row among all rows.
  [[nodiscard]] std::int64_t row_of(const RowRun& run) const noexcept {
    return (run.image * lines_ + run.line) * line_rows_ + run.first;
  }

 private:
  std::int64_t lines_, line_rows_;
  TileSplit line_tiles_;
  std::int64_t count_;
};

}  // namespace bitdial::inline BITDIAL_ABI
