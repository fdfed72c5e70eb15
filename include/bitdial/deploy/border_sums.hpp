// SPDX-License-Identifier: Apache-2.0
// What zero padding owes when code 0 does not mean 0: per output pixel, the sum of the weight
// levels whose taps lie inside the image.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <bitdial/core/heap_bytes.hpp>
#include <bitdial/deploy/network_check.hpp>
#include <bitdial/ops/window.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// With activation levels m u + o, code 0 stored in padded places, and o != 0:
/// I = m * sum(L_w * u) + o * sum over valid taps of L_w.
///
/// The second term depends only on which kernel rows and columns fall inside the image, so output
/// rows and columns are sorted into classes, and there is one vector of `cout` integers per pair of
/// classes: `o * sum`, ready to be added. Integers wrap modulo 2^32; the final I fits, so it is
/// exact.
class BorderSums {
 public:
  BorderSums() = default;

  /// Sorts the output pixels; the sums come with `fill`.
  BorderSums(const ops::Window& window, const ImageShape& x, const ImageShape& y)
      : cout_{y.c}, kernel_w_{window.kernel_w} {
    rows_ = classify({window.kernel_h, window.stride_h, window.padding_h, window.dilation_h, x.h},
                     y.h, row_class_);
    cols_ = classify({window.kernel_w, window.stride_w, window.padding_w, window.dilation_w, x.w},
                     y.w, col_class_);
  }

  /// True when nothing is owed.
  [[nodiscard]] bool empty() const noexcept { return rows_.empty(); }
  /// True when all pixels owe the same, as where no window leaves the image.
  [[nodiscard]] bool is_constant() const noexcept { return rows_.size() * cols_.size() == 1; }
  [[nodiscard]] std::size_t heap_bytes() const noexcept {
    return bitdial::heap_bytes(rows_) + bitdial::heap_bytes(cols_) +
           bitdial::heap_bytes(row_class_) + bitdial::heap_bytes(col_class_);
  }
  /// How many sums there are.
  [[nodiscard]] std::size_t size() const noexcept {
    return rows_.size() * cols_.size() * static_cast<std::size_t>(cout_);
  }

  /// Computes the sums into `memory`, `size()` integers that must outlive this object. `tap_sums`
  /// is [kernel_h * kernel_w][cout].
  void fill(std::span<const std::int32_t> tap_sums, std::int32_t offset, std::uint32_t* memory) {
    sums_ = memory;
    std::fill_n(memory, size(), 0U);
    const auto factor = static_cast<std::uint32_t>(offset);
    for (const Taps& row : rows_) {
      for (const Taps& col : cols_) {
        for (std::int64_t ky = row.begin; ky < row.end; ++ky) {
          for (std::int64_t kx = col.begin; kx < col.end; ++kx) {
            const std::int32_t* const tap = tap_sums.data() + (ky * kernel_w_ + kx) * cout_;
            for (std::int64_t c = 0; c < cout_; ++c) {
              memory[c] += factor * static_cast<std::uint32_t>(tap[c]);
            }
          }
        }
        memory += cout_;
      }
    }
  }

  /// The `cout` integers of output pixel (oy, ox).
  [[nodiscard]] const std::uint32_t* at(std::int64_t oy, std::int64_t ox) const noexcept {
    const std::int64_t pair = std::int64_t{row_class_[static_cast<std::size_t>(oy)]} *
                                  static_cast<std::int64_t>(cols_.size()) +
                              col_class_[static_cast<std::size_t>(ox)];
    return sums_ + pair * cout_;
  }

 private:
  struct Axis {
    std::int64_t kernel, stride, padding, dilation, extent;
  };
  /// The taps begin .. end - 1 of an axis lie inside the image; they are always contiguous.
  struct Taps {
    std::int64_t begin = 0, end = 0;
    friend bool operator==(const Taps&, const Taps&) = default;
  };

  /// The distinct tap ranges along an axis, and for each output position the index of its own.
  [[nodiscard]] static std::vector<Taps> classify(const Axis& axis, std::int64_t outputs,
                                                  std::vector<std::int32_t>& class_of) {
    std::vector<Taps> classes;
    for (std::int64_t o = 0; o < outputs; ++o) {
      const std::int64_t first = o * axis.stride - axis.padding;
      Taps taps;
      while (taps.begin < axis.kernel && first + taps.begin * axis.dilation < 0) ++taps.begin;
      taps.end = taps.begin;
      while (taps.end < axis.kernel && first + taps.end * axis.dilation < axis.extent) ++taps.end;
      const auto found = std::ranges::find(classes, taps);
      class_of.push_back(static_cast<std::int32_t>(found - classes.begin()));
      if (found == classes.end()) classes.push_back(taps);
    }
    return classes;
  }

  std::int64_t cout_ = 0, kernel_w_ = 1;
  std::vector<Taps> rows_, cols_;  ///< the classes
  std::vector<std::int32_t> row_class_, col_class_;
  const std::uint32_t* sums_ = nullptr;  ///< [row class][column class][cout]
};

}  // namespace bitdial::inline BITDIAL_ABI
