// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution of channels-last images: one small filter per channel, and its two
// derivatives.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include <bitdial/core/parallel.hpp>
#include <bitdial/kernels/active.hpp>
#include <bitdial/ops/conv2d.hpp>
#include <bitdial/ops/detail/check.hpp>
#include <bitdial/ops/detail/patches.hpp>
#include <bitdial/ops/window.hpp>

namespace bitdial::inline BITDIAL_ABI::ops {

/// The output shape `[N, OH, OW, C]` of a depthwise convolution of x `[N, H, W, C]` with w
/// `[C, kh, kw, 1]`, C at least 1; throws `ShapeError` when they do not fit together.
[[nodiscard]] inline Shape depthwise_conv2d_output_shape(const Shape& x, const Shape& w,
                                                         const Window& window) {
  if (x.rank() != 4)
    throw ShapeError(concat("depthwise_conv2d: x must be [N, H, W, C], it is ", x));
  if (w.rank() != 4 || w[3] != 1) {
    throw ShapeError(concat("depthwise_conv2d: weight must be [C, kh, kw, 1], it is ", w));
  }
  if (x[3] != w[0]) {
    throw ShapeError(
        concat("depthwise_conv2d: weight ", w, " expects ", w[0], " channels, x is ", x));
  }
  return conv2d_output_shape({x[0], x[1], x[2], 1}, w, window);
}

namespace detail {

/// The taps first .. last - 1 of an axis that lie inside the source, for outputs begin .. end - 1.
struct TapRange {
  std::int64_t begin = 0, end = 0;
  std::int64_t first = 0, last = 0;
};

[[nodiscard]] constexpr TapRange tap_range(const PatchAxis& axis, std::int64_t output) noexcept {
  const auto [first, last] = taps_inside(axis, output);
  return {output, output + 1, first, last};
}

/// All outputs of an axis in runs that see the same taps.
[[nodiscard]] inline std::vector<TapRange> tap_ranges(const PatchAxis& axis) {
  std::vector<TapRange> ranges;
  for (std::int64_t output = 0; output < axis.outputs; ++output) {
    const TapRange range = tap_range(axis, output);
    if (!ranges.empty() && ranges.back().first == range.first && ranges.back().last == range.last) {
      ranges.back().end = range.end;
    } else {
      ranges.push_back(range);
    }
  }
  return ranges;
}

/// Filters [C, taps] as one row of C weights per tap, the layout of the depthwise kernels.
template <class T>
[[nodiscard]] std::vector<T> transposed_filters(const T* w, std::int64_t channels,
                                                std::int64_t taps) {
  std::vector<T> rows(static_cast<std::size_t>(channels * taps));
  for (std::int64_t c = 0; c < channels; ++c) {
    for (std::int64_t t = 0; t < taps; ++t) {
      rows[static_cast<std::size_t>(t * channels + c)] = w[c * taps + t];
    }
  }
  return rows;
}

/// Calls run(range of columns, pointers into `source`) for output row `row`, once for each run of
/// columns that see the same taps; visits those in order, adding what `tap(th, tw)` returns to
/// `operands`.
template <class T, class Operand>
class DepthwiseRows {
 public:
  DepthwiseRows(const PatchGrid& grid) : grid_{grid}, columns_{tap_ranges(grid.w)} {}

  template <class Tap, class Run>
  void visit(const T* source, std::int64_t row, const Tap& tap, const Run& run) {
    const PatchAxis& h = grid_.h;
    const PatchAxis& w = grid_.w;
    const TapRange rows = tap_range(h, row);
    for (const TapRange& columns : columns_) {
      inputs_.clear();
      operands_.clear();
      for (std::int64_t th = rows.first; th < rows.last; ++th) {
        const std::int64_t y = row * h.step + th * h.dilation + h.offset;
        for (std::int64_t tw = columns.first; tw < columns.last; ++tw) {
          const std::int64_t x = columns.begin * w.step + tw * w.dilation + w.offset;
          inputs_.push_back(source + (y * w.source + x) * grid_.channels);
          operands_.push_back(tap(th, tw));
        }
      }
      run(columns, inputs_, operands_);
    }
  }

