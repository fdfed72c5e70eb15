// SPDX-License-Identifier: Apache-2.0
// Labelled clips of video from nothing: shapes that move over a torus, under noise.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <bitdial/core/parallel.hpp>
#include <bitdial/core/random.hpp>
#include <bitdial/data/dataset.hpp>
#include <bitdial/data/synthetic.hpp>

namespace bitdial::inline BITDIAL_ABI::data {

/// What the label of a clip says.
enum class ClipTask : std::uint8_t {
  motion,  ///< where the shape moves: no single frame tells
  shape,   ///< which of the ten shapes moves: every frame tells
};

/// What the generator draws. Clip i depends on (seed, i) and the other options only.
struct SyntheticClipOptions {
  std::int64_t count = 1000;
  std::int64_t first = 0;  ///< index of the first clip
  std::int64_t frames = 8;
  int size = 16;      ///< height and width of a frame in pixels, 12 .. 256
  int noise = 12;     ///< standard deviation of the noise in grey levels, 0 .. 100
  int contrast = 96;  ///< difference between shape and background, 8 .. 200
  ClipTask task = ClipTask::motion;
  std::uint64_t seed = 1;
};

/// The classes of `ClipTask::motion` in label order.
[[nodiscard]] inline std::vector<std::string> motion_classes() {
  return {"right", "left", "down", "up"};
}

namespace detail {

/// Draws clip `index` into `pixels`, `[frames, size, size]`, with integer arithmetic only.
inline void draw_clip(const SyntheticClipOptions& options, std::int64_t index,
                      std::span<std::uint8_t> pixels) {
  constexpr std::uint64_t purpose = 0x636c697073000000;  // "clips", apart from other streams
  Random random(options.seed ^ purpose, static_cast<std::uint64_t>(index));
  const auto between = [&](int low, int high) {  // uniform in low .. high
    return low + static_cast<int>(random.below(static_cast<std::uint32_t>(high - low + 1)));
  };
  const bool by_motion = options.task == ClipTask::motion;
  const int drawn_direction = between(0, 3);
  const int drawn_shape = between(0, 9);
  const int direction = by_motion ? static_cast<int>(index % 4) : drawn_direction;
  const int shape = by_motion ? drawn_shape : static_cast<int>(index % 10);
  const int size = options.size;
  const int speed = between(1, std::max(1, size / 6));  // pixels per frame
  constexpr std::array<int, 4> step_x{1, -1, 0, 0};
  constexpr std::array<int, 4> step_y{0, 0, 1, -1};
  const int velocity_x = speed * step_x[static_cast<std::size_t>(direction)];
  const int velocity_y = speed * step_y[static_cast<std::size_t>(direction)];
  const int half = between(size * 50, size * 80);  // half the extent, in 1/256 pixel
  int centre_x = between(0, size - 1);
  int centre_y = between(0, size - 1);
  const bool darker = between(0, 1) == 1;
  const int low = between(0, 255 - options.contrast);
  const int background = darker ? low + options.contrast : low;
  const int difference = darker ? -options.contrast : options.contrast;
  // The distance on the torus, in -size/2 .. size/2.
  const auto around = [size](int a, int b) { return (a - b + size + size / 2) % size - size / 2; };

  std::size_t out = 0;
  for (std::int64_t frame = 0; frame < options.frames; ++frame) {
    for (int row = 0; row < size; ++row) {
      for (int column = 0; column < size; ++column) {
        const int x = around(column, centre_x) * 256 * 256 / half;
        const int y = around(row, centre_y) * 256 * 256 / half;
        const std::uint32_t word = random.next();
        const int sum =
            static_cast<int>((word & 255) + (word >> 8 & 255) + (word >> 16 & 255) + (word >> 24));
        const int value = background + (inside_shape(shape, x, y) ? difference : 0) +
                          (sum - 510) * options.noise / 148;
        pixels[out++] = static_cast<std::uint8_t>(std::clamp(value, 0, 255));
      }
    }
    centre_x = (centre_x + velocity_x + size) % size;
    centre_y = (centre_y + velocity_y + size) % size;
  }
}

}  // namespace detail

/// The clips `first .. first + count - 1` as images `[frames * size, size, 1]`, frame under frame;
/// classes are balanced.
///
/// Shapes start anywhere and leave on one side to come back on the other, so a single frame looks
/// alike for every motion. Equal options give equal bytes on every machine and for any number of
/// threads. Do not shift such images when training: rows of one frame would move into the next.
/// Throws `ConfigError` for options out of range.
[[nodiscard]] inline Dataset make_synthetic_clips(const SyntheticClipOptions& options = {}) {
  const auto require = [](bool fits, std::string_view what, std::int64_t found) {
    if (!fits)
      throw ConfigError(concat("make_synthetic_clips: expected ", what, ", found ", found));
  };
  require(options.count >= 1, "count >= 1", options.count);
  require(options.first >= 0, "first >= 0", options.first);
  require(options.frames >= 1 && options.frames <= 64, "frames 1 .. 64", options.frames);
  require(options.size >= 12 && options.size <= 256, "size 12 .. 256", options.size);
  require(options.noise >= 0 && options.noise <= 100, "noise 0 .. 100", options.noise);
  require(options.contrast >= 8 && options.contrast <= 200, "contrast 8 .. 200", options.contrast);

  const std::vector<std::string> classes =
      options.task == ClipTask::motion ? motion_classes() : synthetic_classes();
  Tensor<std::uint8_t> clips({options.count, options.frames * options.size, options.size, 1});
  std::vector<std::int32_t> labels(static_cast<std::size_t>(options.count));
  parallel_for(options.count, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      detail::draw_clip(options, options.first + i, clips.view().slice(i, i + 1).span());
      labels[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(
          (options.first + i) % static_cast<std::int64_t>(classes.size()));
    }
  });
  return {"synthetic clips", std::move(clips), std::move(labels), classes};
}

