// SPDX-License-Identifier: Apache-2.0
// Convolution of quantized images with quantized filters in training: the forward sums are exact
// integers, the derivative by the filters reads codes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <bitdial/ops/conv2d.hpp>
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

/// Filters in the order of the integer kernels. The kernels multiply by bytes s with
/// level = factor * s + rest: the levels themselves where they fit a byte, else codes less 128.
class PreparedFilters {
 public:
  explicit PreparedFilters(const CodesView& w) : table_{kernels::active_kernels()} {
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
    const auto panel_bytes =
        static_cast<std::int64_t>(PackedWeightsU8S8::bytes(table_, width, depth));
    memory_ = Tensor<std::byte>({(out + width - 1) / width * panel_bytes}, Uninitialized{});
    tap_sums_ = Tensor<std::int32_t>({w.shape()[1] * w.shape()[2], out}, Uninitialized{});
    const std::int64_t channels = w.shape()[3];
    parallel_for(out, width, [&](std::int64_t begin, std::int64_t end) {
      std::vector<std::int8_t> levels(static_cast<std::size_t>((end - begin) * depth));
      const std::uint8_t* const codes = w.codes.data() + begin * depth;
      for (std::size_t i = 0; i < levels.size(); ++i) {
        levels[i] = static_cast<std::int8_t>(stored.level(codes[i]));
      }
      static_cast<void>(PackedWeightsU8S8::pack(
          table_, MatrixView<const std::int8_t>(levels.data(), end - begin, depth),
          {memory_.data() + begin / width * panel_bytes, static_cast<std::size_t>(panel_bytes)}));
      for (std::int64_t o = begin; o < end; ++o) {
        for (std::int64_t tap = 0; tap < tap_sums_.extent(0); ++tap) {
          const std::uint8_t* const from = w.codes.data() + o * depth + tap * channels;
          tap_sums_[tap * out + o] =
              w.levels.multiplier * static_cast<std::int32_t>(table_.sum_codes(from, channels)) +
              w.levels.offset * static_cast<std::int32_t>(channels);
        }
      }
    });
    packed_ = {reinterpret_cast<const std::int8_t*>(memory_.data()), out, depth};
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
        offset_{static_cast<std::uint32_t>(offset)},
        sums_(static_cast<std::size_t>(filters.packed().n), 0) {}

  /// The sums for output position (i, j), valid until the next call.
  [[nodiscard]] const std::uint32_t* at(std::int64_t i, std::int64_t j) {
    if (offset_ == 0) return sums_.data();
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

 private:
  const PreparedFilters& filters_;
  const PatchGrid& grid_;
  std::uint32_t offset_;
  IndexRange rows_{-1, -1}, columns_{-1, -1};
  std::vector<std::uint32_t> sums_;
};

}  // namespace detail

/// y = s * float(I), I = conv2d of the levels of x and w, s = w.levels.scale * x.levels.scale.
///
/// I is the exact integer sum over the taps inside the image, rounded once to float, and s is the
/// scale of evaluation: y is what evaluation computes before its batch normalisation. Shapes as in
/// `conv2d_forward`. Requires `sums_fit_int32(x, w)`. The same bits on every instruction set and
/// for every thread count. Cost: N OH OW kh kw Cin Cout byte products; memory: 1 byte a weight.
inline void qconv2d_forward(TensorView<float> y, const CodesView& x, const CodesView& w,
                            const Window& window) {
  const Shape expected = conv2d_output_shape(x.shape(), w.shape(), window);
  detail::require_shape("qconv2d", "y", y, expected);
  BITDIAL_ASSERT(sums_fit_int32(x, w));
  const detail::PatchGrid grid = detail::patch_grid(x.shape(), window);
  const detail::PreparedFilters filters(w);
  const PackedWeightsU8S8& packed = filters.packed();
  const std::int64_t out = expected[3];
  const std::vector<float> scale(static_cast<std::size_t>(out), w.levels.scale * x.levels.scale);
  const std::vector<float> zero(static_cast<std::size_t>(out), 0.0F);
  // I = multiplier (factor S + rest R) + offset V: S and R are sums of what the kernel multiplies
  // and of codes, V of levels inside the image. Integers wrap; I fits.
  const auto of_products = static_cast<std::uint32_t>(x.levels.multiplier * filters.factor);
  const auto of_codes = static_cast<std::uint32_t>(x.levels.multiplier * filters.rest);
  const bool is_plain = of_products == 1 && of_codes == 0 && x.levels.offset == 0;

  parallel_for(
      y.size() / out, detail::conv2d_pixel_grain, [&](std::int64_t begin, std::int64_t end) {
        const std::size_t bytes = qgemm_u8s8_scratch_bytes(filters.table(), out, packed.k);
        std::byte* const scratch =
            detail::gemm_scratch<std::byte, 0>(static_cast<std::int64_t>(bytes));
        detail::OffsetSums offsets(filters, grid, x.levels.offset);
        const auto finish = [&](const QgemmTile& tile) {
          std::int32_t whole[detail::qgemm_cols_block];
          for (std::int64_t r = 0; r < tile.rows; ++r) {
            const std::int64_t pixel = begin + tile.row0 + r;
            const std::int32_t* sums = tile.row(r);
            if (!is_plain) {
              const std::uint32_t* const owed =
                  offsets.at(pixel / grid.w.outputs % grid.h.outputs, pixel % grid.w.outputs) +
                  tile.col0;
              const std::uint32_t codes =
                  tile.row_sums == nullptr
                      ? 0
                      : of_codes * static_cast<std::uint32_t>(tile.row_sums[r]);
              detail::map_span(
                  tile.cols, whole,
                  [of_products, codes](std::int32_t sum, std::uint32_t more) {
                    return static_cast<std::int32_t>(of_products * static_cast<std::uint32_t>(sum) +
                                                     codes + more);
                  },
                  sums, owed);
              sums = whole;
            }
            filters.table().requantize({.sums = sums,
                                        .count = tile.cols,
                                        .scale = scale.data() + tile.col0,
                                        .bias = zero.data(),
                                        .y = y.data() + pixel * out + tile.col0});
          }
        };
        qgemm_u8s8(filters.table(), end - begin,
                   [&](std::int64_t row0, MatrixView<std::uint8_t> panel) {
                     detail::gather_patches(x.codes.data(), grid, begin + row0, 0, panel);
                   },
                   packed, finish, {scratch, bytes}, {.row_sums = of_codes != 0});
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
  detail::add_weight_sums(dw, dy.data(), detail::CodedImages<float>{x.codes.data(), x.levels},
                          expected[0], detail::patch_grid(x.shape(), window), products);
}

}  // namespace bitdial::inline BITDIAL_ABI::ops
