// SPDX-License-Identifier: Apache-2.0
// The sums of the codes in the windows of a convolution, from the sums of its pixels.
#pragma once

#include <algorithm>
#include <cstdint>

#include <bitdial/kernels/kernel_table.hpp>
#include <bitdial/ops/detail/elementwise.hpp>
#include <bitdial/ops/detail/image_rows.hpp>
#include <bitdial/ops/detail/patches.hpp>
#include <bitdial/ops/gemm.hpp>

namespace bitdial::inline BITDIAL_ABI::ops::detail {

/// The sums over the windows of one output row after the other. Cost: one pass over the codes, and
/// an addition for each tap of an output pixel.
class WindowSums {
 public:
  /// For output rows `of`.
  WindowSums(const PatchGrid& grid, IndexRange of)
      : grid_{grid},
        columns_{(grid.w.outputs - 1) * grid.w.step + (grid.w.taps - 1) * grid.w.dilation + 1},
        source_{rows_read(grid.h, of)} {}

  /// Sums the pixels of the source rows; before it there are no sums.
  void add_pixels(const kernels::KernelTable& table, const WindowRows<std::uint8_t>& rows) {
    std::int32_t* to = gemm_scratch<std::int32_t, 8>((source_.end - source_.begin) * columns_);
    pixels_ = to;
    for (std::int64_t row = source_.begin; row < source_.end; ++row, to += columns_) {
      table.sum_rows({.codes = rows.row(row),
                      .rows = columns_,
                      .stride = grid_.channels,
                      .count = grid_.channels,
                      .sums = to});
    }
  }

  /// One sum per output pixel of row i, valid until the next call; null where there are none.
  [[nodiscard]] const std::int32_t* row(std::int64_t i) const {
    if (pixels_ == nullptr) return nullptr;
    const PatchAxis& h = grid_.h;
    const PatchAxis& w = grid_.w;
    std::int32_t* const sums = gemm_scratch<std::int32_t, 9>(w.outputs);
    std::fill_n(sums, w.outputs, 0);
    const IndexRange taps = taps_inside(h, i);
    for (std::int64_t tap = taps.begin; tap < taps.end; ++tap) {
      const std::int64_t row = i * h.step + tap * h.dilation + h.offset;
      const std::int32_t* const pixels = pixels_ + (row - source_.begin) * columns_;
      for (std::int64_t k = 0; k < w.taps; ++k) {
        const std::int32_t* const first = pixels + k * w.dilation;
        if (w.step == 1) {
          map_span(
              w.outputs, sums, [](std::int32_t a, std::int32_t b) { return a + b; }, sums, first);
        } else {
          for (std::int64_t j = 0; j < w.outputs; ++j) sums[j] += first[j * w.step];
        }
      }
    }
    return sums;
  }

 private:
  const PatchGrid& grid_;
  std::int64_t columns_;
  IndexRange source_;
  const std::int32_t* pixels_ = nullptr;
};

}  // namespace bitdial::inline BITDIAL_ABI::ops::detail
