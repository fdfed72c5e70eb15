// SPDX-License-Identifier: Apache-2.0
// Where the activation codes of images lie: lines of pixels inside a border of zeros, so that a
// convolution reads its windows in place.
#pragma once

#include <algorithm>
#include <cstdint>

#include <bitdial/core/config.hpp>
#include <bitdial/core/rounding.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Pixel (y, x), of `pixel` bytes, stands at `at(y, x)`, also for y in -border_h .. h + border_h -
/// 1 and x in -border_w .. w + border_w - 1: those outside the image are zeros that whoever writes
/// the image clears. Lines share their borders: what follows a line precedes the next one.
///
///     h = 2, w = 3, borders 1:   ....|.123.|456.|...  ->  line = 4 pixels, image = 4 lines + 1
struct CodeLayout {
  std::int64_t h = 1, w = 1;
  std::int64_t pixel = 1;  ///< bytes
  std::int64_t border_h = 0, border_w = 0;

  /// Bytes between lines.
  [[nodiscard]] constexpr std::int64_t line() const noexcept { return (w + border_w) * pixel; }
  /// Bytes between images.
  [[nodiscard]] constexpr std::int64_t image() const noexcept {
    return round_up((h + 2 * border_h) * line() + border_w * pixel, 64);
  }
  [[nodiscard]] constexpr std::int64_t at(std::int64_t y, std::int64_t x) const noexcept {
    return (y + border_h) * line() + (x + border_w) * pixel;
  }
  /// Line `line`, counted over all images.
  [[nodiscard]] constexpr std::int64_t at_line(std::int64_t line) const noexcept {
    return line / h * image() + at(line % h, 0);
  }
  /// True when all pixels of an image follow each other.
  [[nodiscard]] constexpr bool dense() const noexcept { return border_w == 0; }

  /// Clears what surrounds the pixels of lines `first` .. `end` - 1 of the image at `bytes`: their
  /// share of its border.
  void clear_border(std::uint8_t* bytes, std::int64_t first, std::int64_t end) const noexcept {
    if (first == 0) std::fill(bytes, bytes + at(0, 0), std::uint8_t{0});
    for (std::int64_t y = std::max<std::int64_t>(first, 1); y < end && border_w > 0; ++y) {
      std::fill_n(bytes + at(y, -border_w), border_w * pixel, std::uint8_t{0});
    }
    if (end == h) std::fill(bytes + at(h - 1, w), bytes + image(), std::uint8_t{0});
  }

  friend constexpr bool operator==(const CodeLayout&, const CodeLayout&) = default;
};

/// Bytes behind the last image that a kernel may read: it takes codes in groups.
inline constexpr std::int64_t code_slack = 64;

}  // namespace bitdial::inline BITDIAL_ABI
