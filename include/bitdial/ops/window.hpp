// SPDX-License-Identifier: Apache-2.0
// The geometry of convolutions and pools: kernel, stride, padding, dilation, and output extents.
#pragma once

#include <cstdint>
#include <string>

#include <bitdial/core/shape.hpp>
#include <bitdial/core/text.hpp>

namespace bitdial::inline BITDIAL_ABI::ops {

/// A number for each direction: `3` is 3 by 3, `{1, 7}` one high and seven wide.
struct HeightWidth {
  std::int64_t h = 1, w = 1;

  constexpr HeightWidth(std::int64_t both) noexcept : h{both}, w{both} {}
  constexpr HeightWidth(std::int64_t height, std::int64_t width) noexcept : h{height}, w{width} {}

  [[nodiscard]] constexpr std::int64_t least() const noexcept { return h < w ? h : w; }
  /// `"3"`, or `"1 x 7"` where the directions differ.
  [[nodiscard]] std::string text() const { return h == w ? concat(h) : concat(h, " x ", w); }
  friend constexpr bool operator==(const HeightWidth&, const HeightWidth&) = default;
};

/// A sliding window over height and width.
///
/// Output extent: floor((in + 2 padding - dilation (kernel - 1) - 1) / stride) + 1.
struct Window {
  std::int64_t kernel_h = 1, kernel_w = 1;
  std::int64_t stride_h = 1, stride_w = 1;
  std::int64_t padding_h = 0, padding_w = 0;
  std::int64_t dilation_h = 1, dilation_w = 1;

  /// A square window: `Window::square(3, {.stride = 2, .padding = 1})`.
  struct Square {
    std::int64_t stride = 1, padding = 0, dilation = 1;
  };
  [[nodiscard]] static constexpr Window square(std::int64_t kernel, Square options) noexcept {
    return {kernel,          kernel,          options.stride,   options.stride,
            options.padding, options.padding, options.dilation, options.dilation};
  }
  [[nodiscard]] static constexpr Window square(std::int64_t kernel) noexcept {
    return square(kernel, Square{});
  }

  [[nodiscard]] constexpr std::int64_t taps() const noexcept { return kernel_h * kernel_w; }

  /// Rows of output for `in` rows of input; 0 or less when the window does not fit.
  [[nodiscard]] constexpr std::int64_t output_h(std::int64_t in) const noexcept {
    return extent(in, kernel_h, stride_h, padding_h, dilation_h);
  }
  [[nodiscard]] constexpr std::int64_t output_w(std::int64_t in) const noexcept {
    return extent(in, kernel_w, stride_w, padding_w, dilation_w);
  }

  /// True when every field is in range: kernel, stride, dilation at least 1, padding at least 0.
  [[nodiscard]] constexpr bool valid() const noexcept {
    return kernel_h >= 1 && kernel_w >= 1 && stride_h >= 1 && stride_w >= 1 && padding_h >= 0 &&
           padding_w >= 0 && dilation_h >= 1 && dilation_w >= 1;
  }

  friend constexpr bool operator==(const Window&, const Window&) = default;

 private:
  [[nodiscard]] static constexpr std::int64_t extent(std::int64_t in, std::int64_t kernel,
                                                     std::int64_t stride, std::int64_t padding,
                                                     std::int64_t dilation) noexcept {
    const std::int64_t span = in + 2 * padding - dilation * (kernel - 1) - 1;
    return span < 0 ? 0 : span / stride + 1;
  }
};

}  // namespace bitdial::inline BITDIAL_ABI::ops
