// SPDX-License-Identifier: Apache-2.0
// Convolution of quantized images with quantized filters in training: the forward sums are exact
// integers, the derivative by the filters reads codes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <bitdial/core/tile_split.hpp>
#include <bitdial/ops/channel_moments.hpp>
#include <bitdial/ops/conv2d.hpp>
#include <bitdial/ops/detail/image_rows.hpp>
#include <bitdial/ops/detail/window_sums.hpp>
#include <bitdial/ops/qgemm.hpp>
#include <bitdial/quant/levels.hpp>

namespace bitdial::inline BITDIAL_ABI::ops {

/// A quantized tensor: codes 0 .. 2^bits - 1, bits at most 8, and what they stand for.
struct CodesView {
  TensorView<const std::uint8_t> codes;
  IntegerLevels levels;
  int bits = 8;

  [[nodiscard]] const Shape& shape() const noexcept { return codes.shape(); }
  /// The largest magnitude of a level.
  [[nodiscard]] std::int64_t largest_level() const noexcept {
    const std::int64_t first = levels.level(0);
    const std::int64_t last = levels.level((1 << bits) - 1);
    return std::max({first, -first, last, -last});
  }
};

/// True if no sum of products of levels of x and w can leave 32 bits.
[[nodiscard]] inline bool sums_fit_int32(const CodesView& x, const CodesView& w) noexcept {
  const std::int64_t depth = w.shape()[0] == 0 ? 0 : w.shape().size() / w.shape()[0];
  return depth * std::max<std::int64_t>(x.largest_level(), 255) *
             std::max<std::int64_t>(w.largest_level(), 128) <
         std::int64_t{1} << 31;
}

namespace detail {

/// The runs of a window that lie in a row of the image without gaps: the kernel's rows, or single
/// taps where these are dilated.
[[nodiscard]] constexpr std::int64_t segments_per_row(const PatchGrid& grid) noexcept {
  return grid.w.dilation == 1 ? 1 : grid.w.taps;
}

/// Filters in the order of the integer kernels. The kernels multiply by bytes s with
/// level = factor * s + rest: the levels themselves where they fit a byte, else codes less 128.
class PreparedFilters {
 public:
  PreparedFilters(const CodesView& w, std::int64_t segments) : table_{kernels::active_kernels()} {
    const std::int64_t out = w.shape()[0];
    const std::int64_t depth = w.shape().size() / out;
    const std::int32_t ends[] = {w.levels.level(0), w.levels.level((1 << w.bits) - 1)};
    const bool are_levels = std::max(ends[0], ends[1]) <= 127 && std::min(ends[0], ends[1]) >= -128;
    const IntegerLevels stored = are_levels ? w.levels : IntegerLevels{1.0F, 1, -128};
    if (!are_levels) {
      factor = w.levels.multiplier;
      rest = w.levels.level(128);
    }
    const std::int64_t width = table_.gemm_u8s8.cols;
    memory_ = Tensor<std::byte>(
        {static_cast<std::int64_t>(PackedWeightsU8S8::bytes(table_, out, depth, segments))},
        Uninitialized{});
    packed_ = {reinterpret_cast<const std::int8_t*>(memory_.data()), out, depth, segments};
    tap_sums_ = Tensor<std::int32_t>({w.shape()[1] * w.shape()[2], out}, Uninitialized{});
    const std::int64_t channels = w.shape()[3];
    // Of each panel; other kernels add no pairs.
    std::vector<std::int64_t> largest_pairs(static_cast<std::size_t>((out + width - 1) / width),
                                            packed_.largest_pair);
    parallel_for(out, width, [&](std::int64_t begin, std::int64_t end) {
      std::vector<std::int8_t> levels(static_cast<std::size_t>((end - begin) * depth));
      const std::uint8_t* const codes = w.codes.data() + begin * depth;
      // Levels modulo 2^8: bytes suffice.
      const auto multiplier = static_cast<std::uint8_t>(stored.multiplier);
      const auto offset = static_cast<std::uint8_t>(stored.offset);
      detail::map_span(
          static_cast<std::int64_t>(levels.size()), levels.data(),
          [multiplier, offset](std::uint8_t code) {
            return static_cast<std::int8_t>(static_cast<std::uint8_t>(multiplier * code + offset));
          },
          codes);
      packed_.pack_columns(table_, MatrixView<const std::int8_t>(levels.data(), end - begin, depth),
                           begin, memory_.data());
      if (table_.reads_short_runs) {
        largest_pairs[static_cast<std::size_t>(begin / width)] =
            packed_.find_pairs(table_, end - begin, begin, memory_.data());
      }
      for (std::int64_t o = begin; o < end; ++o) {
        for (std::int64_t tap = 0; tap < tap_sums_.extent(0); ++tap) {
          const std::uint8_t* const from = w.codes.data() + o * depth + tap * channels;
          tap_sums_[tap * out + o] =
              w.levels.multiplier * static_cast<std::int32_t>(table_.sum_codes(from, channels)) +
              w.levels.offset * static_cast<std::int32_t>(channels);
        }
      }
    });
    packed_.largest_pair = *std::max_element(largest_pairs.begin(), largest_pairs.end());
  }

