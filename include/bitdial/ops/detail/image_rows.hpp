// SPDX-License-Identifier: Apache-2.0
// The rows of an image that some rows of windows read: in place, or copied with zeros beside them,
// from values, codes, or rounded to bfloat16.
#pragma once

#include <algorithm>
#include <cstdint>

#include <bitdial/kernels/active.hpp>
#include <bitdial/ops/detail/patches.hpp>
#include <bitdial/ops/gemm.hpp>
#include <bitdial/quant/levels.hpp>

namespace bitdial::inline BITDIAL_ABI::ops::detail {

/// Output rows of one image that are computed together: their source rows stay in the cache.
struct RowBlocks {
  std::int64_t rows = 1;    ///< of the output, in every block but the last
  std::int64_t blocks = 1;  ///< of one image

  template <class T>
  static RowBlocks of(const PatchGrid& grid) noexcept {
    constexpr std::int64_t source_bytes = 160 << 10, pixels = 1024;
    const std::int64_t row_bytes =
        grid.h.step * grid.w.source * grid.channels * static_cast<std::int64_t>(sizeof(T));
    const std::int64_t most =
        std::clamp(std::min(source_bytes / std::max<std::int64_t>(row_bytes, 1),
                            pixels / std::max<std::int64_t>(grid.w.outputs, 1)),
                   std::int64_t{1}, std::max<std::int64_t>(grid.h.outputs, 1));
    const std::int64_t count = (grid.h.outputs + most - 1) / most;
    return {(grid.h.outputs + count - 1) / count, count};
  }
};

/// The source rows, from the first to the last, that some output row of `of` reads.
[[nodiscard]] constexpr IndexRange rows_read(const PatchAxis& h, IndexRange of) noexcept {
  const std::int64_t begin = std::clamp(of.begin * h.step + h.offset, std::int64_t{0}, h.source);
  const std::int64_t end = (of.end - 1) * h.step + (h.taps - 1) * h.dilation + h.offset + 1;
  return {begin, std::clamp(end, begin, h.source)};
}

/// Images in memory.
template <class T>
struct StoredImages {
  const T* data = nullptr;

  /// The elements from `begin` on, without copying them.
  [[nodiscard]] const T* in_place(std::int64_t begin) const noexcept { return data + begin; }
  void copy(std::int64_t begin, std::int64_t count, T* to) const noexcept {
    std::copy_n(data + begin, count, to);
  }
};

/// Images that exist as codes: their values are computed where rows are copied.
struct CodedImages {
  const std::uint8_t* codes = nullptr;
  IntegerLevels levels;

  [[nodiscard]] const float* in_place(std::int64_t) const noexcept { return nullptr; }
  void copy(std::int64_t begin, std::int64_t count, float* to) const {
    kernels::active_real_kernels().decode({.codes = codes + begin,
                                           .count = count,
                                           .scale = levels.scale,
                                           .multiplier = static_cast<float>(levels.multiplier),
                                           .offset = static_cast<float>(levels.offset),
                                           .y = to});
  }
};

/// Images in memory, rounded to bfloat16 where rows are copied.
struct RoundedImages {
  const float* data = nullptr;

  [[nodiscard]] const std::uint16_t* in_place(std::int64_t) const noexcept { return nullptr; }
  void copy(std::int64_t begin, std::int64_t count, std::uint16_t* to) const noexcept {
    kernels::active_real_kernels().round_bf16({.x = data + begin, .count = count, .y = to});
  }
};

/// The source rows that output rows begin .. end - 1 of image n read, from the first to the last
/// column that a window touches: in place when no window leaves the image sideways, else a copy
/// with zeros in scratch of this thread. Rows above and below the image do not exist.
template <class T>
class WindowRows {
 public:
  /// `slack` elements past the end may be read; with slack the rows are always copied.
  template <class Images>
  WindowRows(const Images& images, std::int64_t n, const PatchGrid& grid, std::int64_t begin,
             std::int64_t end, std::int64_t slack = 0) {
    const PatchAxis& h = grid.h;
    const PatchAxis& w = grid.w;
    const std::int64_t columns = (w.outputs - 1) * w.step + (w.taps - 1) * w.dilation + 1;
    const std::int64_t row_size = w.source * grid.channels;
    const std::int64_t image = n * h.source * row_size;
    if (slack == 0 && w.offset >= 0 && w.offset + columns <= w.source) {
      data_ = images.in_place(image + w.offset * grid.channels);
      pitch_ = row_size;
      if (data_ != nullptr) return;
    }
    const auto [first, last] = rows_read(h, {begin, end});
    first_ = first;
    pitch_ = columns * grid.channels;
    T* to = gemm_scratch<T, 3>((last - first_) * pitch_ + slack);
    data_ = to;
    const std::int64_t low = std::clamp(-w.offset, std::int64_t{0}, columns);
    const std::int64_t high = std::clamp(w.source - w.offset, low, columns);
    for (std::int64_t row = first_; row < last; ++row, to += pitch_) {
      std::fill_n(to, low * grid.channels, T{});
      images.copy(image + row * row_size + (w.offset + low) * grid.channels,
                  (high - low) * grid.channels, to + low * grid.channels);
      std::fill(to + high * grid.channels, to + pitch_, T{});
    }
    std::fill_n(to, slack, T{});
  }

  /// What tap 0 of output column 0 reads in source row `row`.
  [[nodiscard]] const T* row(std::int64_t row) const noexcept {
    return data_ + (row - first_) * pitch_;
  }
  /// Elements between source rows.
  [[nodiscard]] std::int64_t pitch() const noexcept { return pitch_; }

 private:
  const T* data_ = nullptr;
  std::int64_t pitch_ = 0;
  std::int64_t first_ = 0;
};

}  // namespace bitdial::inline BITDIAL_ABI::ops::detail
