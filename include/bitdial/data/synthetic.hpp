// SPDX-License-Identifier: Apache-2.0
// Labelled images from nothing: ten shapes at random place, size, tilt and contrast, under noise.
// A data set that is there without a download, for tests, demos and machines without network.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include <bitdial/core/parallel.hpp>
#include <bitdial/core/random.hpp>
#include <bitdial/data/dataset.hpp>

namespace bitdial::inline BITDIAL_ABI::data {

/// What the generator draws. Image i depends on (seed, i) and the picture options only, so a test
/// set is the same seed with another `first`: no image is in both.
struct SyntheticOptions {
  std::int64_t count = 10000;
  std::int64_t first = 0;  ///< index of the first image
  int size = 28;           ///< height and width in pixels, 12 .. 256
  int channels = 1;        ///< 1 .. 4, each with its own grey levels
  int noise = 28;          ///< standard deviation of the noise in grey levels, 0 .. 100
  int contrast = 48;       ///< least difference between shape and background, 8 .. 128
  std::uint64_t seed = 1;
};

/// The ten classes in label order.
[[nodiscard]] inline std::vector<std::string> synthetic_classes() {
  return {"disc", "ring",    "square", "frame",   "triangle",
          "plus", "saltire", "rows",   "columns", "checkers"};
}

namespace detail {

/// Whether (x, y) lies on the shape, in coordinates where the shape fills about [-256, 256]^2.
[[nodiscard]] constexpr bool inside_shape(int shape, int x, int y) noexcept {
  const int ax = x < 0 ? -x : x;
  const int ay = y < 0 ? -y : y;
  const int farther = ax > ay ? ax : ay;
  const int nearer = ax > ay ? ay : ax;
  const int radius2 = x * x + y * y;
  const bool in_box = farther <= 232;
  // Stripes of 93 units: five of them cross the box, so both borders lie on a stripe.
  const bool odd_row = (y + 232) / 93 % 2 != 0;
  const bool odd_column = (x + 232) / 93 % 2 != 0;
  switch (shape) {
    case 0:
      return radius2 <= 250 * 250;
    case 1:
      return radius2 <= 256 * 256 && radius2 >= 150 * 150;
    case 2:
      return farther <= 220;
    case 3:
      return in_box && farther >= 136;
    case 4:
      return y <= 210 && 2 * ax <= y + 256;  // apex up at y = -256, base at y = 210
    case 5:
      return farther <= 250 && nearer <= 72;
    case 6:
      return in_box && ax - ay <= 96 && ay - ax <= 96;
    case 7:
      return in_box && !odd_row;
    case 8:
      return in_box && !odd_column;
    default:
      return in_box && odd_row == odd_column;
  }
}

/// Draws image `index` into `pixels`, `[size, size, channels]`. Integer arithmetic only, so every
/// machine draws the same bytes.
inline void draw_synthetic(const SyntheticOptions& options, std::int64_t index,
                           std::span<std::uint8_t> pixels) {
  constexpr std::uint64_t purpose = 0x73796e7468657469;  // "syntheti", apart from other streams
  Random random(options.seed ^ purpose, static_cast<std::uint64_t>(index));
  const auto between = [&](int low, int high) {  // uniform in low .. high
    return low + static_cast<int>(random.below(static_cast<std::uint32_t>(high - low + 1)));
  };
  const int shape = static_cast<int>(index % 10);
  const int size = options.size;

  // Half the extent of the shape and its centre, in 1/256 pixel.
  const int half = between(size * 58, size * 108);
  const int slack = std::max(0, size * 128 - half);
  const int centre_x = size * 128 + between(-slack, slack);
  const int centre_y = size * 128 + between(-slack, slack);
  // Tilt of up to 14 degrees through t = tan(angle / 2) = tilt / 1024, which makes sine and cosine
  // rational: cos = (1 - t^2) / (1 + t^2), sin = 2 t / (1 + t^2). Here as multiples of 2^-12.
  const int tilt = between(-126, 126);
  const int norm = 1024 * 1024 + tilt * tilt;
  const int cosine = static_cast<int>(4096LL * (1024 * 1024 - tilt * tilt) / norm);
  const int sine = static_cast<int>(4096LL * 2 * 1024 * tilt / norm);

  // Grey levels of background and shape; the shape is lighter or darker in all channels.
  const bool darker = between(0, 1) == 1;
  std::array<int, 4> background{};
  std::array<int, 4> difference{};
  for (int channel = 0; channel < options.channels; ++channel) {
    const int step = between(options.contrast, std::min(255, options.contrast + 90));
    const int low = between(0, 255 - step);
    background[static_cast<std::size_t>(channel)] = darker ? low + step : low;
    difference[static_cast<std::size_t>(channel)] = darker ? -step : step;
  }
  // The background brightens linearly across the image, by up to 24 levels to either side.
  const int slope_x = between(-24, 24);
  const int slope_y = between(-24, 24);

  std::size_t out = 0;
  for (int row = 0; row < size; ++row) {
    for (int column = 0; column < size; ++column) {
      int covered = 0;  // of 3 x 3 sample points
      for (int sample = 0; sample < 9; ++sample) {
        const std::int64_t dx = column * 256 + 43 + 85 * (sample % 3) - centre_x;
        const std::int64_t dy = row * 256 + 43 + 85 * (sample / 3) - centre_y;
        // Turn by the tilt, scale to the units of `inside_shape`.
        const int x = static_cast<int>((dx * cosine + dy * sine) / (16 * half));
        const int y = static_cast<int>((dy * cosine - dx * sine) / (16 * half));
        if (inside_shape(shape, x, y)) ++covered;
      }
      const int slope = (slope_x * (2 * column - size) + slope_y * (2 * row - size)) / (2 * size);
      for (int channel = 0; channel < options.channels; ++channel) {
        // The sum of four random bytes is nearly normal, mean 510, standard deviation 147.8.
        const std::uint32_t word = random.next();
        const int sum =
            static_cast<int>((word & 255) + (word >> 8 & 255) + (word >> 16 & 255) + (word >> 24));
        const int value = background[static_cast<std::size_t>(channel)] +
                          difference[static_cast<std::size_t>(channel)] * covered / 9 + slope +
                          (sum - 510) * options.noise / 148;
        pixels[out++] = static_cast<std::uint8_t>(std::clamp(value, 0, 255));
      }
    }
  }
}

}  // namespace detail

/// The images `first .. first + count - 1`; image i shows class i mod 10, so classes are balanced.
///
/// Equal options give equal bytes on every machine and for any number of threads. Throws
/// `ConfigError` for options out of range. Cost: about 50 us per 28 x 28 image and core.
[[nodiscard]] inline Dataset make_synthetic(const SyntheticOptions& options = {}) {
  const auto require = [](bool fits, std::string_view what, std::int64_t found) {
    if (!fits) throw ConfigError(concat("make_synthetic: expected ", what, ", found ", found));
  };
  require(options.count >= 1, "count >= 1", options.count);
  require(options.first >= 0, "first >= 0", options.first);
  require(options.size >= 12 && options.size <= 256, "size 12 .. 256", options.size);
  require(options.channels >= 1 && options.channels <= 4, "channels 1 .. 4", options.channels);
  require(options.noise >= 0 && options.noise <= 100, "noise 0 .. 100", options.noise);
  require(options.contrast >= 8 && options.contrast <= 128, "contrast 8 .. 128", options.contrast);

  Tensor<std::uint8_t> images({options.count, options.size, options.size, options.channels});
  std::vector<std::int32_t> labels(static_cast<std::size_t>(options.count));
  parallel_for(options.count, 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      detail::draw_synthetic(options, options.first + i, images.view().slice(i, i + 1).span());
      labels[static_cast<std::size_t>(i)] = static_cast<std::int32_t>((options.first + i) % 10);
    }
  });
  return {"synthetic", std::move(images), std::move(labels), synthetic_classes()};
}

}  // namespace bitdial::inline BITDIAL_ABI::data
