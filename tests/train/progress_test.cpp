// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/train/progress.hpp>

using bitdial::ConfigError;
using bitdial::train::display_width;
using bitdial::train::NamedShare;
using bitdial::train::Progress;
using bitdial::train::ProgressOptions;
using bitdial::train::ProgressPlan;
using bitdial::train::ProgressStyle;

namespace {

/// A clock that the test moves, and everything that was written.
struct Scene {
  double now = 1000.0;
  std::string output;

  ProgressOptions options(ProgressStyle style, int width = 80) {
    return {.sink = [this](std::string_view text) { output += text; },
            .style = style,
            .width = width,
            .clock = [this] { return now; }};
  }
  std::string take() { return std::exchange(output, {}); }
};

const std::vector<NamedShare> accuracy{{"w8a8", 0.875}, {"w1a1", 0.5}};

}  // namespace

TEST_CASE("lines come at their interval, and one at the end of each epoch") {
  Scene scene;
  Progress progress(scene.options(ProgressStyle::lines),
                    {.epochs = 2, .steps_per_epoch = 40, .images_per_step = 100});
  for (int step = 0; step < 40; ++step) {
    scene.now += 1.0;
    progress.step(2.0, accuracy);
  }
  CHECK(scene.take() ==
        "epoch 1/2   38 %  ETA 1:05  100 img/s  loss 2.000  w8a8 87.5  w1a1 50.0\n"
        "epoch 1/2   75 %  ETA 50.0 s  100 img/s  loss 2.000  w8a8 87.5  w1a1 50.0\n");
  scene.now += 5.0;  // the evaluation counts as time, not for the rate
  progress.end_epoch(1.5, accuracy);
  CHECK(scene.take() == "epoch 1/2  loss 1.5000  w8a8 87.50 %  w1a1 50.00 %  100 img/s  45.0 s\n");
  progress.note("hello");
  CHECK(scene.take() == "hello\n");
  CHECK(progress.elapsed() == 45.0);
}

TEST_CASE("a last step at the interval gives way to the summary") {
  Scene scene;
  Progress progress(scene.options(ProgressStyle::lines), {.epochs = 1, .steps_per_epoch = 1});
  scene.now += 100.0;
  progress.step(1.0);
  CHECK(scene.take().empty());
  progress.end_epoch(1.0);
  CHECK(scene.take() == "epoch 1/1  loss 1.0000  0 img/s  1:40\n");
}

TEST_CASE("the bar redraws in place and is cleared before whole lines") {
  Scene scene;
  Progress progress(scene.options(ProgressStyle::bar),
                    {.epochs = 10, .steps_per_epoch = 4, .images_per_step = 2500});
  scene.now += 0.5;
  progress.step(0.1234, accuracy);
  CHECK(scene.take() ==
        "\repoch  1/10  ██░░░░░░░   25 %  ETA 19.5 s  5,000 img/s  loss 0.123  87.5/50.0 %\x1b[K");
  scene.now += 0.05;
  progress.step(0.1234, accuracy);
  CHECK(scene.take().empty());  // too soon
  scene.now += 0.45;
  progress.step(0.1234, accuracy);
  CHECK(scene.take() ==
        "\repoch  1/10  ██████░░░   75 %  ETA 12.3 s  7,500 img/s  loss 0.123  87.5/50.0 %\x1b[K");
  scene.now += 0.01;
  progress.step(0.1234, accuracy);  // the last one is drawn at once
  CHECK(scene.take().find("█████████  100 %") != std::string::npos);
  scene.now += 1.0;
  progress.end_epoch(0.1, accuracy);
  CHECK(scene.take() ==
        "\r\x1b[K"
        "epoch  1/10  loss 0.1000  w8a8 87.50 %  w1a1 50.00 %  9,901 img/s  2.0 s\n");
  progress.note("between epochs");  // no bar to clear
  CHECK(scene.take() == "between epochs\n");
  scene.now += 0.01;
  progress.step(0.1, accuracy);
  CHECK(scene.take().starts_with("\repoch  2/10  "));
  progress.note("over the bar");
  CHECK(scene.take() == "\r\x1b[Kover the bar\n");
}

TEST_CASE("the bar never fills the last column, at any width") {
  for (int width = 1; width <= 200; ++width) {
    CAPTURE(width);
    Scene scene;
    Progress progress(scene.options(ProgressStyle::bar, width),
                      {.epochs = 100, .steps_per_epoch = 10, .images_per_step = 128});
    scene.now += 0.001;
    progress.step(12.345, {{"w8a8", 1.0}, {"w4a4", 0.9}, {"w2a2", 0.8}, {"w1a1", 0.7}});
    std::string text = scene.take();
    REQUIRE(text.starts_with("\r"));
    REQUIRE(text.ends_with("\x1b[K"));
    text = text.substr(1, text.size() - 4);
    CHECK(display_width(text) <= std::max(1, width - 1));
    if (width >= 80)
      CHECK(text.find("100.0/90.0/80.0/70.0 %") + text.find("w1a1 70.0") != 2 * std::string::npos);
  }
}

TEST_CASE("plain characters and colours are options") {
  Scene scene;
  ProgressOptions options = scene.options(ProgressStyle::bar, 40);
  options.unicode = false;
  options.colour = true;
  Progress progress(options, {.epochs = 1, .steps_per_epoch = 2, .images_per_step = 1});
  scene.now += 1.0;
  progress.step(1.0);
  CHECK(scene.take() == "\repoch 1/1  \x1b[36m########\x1b[90m.........\x1b[0m  ETA 1.0 s\x1b[K");
}

TEST_CASE("a resumed run counts its own steps for rate and time left") {
  Scene scene;
  Progress progress(
      scene.options(ProgressStyle::bar, 120),
      {.epochs = 2, .steps_per_epoch = 100, .images_per_step = 10, .first_step = 150});
  scene.now += 2.0;
  progress.step(1.0);
  const std::string text = scene.take();
  CHECK(text.find("epoch 2/2") != std::string::npos);
  CHECK(text.find(" 51 %") != std::string::npos);
  CHECK(text.find("ETA 1:38") != std::string::npos);
  CHECK(text.find(" 5 img/s") != std::string::npos);
}

TEST_CASE("quiet says nothing, and no sink is quiet") {
  Scene scene;
  Progress quiet(scene.options(ProgressStyle::quiet), {});
  Progress nowhere({.style = ProgressStyle::bar}, {});
  for (Progress* progress : {&quiet, &nowhere}) {
    progress->step(1.0);
    progress->note("x");
    progress->end_epoch(1.0);
  }
  CHECK(scene.output.empty());
}

TEST_CASE("a plan without work is refused") {
  CHECK_THROWS_AS(Progress({}, {.epochs = 0}), ConfigError);
  CHECK_THROWS_AS(Progress({}, {.steps_per_epoch = 0}), ConfigError);
  CHECK_THROWS_AS(Progress({}, {.images_per_step = 0}), ConfigError);
  CHECK_THROWS_AS(Progress({}, {.first_step = -1}), ConfigError);
}

TEST_CASE("progress on a file is lines, and goes into the file") {
  std::FILE* const file = std::tmpfile();
  REQUIRE(file != nullptr);
  const ProgressOptions options = bitdial::train::progress_on(file);
  CHECK(options.style == ProgressStyle::lines);
  CHECK_FALSE(options.colour);
  CHECK(options.width == 80);
  options.sink("one line\n");
  CHECK(std::ftell(file) == 9);
  static_cast<void>(std::fclose(file));
}
