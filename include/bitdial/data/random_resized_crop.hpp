// SPDX-License-Identifier: Apache-2.0
// The crop of ImageNet training: a rectangle of random area and aspect ratio.
#pragma once

#include <cmath>
#include <cstdint>

#include <bitdial/core/error.hpp>
#include <bitdial/core/random.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/data/resample.hpp>

namespace bitdial::inline BITDIAL_ABI::data {

/// What is drawn. SP-Nets take a least area of 0.08, of 0.25 for MobileNets.
struct RandomResizedCrop {
  float min_area = 0.08F;  ///< share of the image, in (0, 1]
  float max_area = 1.0F;
  float min_ratio = 3.0F / 4.0F;  ///< width over height
  float max_ratio = 4.0F / 3.0F;

  friend bool operator==(const RandomResizedCrop&, const RandomResizedCrop&) = default;
};

/// area = u(min_area, max_area) * H * W, ratio = exp(u(log min_ratio, log max_ratio)),
/// width = round(sqrt(area * ratio)), height = round(sqrt(area / ratio)), uniform place.
///
/// Up to ten draws until the rectangle fits; then the largest one in the middle whose ratio is in
/// range. Throws `ConfigError` for options out of range.
/// Szegedy et al., "Going deeper with convolutions", 1409.4842.
[[nodiscard]] inline Box draw_crop(const RandomResizedCrop& options, std::int64_t height,
                                   std::int64_t width, Random& random) {
  if (!(options.min_area > 0.0F && options.min_area <= options.max_area &&
        options.max_area <= 1.0F && options.min_ratio > 0.0F &&
        options.min_ratio <= options.max_ratio && options.max_ratio < 1e3F)) {
    throw ConfigError(
        concat("random resized crop: expected 0 < min_area <= max_area <= 1 and 0 < "
               "min_ratio <= max_ratio, found areas ",
               options.min_area, " .. ", options.max_area, ", ratios ", options.min_ratio, " .. ",
               options.max_ratio));
  }
  const auto rounded = [](double value) { return static_cast<std::int64_t>(std::lrint(value)); };
  const auto place = [&](std::int64_t slack) {
    return static_cast<std::int64_t>(random.below(static_cast<std::uint32_t>(slack + 1)));
  };
  const double whole = static_cast<double>(height) * static_cast<double>(width);
  const float log_low = std::log(options.min_ratio);
  const float log_high = std::log(options.max_ratio);
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double area =
        whole * static_cast<double>(random.uniform(options.min_area, options.max_area));
    const double ratio = std::exp(static_cast<double>(random.uniform(log_low, log_high)));
    const std::int64_t w = rounded(std::sqrt(area * ratio));
    const std::int64_t h = rounded(std::sqrt(area / ratio));
    if (w < 1 || h < 1 || w > width || h > height) continue;
    const std::int64_t y = place(height - h);
    return {.y = y, .x = place(width - w), .height = h, .width = w};
  }
  const double ratio = static_cast<double>(width) / static_cast<double>(height);
  Box box{.height = height, .width = width};
  if (ratio < static_cast<double>(options.min_ratio)) {
    box.height = rounded(static_cast<double>(width) / static_cast<double>(options.min_ratio));
  } else if (ratio > static_cast<double>(options.max_ratio)) {
    box.width = rounded(static_cast<double>(height) * static_cast<double>(options.max_ratio));
  }
  box.height = std::clamp<std::int64_t>(box.height, 1, height);
  box.width = std::clamp<std::int64_t>(box.width, 1, width);
  box.y = (height - box.height) / 2;
  box.x = (width - box.width) / 2;
  return box;
}

}  // namespace bitdial::inline BITDIAL_ABI::data