/// Which of `frames` frames stand for `segments` equal segments of a clip: the middle one of each,
/// or one drawn with equal chances where `random` is given (training).
///
/// Segment s is the frames s frames / segments .. (s + 1) frames / segments - 1. Throws
/// `ConfigError` unless 1 <= segments <= frames. Wang et al., 1608.00859.
[[nodiscard]] inline std::vector<std::int64_t> segment_frames(std::int64_t frames,
                                                              std::int64_t segments,
                                                              Random* random = nullptr) {
  if (segments < 1 || segments > frames) {
    throw ConfigError(concat("segment_frames: expected 1 to ", frames, " segments of ", frames,
                             " frames, got ", segments));
  }
  std::vector<std::int64_t> chosen;
  for (std::int64_t s = 0; s < segments; ++s) {
    const std::int64_t begin = s * frames / segments;
    const std::int64_t length = (s + 1) * frames / segments - begin;
    const std::int64_t offset =
        random == nullptr ? length / 2
                          : std::int64_t{random->below(static_cast<std::uint32_t>(length))};
    chosen.push_back(begin + offset);
  }
  return chosen;
}

/// The chosen frames of every clip of `frames` frames, as clips of their own.
///
/// Throws `ShapeError` when the rows are not `frames` frames, `ConfigError` for a frame that is not
/// in 0 .. frames - 1.
[[nodiscard]] inline Dataset select_frames(const Dataset& clips, std::int64_t frames,
                                           std::span<const std::int64_t> chosen) {
  const Shape shape = clips.image_shape();
  if (frames < 1 || shape[0] % frames != 0) {
    throw ShapeError(concat("select_frames: expected clips of ", frames,
                            " frames under each other, found images of ", shape));
  }
  for (const std::int64_t frame : chosen) {
    if (frame < 0 || frame >= frames) {
      throw ConfigError(
          concat("select_frames: expected frames 0 .. ", frames - 1, ", found ", frame));
    }
  }
  const std::int64_t rows = shape[0] / frames;
  const auto bytes = static_cast<std::size_t>(rows * shape[1] * shape[2]);
  Tensor<std::uint8_t> selected(
      {clips.size(), rows * static_cast<std::int64_t>(chosen.size()), shape[1], shape[2]});
  std::uint8_t* out = selected.data();
  for (std::int64_t i = 0; i < clips.size(); ++i) {
    for (const std::int64_t frame : chosen) {
      const auto from = clips.image(i).subspan(static_cast<std::size_t>(frame) * bytes, bytes);
      out = std::copy(from.begin(), from.end(), out);
    }
  }
  std::vector<std::int32_t> labels(clips.labels().begin(), clips.labels().end());
  return {clips.name(), std::move(selected), std::move(labels), clips.class_names()};
}

}  // namespace bitdial::inline BITDIAL_ABI::data