  [[nodiscard]] const kernels::KernelTable& table() const noexcept { return table_; }
  [[nodiscard]] const PackedWeightsU8S8& packed() const noexcept { return packed_; }
  /// The sums of the levels of one tap over the input channels, one per filter.
  [[nodiscard]] const std::int32_t* tap_sums(std::int64_t tap) const noexcept {
    return tap_sums_.data() + tap * packed_.n;
  }

  std::int32_t factor = 1;
  std::int32_t rest = 0;

 private:
  const kernels::KernelTable& table_;
  Tensor<std::byte> memory_;
  Tensor<std::int32_t> tap_sums_;
  PackedWeightsU8S8 packed_;
};

/// offset * (sum of the filters' levels over the taps inside the image), for one output pixel
/// after the other: what levels multiplier * u + offset owe to their offset.
class OffsetSums {
 public:
  OffsetSums(const PreparedFilters& filters, const PatchGrid& grid, std::int32_t offset)
      : filters_{filters},
        grid_{grid},
        whole_{ceil_div(-grid.w.offset, grid.w.step),
               ceil_div(grid.w.source - (grid.w.taps - 1) * grid.w.dilation - grid.w.offset,
                        grid.w.step)},
        offset_{static_cast<std::uint32_t>(offset)},
        sums_(static_cast<std::size_t>(offset == 0 ? 0 : filters.packed().n), 0) {}

  /// The sums for output position (i, j), valid until the next call; null where all are zero.
  [[nodiscard]] const std::uint32_t* at(std::int64_t i, std::int64_t j) {
    if (offset_ == 0) return nullptr;
    const IndexRange rows = taps_inside(grid_.h, i);
    const IndexRange columns = taps_inside(grid_.w, j);
    if (rows == rows_ && columns == columns_) return sums_.data();
    rows_ = rows;
    columns_ = columns;
    std::fill(sums_.begin(), sums_.end(), 0U);
    for (std::int64_t row = rows.begin; row < rows.end; ++row) {
      for (std::int64_t column = columns.begin; column < columns.end; ++column) {
        const std::int32_t* const tap = filters_.tap_sums(row * grid_.w.taps + column);
        for (std::size_t o = 0; o < sums_.size(); ++o) {
          sums_[o] += offset_ * static_cast<std::uint32_t>(tap[o]);
        }
      }
    }
    return sums_.data();
  }

  /// The first column behind j that may owe something else: windows wholly inside owe the same.
  [[nodiscard]] std::int64_t next(std::int64_t j) const noexcept {
    return whole_.begin <= j && j < whole_.end ? whole_.end : j + 1;
  }

 private:
  const PreparedFilters& filters_;
  const PatchGrid& grid_;
  IndexRange whole_;
  std::uint32_t offset_;
  IndexRange rows_{-1, -1}, columns_{-1, -1};
  std::vector<std::uint32_t> sums_;
};

/// y = scale * float(I) for output rows of single images. Windows are read where the image's rows
/// lie, or in a copy of these with zeros beside them.
///
/// I = multiplier (factor S + rest R) + offset V: S and R are sums of what the kernel multiplies
/// and of codes, V of levels inside the image. Integers wrap; I fits.
class IntegerWindows {
 public:
  /// `y` [N, OH, OW, Cout]; all arguments must stay valid.
  IntegerWindows(float* y, const CodesView& x, const PreparedFilters& filters,
                 const PatchGrid& grid, float scale)
      : y_{y},
        x_{x},
        filters_{filters},
        grid_{grid},
        of_products_{static_cast<std::uint32_t>(x.levels.multiplier * filters.factor)},
        of_codes_{static_cast<std::uint32_t>(x.levels.multiplier * filters.rest)} {
    const auto& kernel = filters.table().gemm_u8s8;
    const PackedWeightsU8S8& packed = filters.packed();
    const std::int64_t fitting = filter_bytes / std::max<std::int64_t>(1, packed.k);
    cols_ = std::min(round_up(packed.n, kernel.cols),
                     std::clamp(fitting / kernel.cols * kernel.cols, kernel.cols, most_cols));
    most_tiles_ = std::max<std::int64_t>(1, most_sums / (cols_ * kernel.rows));
    scale_.assign(static_cast<std::size_t>(cols_), scale);
    zero_.assign(scale_.size(), 0.0F);
  }

