// SPDX-License-Identifier: Apache-2.0
// The real-valued operations between quantized layers, for one output row: the same floating-point
// operations in the same order as `ops/pooling.hpp`, `ops/add.hpp`, `ops/batch_norm.hpp` and
// `ops/activation.hpp`.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include <bitdial/deploy/network_check.hpp>
#include <bitdial/deploy/packed_network.hpp>
#include <bitdial/kernels/kernel_table.hpp>
#include <bitdial/ops/detail/exact_fma.hpp>
#include <bitdial/ops/window.hpp>

namespace bitdial::inline BITDIAL_ABI::detail {

/// y = x, then + residual where there is one, then y > 0 ? y : 0 when `rectify`.
struct ElementwiseOptions {
  const float* residual = nullptr;
  bool rectify = false;
};
inline void elementwise(const float* x, std::int64_t count, const ElementwiseOptions& options,
                        float* y) noexcept {
  if (options.residual != nullptr) {
    for (std::int64_t i = 0; i < count; ++i) y[i] = x[i] + options.residual[i];
  } else {
    std::copy_n(x, count, y);
  }
  if (!options.rectify) return;
  for (std::int64_t i = 0; i < count; ++i) y[i] = y[i] > 0.0F ? y[i] : 0.0F;
}

/// y = fma(x, multiplier[c], bias[c]) for one pixel, then y > 0 ? y : 0 when `rectify`.
inline void scale_shift_pixel(const ScaleShift& map, const float* x, bool rectify,
                              float* y) noexcept {
  const auto channels = static_cast<std::int64_t>(map.multiplier.size());
  ops::detail::fma_span(channels, y, x, map.multiplier.data(), map.bias.data());
  for (std::int64_t c = 0; rectify && c < channels; ++c) y[c] = y[c] > 0.0F ? y[c] : 0.0F;
}

/// The taps of a window that lie inside the image, along one axis: `count`, the first of them at
/// `at`.
struct TapsInside {
  std::int64_t count = 0, at = 0;

  /// Of `taps` taps from `begin` on, `step` apart, in [0, extent).
  TapsInside(std::int64_t begin, std::int64_t taps, std::int64_t step, std::int64_t extent) noexcept
      : at{begin} {
    for (; taps > 0 && at < 0; --taps) at += step;
    for (std::int64_t tap = at; count < taps && tap < extent; tap += step) ++count;
  }
};
/// Lines and columns of the taps of output (oy, ox).
[[nodiscard]] inline TapsInside lines_inside(const ops::Window& window, const ImageShape& shape,
                                             std::int64_t oy) noexcept {
  return {oy * window.stride_h - window.padding_h, window.kernel_h, window.dilation_h, shape.h};
}
[[nodiscard]] inline TapsInside columns_inside(const ops::Window& window, const ImageShape& shape,
                                               std::int64_t ox) noexcept {
  return {ox * window.stride_w - window.padding_w, window.kernel_w, window.dilation_w, shape.w};
}

/// Calls f(pixel values) for the taps of output (oy, ox) inside the image, ky slowest.
template <class F>
void for_each_tap(const ops::Window& window, const ImageShape& shape, const float* image,
                  std::int64_t oy, std::int64_t ox, F f) {
  const TapsInside lines = lines_inside(window, shape, oy);
  const TapsInside columns = columns_inside(window, shape, ox);
  for (std::int64_t l = 0; l < lines.count; ++l) {
    const std::int64_t line = (lines.at + l * window.dilation_h) * shape.w;
    for (std::int64_t c = 0; c < columns.count; ++c) {
      f(image + (line + columns.at + c * window.dilation_w) * shape.c);
    }
  }
}

/// The maximum over the taps inside the image, the first of equals; -infinity without any. NaN is
/// below every number, as in `ops::max_pool2d_forward`.
inline void max_pool_pixel(const ops::Window& window, const ImageShape& shape, const float* image,
                           std::int64_t oy, std::int64_t ox, float* y) noexcept {
  bool first = true;
  std::fill_n(y, shape.c, -std::numeric_limits<float>::infinity());
  for_each_tap(window, shape, image, oy, ox, [&](const float* x) {
    for (std::int64_t c = 0; c < shape.c; ++c) {
      const bool replace = first || x[c] > y[c] || (std::isnan(y[c]) && !std::isnan(x[c]));
      y[c] = replace ? x[c] : y[c];
    }
    first = false;
  });
}

/// The same maximum over values that are neither NaN, negative nor -0. A window outside the image
/// gives -infinity.
inline void rectified_max_pool_pixel(const kernels::KernelTable& table, const ops::Window& window,
                                     const ImageShape& shape, const float* image, std::int64_t oy,
                                     std::int64_t ox, float* y) noexcept {
  const TapsInside lines = lines_inside(window, shape, oy);
  const TapsInside columns = columns_inside(window, shape, ox);
  if (lines.count == 0 || columns.count == 0) {
    std::fill_n(y, shape.c, -std::numeric_limits<float>::infinity());
    return;
  }
  table.maximum({.x = image + (lines.at * shape.w + columns.at) * shape.c,
                 .lines = lines.count,
                 .columns = columns.count,
                 .line_stride = window.dilation_h * shape.w * shape.c,
                 .column_stride = window.dilation_w * shape.c,
                 .count = shape.c,
                 .y = y});
}

/// The sum of the taps inside the image, one by one, divided by the number of all taps.
inline void average_pool_pixel(const ops::Window& window, const ImageShape& shape,
                               const float* image, std::int64_t oy, std::int64_t ox,
                               float* y) noexcept {
  std::fill_n(y, shape.c, 0.0F);
  for_each_tap(window, shape, image, oy, ox, [&](const float* x) {
    for (std::int64_t c = 0; c < shape.c; ++c) y[c] += x[c];
  });
  const auto taps = static_cast<float>(window.taps());
  for (std::int64_t c = 0; c < shape.c; ++c) y[c] /= taps;
}

/// The sum over all pixels, one by one, divided by their number.
inline void global_average(const ImageShape& shape, const float* image, float* y) noexcept {
  constexpr std::int64_t most = 64;  // a constant, for which compilers make vectors
  const std::int64_t pixels = shape.h * shape.w;
  const auto count = static_cast<float>(pixels);
  for (std::int64_t begin = 0; begin < shape.c; begin += most) {
    const std::int64_t channels = std::min(most, shape.c - begin);
    float sums[most] = {};
    for (std::int64_t pixel = 0; pixel < pixels; ++pixel) {
      const float* const x = image + pixel * shape.c + begin;
      if (channels == most) {
        for (std::int64_t c = 0; c < most; ++c) sums[c] += x[c];
      } else {
        for (std::int64_t c = 0; c < channels; ++c) sums[c] += x[c];
      }
    }
    for (std::int64_t c = 0; c < channels; ++c) y[begin + c] = sums[c] / count;
  }
}

}  // namespace bitdial::inline BITDIAL_ABI::detail