 private:
  const PatchGrid& grid_;
  std::vector<TapRange> columns_;
  std::vector<const T*> inputs_;
  std::vector<Operand*> operands_;
};

template <class T>
void depthwise_taps(const kernels::DepthwiseTaps<T>& operands) {
  if constexpr (std::is_same_v<T, float>) {
    kernels::active_real_kernels().depthwise_taps(operands);
  } else {
    kernels::scalar::depthwise_taps(operands);
  }
}

template <class T>
void depthwise_weight_sums(const kernels::DepthwiseWeightSums<T>& operands) {
  if constexpr (std::is_same_v<T, float>) {
    kernels::active_real_kernels().depthwise_weight_sums(operands);
  } else {
    kernels::scalar::depthwise_weight_sums(operands);
  }
}

/// Rows of a depthwise result per parallel chunk.
[[nodiscard]] inline std::int64_t depthwise_row_grain(std::int64_t row_size) noexcept {
  return std::max<std::int64_t>(1, (1 << 15) / std::max<std::int64_t>(1, row_size));
}

}  // namespace detail

/// y[n, oh, ow, c] = sum over taps (kh, kw) inside the image of
///   x[n, oh stride_h + kh dilation_h - padding_h, ow ..., c] w[c, kh, kw, 0].
///
/// Shapes: x [N, H, W, C], w [C, kh, kw, 1], y as `depthwise_conv2d_output_shape`; contiguous.
/// Each output is one chain of fused multiply-adds in the order of w's elements: exact for integer
/// values while the sum of magnitudes is at most 2^24 (float); for float the same bits on every
/// instruction set. Cost: N OH OW C kh kw multiply-adds at about the rate of the caches.
template <class T>
void depthwise_conv2d_forward(TensorView<T> y, TensorView<const std::type_identity_t<T>> x,
                              TensorView<const std::type_identity_t<T>> w, const Window& window) {
  const Shape expected = depthwise_conv2d_output_shape(x.shape(), w.shape(), window);
  detail::require_shape("depthwise_conv2d", "y", y, expected);
  detail::require_shape("depthwise_conv2d", "x", x, x.shape());
  detail::require_shape("depthwise_conv2d", "weight", w, w.shape());
  const std::int64_t channels = expected[3];
  const std::int64_t row_size = expected[2] * channels;
  const detail::PatchGrid grid = detail::patch_grid(x.shape(), window);
  const std::vector<T> filters = detail::transposed_filters(w.data(), channels, window.taps());
  parallel_for(
      expected[0] * expected[1], detail::depthwise_row_grain(row_size),
      [&](std::int64_t begin, std::int64_t end) {
        detail::DepthwiseRows<T, const T> rows(grid);
        const auto filter = [&](std::int64_t th, std::int64_t tw) {
          return filters.data() + (th * window.kernel_w + tw) * channels;
        };
        for (std::int64_t row = begin; row < end; ++row) {
          const T* const image =
              x.data() + row / expected[1] * x.extent(1) * x.extent(2) * channels;
          rows.visit(image, row % expected[1], filter,
                     [&](const detail::TapRange& columns, const auto& inputs, const auto& weights) {
                       detail::depthwise_taps<T>(
                           {.pixels = columns.end - columns.begin,
                            .channels = channels,
                            .taps = static_cast<std::int64_t>(inputs.size()),
                            .x = inputs.data(),
                            .x_step = window.stride_w * channels,
                            .w = weights.data(),
                            .y = y.data() + row * row_size + columns.begin * channels,
                            .y_step = channels});
                     });
        }
      });
}

/// dx[n, ih, iw, c] += sum over the taps of w[c] that read this pixel of their dy times the tap.
///
/// Shapes as in `depthwise_conv2d_forward`. With strides, the pixels of dx fall into stride_h x
/// stride_w phases, each a depthwise convolution of dy with stride 1: nothing is multiplied by
/// zeros. Each output is one chain of fused multiply-adds that starts from dx. Products are f32.
template <class T>
void depthwise_conv2d_backward_input(TensorView<T> dx, TensorView<const std::type_identity_t<T>> dy,
                                     TensorView<const std::type_identity_t<T>> w,
                                     const Window& window, GradientOptions options = {}) {
  const Shape expected = depthwise_conv2d_output_shape(dx.shape(), w.shape(), window);
  detail::require_shape("depthwise_conv2d_backward_input", "dy", dy, expected);
  detail::require_shape("depthwise_conv2d_backward_input", "dx", dx, dx.shape());
  detail::require_shape("depthwise_conv2d_backward_input", "weight", w, w.shape());
  const std::int64_t channels = expected[3];
  const bool overwrites = options.overwrites(window);
  if (!options.accumulate && !overwrites) {
    detail::map(dx.size(), dx.data(), [] { return T{0}; });
  }
  const std::vector<T> filters = detail::transposed_filters(w.data(), channels, window.taps());
  for (std::int64_t phase_h = 0; phase_h < std::min(window.stride_h, dx.extent(1)); ++phase_h) {
    const detail::InputPhase v(phase_h, dx.extent(1), expected[1], window.kernel_h, window.stride_h,
                               window.padding_h, window.dilation_h);
    for (std::int64_t phase_w = 0; phase_w < std::min(window.stride_w, dx.extent(2)); ++phase_w) {
      const detail::InputPhase h(phase_w, dx.extent(2), expected[2], window.kernel_w,
                                 window.stride_w, window.padding_w, window.dilation_w);
      if (v.empty() || h.empty()) continue;
      const detail::PatchGrid grid{.h = v.axis, .w = h.axis, .channels = channels};
      parallel_for(
          expected[0] * v.axis.outputs, detail::depthwise_row_grain(h.axis.outputs * channels),
          [&](std::int64_t begin, std::int64_t end) {
            detail::DepthwiseRows<T, const T> rows(grid);
            const auto filter = [&](std::int64_t th, std::int64_t tw) {
              return filters.data() + (v.tap(th) * window.kernel_w + h.tap(tw)) * channels;
            };
            for (std::int64_t row = begin; row < end; ++row) {
              const std::int64_t n = row / v.axis.outputs;
              const std::int64_t i = row % v.axis.outputs;
              const std::int64_t dx_row = n * dx.extent(1) + i * window.stride_h + phase_h;
              rows.visit(
                  dy.data() + n * expected[1] * expected[2] * channels, i, filter,
                  [&](const detail::TapRange& columns, const auto& inputs, const auto& weights) {
                    const std::int64_t column = columns.begin * window.stride_w + phase_w;
                    detail::depthwise_taps<T>(
                        {.pixels = columns.end - columns.begin,
                         .channels = channels,
                         .taps = static_cast<std::int64_t>(inputs.size()),
                         .x = inputs.data(),
                         .x_step = channels,
                         .w = weights.data(),
                         .y = dx.data() + (dx_row * dx.extent(2) + column) * channels,
                         .y_step = window.stride_w * channels,
                         .accumulate = !overwrites});
                  });
            }
          });
    }
  }
}

/// dw[c, kh, kw, 0] += sum over images and outputs of dy[n, oh, ow, c] x[n, the tap's pixel, c].
///
/// Shapes as in `depthwise_conv2d_forward`. At most 16 chunks of images have a partial sum each,
/// a chain of fused multiply-adds over pixels in order; they are added in order: the same bits for
/// every thread count.
template <class T>
void depthwise_conv2d_backward_weight(TensorView<T> dw,
                                      TensorView<const std::type_identity_t<T>> dy,
                                      TensorView<const std::type_identity_t<T>> x,
                                      const Window& window) {
  const Shape expected = depthwise_conv2d_output_shape(x.shape(), dw.shape(), window);
  detail::require_shape("depthwise_conv2d_backward_weight", "dw", dw, dw.shape());
  detail::require_shape("depthwise_conv2d_backward_weight", "dy", dy, expected);
  detail::require_shape("depthwise_conv2d_backward_weight", "x", x, x.shape());
  const std::int64_t images = expected[0];
  if (images == 0) return;
  const std::int64_t channels = expected[3];
  const detail::PatchGrid grid = detail::patch_grid(x.shape(), window);
  const std::int64_t grain =
      (images + detail::conv2d_max_partials - 1) / detail::conv2d_max_partials;
  const std::int64_t chunks = (images + grain - 1) / grain;
  std::vector<T> partial(static_cast<std::size_t>(chunks * dw.size()));
  parallel_for(images, grain, [&](std::int64_t begin, std::int64_t end) {
    T* const sums = partial.data() + begin / grain * dw.size();
    detail::DepthwiseRows<T, T> rows(grid);
    const auto sum = [&](std::int64_t th, std::int64_t tw) {
      return sums + (th * window.kernel_w + tw) * channels;
    };
    for (std::int64_t row = begin * expected[1]; row < end * expected[1]; ++row) {
      const T* const image = x.data() + row / expected[1] * x.extent(1) * x.extent(2) * channels;
      rows.visit(image, row % expected[1], sum,
                 [&](const detail::TapRange& columns, const auto& inputs, const auto& outputs) {
                   detail::depthwise_weight_sums<T>(
                       {.pixels = columns.end - columns.begin,
                        .channels = channels,
                        .taps = static_cast<std::int64_t>(inputs.size()),
                        .x = inputs.data(),
                        .x_step = window.stride_w * channels,
                        .dy = dy.data() + (row * expected[2] + columns.begin) * channels,
                        .dw = outputs.data()});
                 });
    }
  });
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
    const T* const sums = partial.data() + chunk * dw.size();
    for (std::int64_t c = 0; c < channels; ++c) {
      for (std::int64_t t = 0; t < window.taps(); ++t) {
        dw.data()[c * window.taps() + t] += sums[t * channels + c];
      }
    }
  }
}

}  // namespace bitdial::inline BITDIAL_ABI::ops
