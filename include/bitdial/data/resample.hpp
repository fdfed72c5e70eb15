// SPDX-License-Identifier: Apache-2.0
// A rectangle of an image, drawn at another size: a triangle filter in integers, so every machine
// draws the same bytes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include <bitdial/core/error.hpp>
#include <bitdial/core/tensor_view.hpp>
#include <bitdial/core/text.hpp>

namespace bitdial::inline BITDIAL_ABI::data {

/// A rectangle of pixels inside an image.
struct Box {
  std::int64_t y = 0;
  std::int64_t x = 0;
  std::int64_t height = 0;
  std::int64_t width = 0;

  friend bool operator==(const Box&, const Box&) = default;
};

/// The square in the middle of an image with `share` of its shorter side, at least one pixel.
/// Evaluation on ImageNet: resizing the shorter side to 256 and cropping 224 is share 0.875.
/// Throws `ConfigError` for a share outside (0, 1].
[[nodiscard]] inline Box centre_box(std::int64_t height, std::int64_t width, float share) {
  if (!(share > 0.0F && share <= 1.0F)) {
    throw ConfigError(concat("centre_box: expected a share in (0, 1], found ", share));
  }
  const std::int64_t shorter = std::min(height, width);
  const auto scaled = static_cast<std::int64_t>(static_cast<float>(shorter) * share + 0.5F);
  const std::int64_t side = std::clamp<std::int64_t>(scaled, 1, shorter);
  return {.y = (height - side) / 2, .x = (width - side) / 2, .height = side, .width = side};
}

namespace detail {

/// The source pixels of each drawn pixel along one axis, with weights that add up to `one`.
class FilterTaps {
 public:
  static constexpr std::int32_t one = 1 << 14;

  /// Drawn pixel i has its centre at (2 i + 1) n / (2 m) of n source pixels, m drawn ones; pixel k
  /// at k + 1/2 weighs max(0, 1 - distance / max(1, n / m)). All times 2 m: integers.
  void set(std::int64_t source, std::int64_t drawn) {
    first_.clear();
    start_.assign(1, 0);
    weights_.clear();
    const std::int64_t reach = 2 * std::max(source, drawn);
    for (std::int64_t i = 0; i < drawn; ++i) {
      const std::int64_t centre = (2 * i + 1) * source;
      const auto weight = [&](std::int64_t k) {
        return reach - std::abs((2 * k + 1) * drawn - centre);
      };
      std::int64_t low = std::clamp<std::int64_t>((centre - reach) / (2 * drawn), 0, source - 1);
      while (weight(low) <= 0) ++low;
      std::int64_t total = 0;
      std::int64_t high = low;
      for (; high < source && weight(high) > 0; ++high) total += weight(high);
      std::int32_t rest = one;
      std::size_t largest = weights_.size();
      for (std::int64_t k = low; k < high; ++k) {
        const auto scaled = static_cast<std::int32_t>((2 * weight(k) * one + total) / (2 * total));
        rest -= scaled;
        weights_.push_back(scaled);
        if (scaled > weights_[largest]) largest = weights_.size() - 1;
      }
      weights_[largest] += rest;  // what rounding took or gave
      first_.push_back(low);
      start_.push_back(weights_.size());
    }
  }

  /// The first source pixel of drawn pixel i, and the weights from there on.
  [[nodiscard]] std::int64_t first(std::int64_t i) const noexcept {
    return first_[static_cast<std::size_t>(i)];
  }
  [[nodiscard]] std::span<const std::int32_t> weights(std::int64_t i) const noexcept {
    const std::size_t begin = start_[static_cast<std::size_t>(i)];
    return std::span{weights_}.subspan(begin, start_[static_cast<std::size_t>(i) + 1] - begin);
  }