  /// Output rows `of` of image n.
  void run(std::int64_t n, IndexRange of) const {
    const PatchAxis& h = grid_.h;
    const PackedWeightsU8S8& packed = filters_.packed();
    // The kernel reads groups of four codes.
    const std::int64_t slack = 4 * packed.groups() - packed.k / packed.segments;
    const WindowRows<std::uint8_t> rows(StoredImages<std::uint8_t>{x_.codes.data()}, n, grid_,
                                        of.begin, of.end, slack);
    std::int64_t* const offsets = gemm_scratch<std::int64_t, 0>(packed.segments);
    const std::int64_t in_row = segments_per_row(grid_);
    for (std::int64_t s = 0; s < packed.segments; ++s) {
      offsets[s] =
          s / in_row * h.dilation * rows.pitch() + s % in_row * grid_.w.dilation * grid_.channels;
    }
    WindowSums sums(grid_, of);
    if (of_codes_ != 0) sums.add_pixels(filters_.table(), rows);
    OffsetSums owed(filters_, grid_, x_.levels.offset);
    for (std::int64_t col = 0; col < packed.n; col += cols_) {
      for (std::int64_t i = of.begin; i < of.end; ++i) {
        row(n, i, rows, offsets, sums.row(i), owed, {col, std::min(packed.n, col + cols_)});
      }
    }
  }

 private:
  /// Filters that every tile reads again stay in the second-level cache, their sums in the first.
  static constexpr std::int64_t filter_bytes = 256 << 10, most_cols = 256, most_sums = 1 << 12;

  /// Output row i of image n, channels `cols`.
  void row(std::int64_t n, std::int64_t i, const WindowRows<std::uint8_t>& rows,
           const std::int64_t* offsets, const std::int32_t* code_sums, OffsetSums& owed,
           IndexRange cols) const {
    const auto& kernel = filters_.table().gemm_u8s8;
    const PackedWeightsU8S8& packed = filters_.packed();
    const PatchAxis& h = grid_.h;
    const PatchAxis& w = grid_.w;
    const IndexRange taps = taps_inside(h, i);
    const std::int64_t skipped = taps.begin * segments_per_row(grid_);
    const std::uint8_t* const a = rows.row(i * h.step + taps.begin * h.dilation + h.offset);
    float* const y = y_ + (n * h.outputs + i) * w.outputs * packed.n + cols.begin;
    const std::int64_t most_rows = most_tiles_ * kernel.rows;
    std::int32_t* const sums = gemm_scratch<std::int32_t, 10>(most_rows * (cols_ + 1));
    std::int32_t* const terms = sums + most_rows * cols_;
    const TileSplit tiles(w.outputs, kernel.rows);
    kernels::GemmU8S8Tile t{.groups = packed.groups(),
                            .a_stride = w.step * grid_.channels,
                            .c_stride = cols_,
                            .segments = (taps.end - taps.begin) * segments_per_row(grid_),
                            .offsets = offsets,
                            .short_groups = packed.short_groups((1 << x_.bits) - 1)};
    kernels::Requantize values{.cols = cols.end - cols.begin,
                               .sums = sums,
                               .sums_stride = cols_,
                               .scale = scale_.data(),
                               .bias = zero_.data(),
                               .factor = of_products_,
                               .row_terms = code_sums == nullptr ? nullptr : terms,
                               .y = y,
                               .y_stride = packed.n};
    for (std::int64_t tile = 0, next = 0; tile < tiles.count(); tile = next) {
      next = std::max(tile + 1, std::min(tile + most_tiles_, tiles.whole()));
      const std::int64_t j = tiles.begin(tile), end = tiles.begin(next);
      t.rows = end - j;
      t.a = a + j * w.step * grid_.channels;
      for (std::int64_t col = cols.begin; col < cols.end; col += kernel.cols) {
        t.cols = std::min(kernel.cols, cols.end - col);
        t.b = packed.panel(filters_.table(), col, skipped);
        t.c = sums + (col - cols.begin);
        t.short_runs = packed.short_runs(filters_.table(), col, skipped);
        kernel.run(t);
      }
      for (std::int64_t r = j; code_sums != nullptr && r < end; ++r) {
        terms[r - j] =
            static_cast<std::int32_t>(of_codes_ * static_cast<std::uint32_t>(code_sums[r]));
      }
      // Together, as long as they owe the same.
      for (std::int64_t r = j; r < end; r += values.rows) {
        const std::uint32_t* const more = owed.at(i, r);
        values.rows = (more == nullptr ? end : std::min(end, owed.next(r))) - r;
        values.column_terms = more == nullptr ? nullptr : more + cols.begin;
        values.sums = sums + (r - j) * cols_;
        values.y = y + r * packed.n;
        if (code_sums != nullptr) values.row_terms = terms + (r - j);
        filters_.table().requantize(values);
      }
    }
  }

