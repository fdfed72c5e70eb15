// SPDX-License-Identifier: Apache-2.0
// The random changes of training images: what may happen, and shifts and mirror images. Every draw
// is a pure function of (seed, epoch, image): no state to save, and a resumed run sees the same
// pictures.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>

#include <bitdial/core/error.hpp>
#include <bitdial/core/random.hpp>
#include <bitdial/core/shape.hpp>
#include <bitdial/data/colour.hpp>
#include <bitdial/data/random_resized_crop.hpp>

namespace bitdial::inline BITDIAL_ABI::data {

/// The random changes of training images, in the order in which they happen: crop, shift, mirror,
/// colours. SP-Nets on ImageNet: a crop, `flip`, a jitter of 0.4 and lighting 0.1.
struct AugmentOptions {
  int shift = 0;             ///< pixels in each direction; "pad by 4, crop at random" is 4
  bool flip = false;         ///< mirror left to right, every second time
  std::uint8_t padding = 0;  ///< the value that moves in at the borders
  std::optional<RandomResizedCrop> crop{};  ///< of the decoded image, to the size of the network
  ColourJitter jitter{};                    ///< of RGB images
  float lighting = 0.0F;                    ///< deviation of the noise along ImageNet's colours

  friend bool operator==(const AugmentOptions&, const AugmentOptions&) = default;
};

/// What happens to one image: out(y, x) = in(y + dy, x + dx), mirrored first if `flip`.
struct Augmentation {
  int dy = 0;
  int dx = 0;
  bool flip = false;

  friend bool operator==(const Augmentation&, const Augmentation&) = default;
};

namespace detail {

/// The random numbers of one purpose for one image.
[[nodiscard]] constexpr Random augmentation_stream(std::uint64_t purpose, std::uint64_t seed,
                                                   std::int64_t epoch,
                                                   std::int64_t image) noexcept {
  return {seed ^ purpose,
          static_cast<std::uint64_t>(epoch) << 32 ^ static_cast<std::uint64_t>(image)};
}

}  // namespace detail

/// The draw for one image: dy, dx uniform in -shift .. shift, flip with probability 1/2.
/// Throws `ConfigError` for a negative shift.
[[nodiscard]] inline Augmentation draw_augmentation(const AugmentOptions& options,
                                                    std::uint64_t seed, std::int64_t epoch,
                                                    std::int64_t image) {
  if (options.shift < 0) {
    throw ConfigError(concat("augment: expected shift >= 0, found ", options.shift));
  }
  constexpr std::uint64_t purpose = 0x6175676d656e7400;  // "augment", apart from other streams
  Random random = detail::augmentation_stream(purpose, seed, epoch, image);
  const std::uint32_t places = 2 * static_cast<std::uint32_t>(options.shift) + 1;
  Augmentation drawn;
  drawn.dy = static_cast<int>(random.below(places)) - options.shift;
  drawn.dx = static_cast<int>(random.below(places)) - options.shift;
  drawn.flip = random.below(2) == 1 && options.flip;
  return drawn;
}

/// Applies one augmentation to an image `[H, W, C]`. `in` and `out` have H * W * C bytes and do not
/// overlap; any shift is allowed.
inline void apply_augmentation(const Augmentation& augmentation, const Shape& shape,
                               std::uint8_t padding, std::span<const std::uint8_t> in,
                               std::span<std::uint8_t> out) {
  BITDIAL_ASSERT(shape.rank() == 3);
  const std::int64_t height = shape[0];
  const std::int64_t width = shape[1];
  const std::int64_t channels = shape[2];
  BITDIAL_ASSERT(static_cast<std::int64_t>(in.size()) == shape.size());
  BITDIAL_ASSERT(in.size() == out.size());
  std::fill(out.begin(), out.end(), padding);
  for (std::int64_t y = 0; y < height; ++y) {
    const std::int64_t from_y = y + augmentation.dy;
    if (from_y < 0 || from_y >= height) continue;
    for (std::int64_t x = 0; x < width; ++x) {
      const std::int64_t shifted = x + augmentation.dx;
      if (shifted < 0 || shifted >= width) continue;
      const std::int64_t from_x = augmentation.flip ? width - 1 - shifted : shifted;
      std::copy_n(in.data() + (from_y * width + from_x) * channels, channels,
                  out.data() + (y * width + x) * channels);
    }
  }
}

}  // namespace bitdial::inline BITDIAL_ABI::data