 private:
  std::vector<std::int64_t> first_;
  std::vector<std::size_t> start_;
  std::vector<std::int32_t> weights_;
};

}  // namespace detail

/// Tables and rows of `resample`, kept from image to image.
struct ResampleMemory {
  detail::FilterTaps columns{};
  detail::FilterTaps rows{};
  std::vector<std::uint16_t> narrowed{};  // every row of the box at the drawn width, 64 per level
  std::vector<std::int32_t> sums{};
};

/// Draws `box` of `image` at `height` x `width` into `out` ([height, width, C] bytes).
///
///   out = round(sum_k sum_l a_k b_l image(y_k, x_l)),  weights of a triangle of half width
///   max(1, box / drawn) around the drawn pixel's centre, cut off at the box, scaled to sum 1.
///
/// Linear interpolation when enlarging, an average without aliasing when shrinking; equal sizes
/// copy; an image of one colour keeps it. The box lies in the image, extents below 2^20.
/// Cost: height_box * width * (taps) + height * width * (taps), per channel.
inline void resample(TensorView<const std::uint8_t> image, const Box& box, std::int64_t height,
                     std::int64_t width, ResampleMemory& memory, std::span<std::uint8_t> out) {
  const std::int64_t channels = image.extent(2);
  BITDIAL_ASSERT(image.is_contiguous() && box.height > 0 && box.width > 0 && box.y >= 0 &&
                 box.x >= 0 && box.y + box.height <= image.extent(0) &&
                 box.x + box.width <= image.extent(1));
  BITDIAL_ASSERT(static_cast<std::int64_t>(out.size()) == height * width * channels);
  const auto row_of = [&](std::int64_t y) {
    return image.data() + ((box.y + y) * image.extent(1) + box.x) * channels;
  };
  if (box.height == height && box.width == width) {
    for (std::int64_t y = 0; y < height; ++y) {
      std::copy_n(row_of(y), width * channels, out.data() + y * width * channels);
    }
    return;
  }
  constexpr int shift = 14;     // of the weights
  constexpr int kept_bits = 6;  // below the byte, between the two passes
  memory.columns.set(box.width, width);
  memory.rows.set(box.height, height);
  const std::int64_t row_values = width * channels;
  memory.narrowed.resize(static_cast<std::size_t>(box.height * row_values));
  for (std::int64_t y = 0; y < box.height; ++y) {
    const std::uint8_t* const from = row_of(y);
    std::uint16_t* to = memory.narrowed.data() + y * row_values;
    for (std::int64_t x = 0; x < width; ++x) {
      const std::span<const std::int32_t> weights = memory.columns.weights(x);
      const std::uint8_t* const first = from + memory.columns.first(x) * channels;
      for (std::int64_t c = 0; c < channels; ++c) {
        std::int32_t sum = 1 << (shift - kept_bits - 1);
        const std::uint8_t* pixel = first + c;
        for (const std::int32_t weight : weights) {
          sum += weight * *pixel;
          pixel += channels;
        }
        *to++ = static_cast<std::uint16_t>(sum >> (shift - kept_bits));
      }
    }
  }
  memory.sums.resize(static_cast<std::size_t>(row_values));
  for (std::int64_t y = 0; y < height; ++y) {
    std::ranges::fill(memory.sums, 1 << (shift + kept_bits - 1));
    const std::uint16_t* from = memory.narrowed.data() + memory.rows.first(y) * row_values;
    for (const std::int32_t weight : memory.rows.weights(y)) {
      std::int32_t* const sums = memory.sums.data();
      for (std::int64_t i = 0; i < row_values; ++i) sums[i] += weight * from[i];
      from += row_values;
    }
    std::uint8_t* const to = out.data() + y * row_values;
    for (std::int64_t i = 0; i < row_values; ++i) {
      to[i] = static_cast<std::uint8_t>(memory.sums[static_cast<std::size_t>(i)] >>
                                        (shift + kept_bits));
    }
  }
}

}  // namespace bitdial::inline BITDIAL_ABI::data