  float* y_;
  const CodesView& x_;
  const PreparedFilters& filters_;
  const PatchGrid& grid_;
  std::uint32_t of_products_, of_codes_;
  std::int64_t cols_ = 0, most_tiles_ = 1;  // that are computed at once
  std::vector<float> scale_, zero_;
};

}  // namespace detail

/// y = s * float(I), I = conv2d of the levels of x and w, s = w.levels.scale * x.levels.scale.
///
/// I is the exact integer sum over the taps inside the image, rounded once to float, and s is the
/// scale of evaluation: y is what evaluation computes before its batch normalisation. Shapes as in
/// `conv2d_forward`. Requires `sums_fit_int32(x, w)`. The same bits on every instruction set and
/// for every thread count. Cost: N OH OW kh kw Cin Cout byte products; memory: 1 byte a weight.
/// `moments`, where they are wanted, become those of y.
inline void qconv2d_forward(TensorView<float> y, const CodesView& x, const CodesView& w,
                            const Window& window, ChannelMoments* moments = nullptr) {
  const Shape expected = conv2d_output_shape(x.shape(), w.shape(), window);
  detail::require_shape("qconv2d", "y", y, expected);
  BITDIAL_ASSERT(sums_fit_int32(x, w));
  const detail::PatchGrid grid = detail::with_joined_lines(detail::patch_grid(x.shape(), window));
  const detail::PreparedFilters filters(w, grid.h.taps * detail::segments_per_row(grid));
  const detail::IntegerWindows windows(y.data(), x, filters, grid, w.levels.scale * x.levels.scale);
  const auto split = detail::RowBlocks::of<std::uint8_t>(grid);
  if (moments != nullptr) moments->start(expected[0] * split.blocks, expected[3]);
  parallel_for(expected[0] * split.blocks, 1, [&](std::int64_t item, std::int64_t) {
    const std::int64_t n = item / split.blocks, begin = item % split.blocks * split.rows;
    const std::int64_t end = std::min(begin + split.rows, grid.h.outputs);
    windows.run(n, {begin, end});
    if (moments == nullptr) return;
    const std::int64_t pixel = (n * grid.h.outputs + begin) * grid.w.outputs;
    moments->add(item, (end - begin) * grid.w.outputs, y.data() + pixel * expected[3]);
  });
}

/// dw[o, kh, kw, i] += sum over images and outputs of dy[n, oh, ow, o] x[n, the tap's pixel, i]:
/// the bits of `conv2d_backward_weight` on the values of x, which are computed from its codes row
/// by row in the cache.
inline void qconv2d_backward_weight(TensorView<float> dw, TensorView<const float> dy,
                                    const CodesView& x, const Window& window,
                                    Products products = Products::f32) {
  const Shape expected = conv2d_output_shape(x.shape(), dw.shape(), window);
  detail::require_shape("qconv2d_backward_weight", "dw", dw, dw.shape());
  detail::require_shape("qconv2d_backward_weight", "dy", dy, expected);
  detail::all_weight_sums(dw, dy.data(), detail::CodedImages{x.codes.data(), x.levels}, expected[0],
                          detail::patch_grid(x.shape(), window), products, {.accumulate = true});
}

}  // namespace bitdial::inline BITDIAL_ABI::ops
