// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/data/synthetic_clips.hpp>
#include <support/tensors.hpp>

using namespace bitdial;

namespace {

/// Clips without noise.
data::Dataset clean(std::int64_t first, std::int64_t count,
                    data::ClipTask task = data::ClipTask::motion) {
  return data::make_synthetic_clips(
      {.count = count, .first = first, .frames = 5, .size = 14, .noise = 0, .task = task});
}

/// The frame that `frame` becomes when everything moves by (dx, dy) around the torus.
bool is_moved(std::span<const std::uint8_t> from, std::span<const std::uint8_t> to, int size,
              int dx, int dy) {
  for (int row = 0; row < size; ++row) {
    for (int column = 0; column < size; ++column) {
      const int moved = (row + dy + size) % size * size + (column + dx + size) % size;
      if (from[static_cast<std::size_t>(row * size + column)] !=
          to[static_cast<std::size_t>(moved)]) {
        return false;
      }
    }
  }
  return true;
}

}  // namespace

TEST_CASE("the label of a motion is where each frame moves to become the next") {
  const data::Dataset clips = clean(0, 24);
  CHECK(clips.image_shape() == Shape{70, 14, 1});
  CHECK(clips.class_names() == std::vector<std::string>{"right", "left", "down", "up"});
  for (std::int64_t i = 0; i < clips.size(); ++i) {
    CAPTURE(i);
    const int direction = clips.label(i);
    CHECK(direction == i % 4);
    int fitting = 0;
    for (int speed = 1; speed <= 2; ++speed) {
      const int dx = direction == 0 ? speed : direction == 1 ? -speed : 0;
      const int dy = direction == 2 ? speed : direction == 3 ? -speed : 0;
      bool all = true;
      for (std::size_t t = 0; t + 1 < 5; ++t) {
        all = all && is_moved(clips.image(i).subspan(t * 196, 196),
                              clips.image(i).subspan((t + 1) * 196, 196), 14, dx, dy);
      }
      fitting += all ? 1 : 0;
    }
    CHECK(fitting >= 1);
    CHECK(std::ranges::max(clips.image(i)) - std::ranges::min(clips.image(i)) == 96);
  }
}

TEST_CASE("a clip depends on its index alone, and shapes are balanced") {
  const data::Dataset whole = clean(0, 12);
  const data::Dataset part = clean(7, 3);
  for (std::int64_t i = 0; i < 3; ++i) {
    CHECK(std::ranges::equal(part.image(i), whole.image(7 + i)));
    CHECK(part.label(i) == whole.label(7 + i));
  }
  const data::Dataset shapes = clean(0, 20, data::ClipTask::shape);
  for (std::int64_t i = 0; i < 20; ++i) CHECK(shapes.label(i) == i % 10);
  CHECK(shapes.class_names() == data::synthetic_classes());
}

TEST_CASE("segments are equal parts; each is stood for by its middle or a drawn frame") {
  using Frames = std::vector<std::int64_t>;
  CHECK(data::segment_frames(12, 3) == Frames{2, 6, 10});
  CHECK(data::segment_frames(5, 5) == Frames{0, 1, 2, 3, 4});
  CHECK(data::segment_frames(7, 2) == Frames{1, 5});
  std::vector<int> seen(12);
  for (std::uint64_t draw = 0; draw < 400; ++draw) {
    Random random(1, draw);
    const Frames frames = data::segment_frames(12, 3, &random);
    for (std::size_t s = 0; s < 3; ++s) {
      CHECK(frames[s] / 4 == static_cast<std::int64_t>(s));
      ++seen[static_cast<std::size_t>(frames[s])];
    }
  }
  for (const int count : seen) CHECK(std::abs(count - 100) < 50);
  CHECK(test::error_text<ConfigError>([] { static_cast<void>(data::segment_frames(4, 5)); }) ==
        "segment_frames: expected 1 to 4 segments of 4 frames, got 5");
}

TEST_CASE("chosen frames make clips of their own") {
  const data::Dataset clips = clean(0, 3);
  const std::vector<std::int64_t> chosen{3, 0};
  const data::Dataset selected = data::select_frames(clips, 5, chosen);
  CHECK(selected.image_shape() == Shape{28, 14, 1});
  for (std::int64_t i = 0; i < 3; ++i) {
    CHECK(selected.label(i) == clips.label(i));
    CHECK(std::ranges::equal(selected.image(i).first(196), clips.image(i).subspan(3 * 196, 196)));
    CHECK(std::ranges::equal(selected.image(i).subspan(196), clips.image(i).first(196)));
  }
  CHECK_THROWS_AS(static_cast<void>(data::select_frames(clips, 4, chosen)), ShapeError);
  const std::vector<std::int64_t> outside{5};
  CHECK(test::error_text<ConfigError>([&] {
          static_cast<void>(data::select_frames(clips, 5, outside));
        }) == "select_frames: expected frames 0 .. 4, found 5");
}

TEST_CASE("clip options out of range") {
  CHECK(test::error_text<ConfigError>([] {
          static_cast<void>(data::make_synthetic_clips({.frames = 0}));
        }) == "make_synthetic_clips: expected frames 1 .. 64, found 0");
  CHECK_THROWS_AS(static_cast<void>(data::make_synthetic_clips({.size = 11})), ConfigError);
  CHECK_THROWS_AS(static_cast<void>(data::make_synthetic_clips({.contrast = 201})), ConfigError);
}
