// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/nn/conv2d.hpp>
#include <bitdial/nn/frames.hpp>
#include <bitdial/nn/linear.hpp>
#include <bitdial/nn/pooling.hpp>
#include <bitdial/nn/sequential.hpp>
#include <bitdial/nn/traverse.hpp>
#include <support/tensors.hpp>

using namespace bitdial;

namespace {

const PrecisionPlan plan;
const nn::Pass pass{.plan = plan, .mode = nn::Mode::training};

/// Small integers, so that sums are exact in any order.
Tensor<float> integers(const Shape& shape, std::uint64_t seed) {
  Tensor<float> tensor(shape);
  Random random(seed, 0);
  for (float& value : tensor.span()) value = static_cast<float>(random.below(9)) - 4.0F;
  return tensor;
}

}  // namespace

TEST_CASE("a convolution across frames is the convolution over time") {
  constexpr std::int64_t clips = 2, frames = 5, height = 3, width = 4, in = 2, out = 3;
  auto conv = std::make_unique<nn::Conv2d>(
      nn::Conv2dOptions{.in = in, .out = out, .kernel = {3, 1}, .padding = {1, 0}});
  conv->weight().value = integers({out, 3, 1, in}, 1);
  const Tensor<float> weight = conv->weight().value;
  nn::AcrossFrames over_time(frames, std::move(conv));
  const Tensor<float> x = integers({clips * frames, height, width, in}, 2);
  Tape tape;
  const Var y = over_time.forward(tape.borrow(x), pass);
  REQUIRE(y.shape() == Shape{clips * frames, height, width, out});
  const auto at = [&](std::int64_t n, std::int64_t t, std::int64_t h, std::int64_t w,
                      std::int64_t c) {
    if (t < 0 || t >= frames) return 0.0F;
    return x[(((n * frames + t) * height + h) * width + w) * in + c];
  };
  std::int64_t i = 0;
  for (std::int64_t n = 0; n < clips; ++n) {
    for (std::int64_t t = 0; t < frames; ++t) {
      for (std::int64_t h = 0; h < height; ++h) {
        for (std::int64_t w = 0; w < width; ++w) {
          for (std::int64_t o = 0; o < out; ++o) {
            float sum = 0.0F;
            for (std::int64_t k = 0; k < 3; ++k) {
              for (std::int64_t c = 0; c < in; ++c) {
                sum += at(n, t + k - 1, h, w, c) * weight[(o * 3 + k) * in + c];
              }
            }
            CHECK(y.value()[i++] == sum);
          }
        }
      }
    }
  }
}

TEST_CASE("time may become shorter, pixels may not") {
  nn::AcrossFrames strided(6, std::make_unique<nn::Conv2d>(nn::Conv2dOptions{
                                  .in = 1, .out = 1, .kernel = {2, 1}, .stride = {2, 1}}));
  Tape tape;
  const Var x = tape.constant(Tensor<float>({12, 3, 3, 1}));
  CHECK(strided.forward(x, pass).shape() == Shape{6, 3, 3, 1});
  nn::AcrossFrames wide(6, std::make_unique<nn::Conv2d>(nn::Conv2dOptions{.kernel = 3}));
  CHECK(test::error_text<ShapeError>([&] { static_cast<void>(wide.forward(x, pass)); }) ==
        "across frames: the width 9 must stay, it became 7; use a kernel of width 1");
  CHECK_THROWS_AS(nn::AcrossFrames(0, nullptr), ConfigError);
  nn::AcrossFrames seven(7, std::make_unique<nn::Conv2d>(nn::Conv2dOptions{}));
  CHECK(test::error_text<ShapeError>([&] { static_cast<void>(seven.forward(x, pass)); }) ==
        "across frames: expected a rank of 4 and a multiple of 7 frames along axis 0, x is [12, 3, "
        "3, 1]");
  CHECK(test::contains(test::error_text<ConfigError>([&] {
                         nn::Description description;
                         static_cast<void>(seven.describe(description, 0));
                       }),
                       "does not pack"));
}

TEST_CASE("segments are frames through the backbone, and their mean") {
  auto backbone = std::make_unique<nn::Sequential>();
  backbone->add<nn::GlobalAveragePool>("pool");
  backbone->add<nn::Linear>("head", nn::LinearOptions{.in = 2, .out = 3});
  nn::Sequential& inner = *backbone;
  const nn::Named<nn::Parameter> parameters = nn::parameters(inner);
  parameters[0].second->value = integers({3, 2}, 3);
  nn::TemporalSegments segments(std::move(backbone), 4);
  CHECK(nn::parameters(segments)[0].first == "head.weight");

  const Tensor<float> clips = integers({2, 4 * 5, 3, 2}, 4);
  Tensor<float> frames = clips;
  frames.reshape({8, 5, 3, 2});
  Tape tape;
  const Tensor<float> outputs = inner.forward(tape.borrow(frames), pass).value();
  const Tensor<float> y = segments.forward(tape.borrow(clips), pass).value();
  REQUIRE(y.shape() == Shape{2, 3});
  for (std::int64_t n = 0; n < 2; ++n) {
    for (std::int64_t k = 0; k < 3; ++k) {
      float sum = 0.0F;
      for (std::int64_t t = 0; t < 4; ++t) sum += outputs[(n * 4 + t) * 3 + k];
      CHECK(y[n * 3 + k] == sum / 4.0F);
    }
  }
  CHECK(
      test::error_text<ShapeError>([&] {
        static_cast<void>(segments.forward(tape.constant(Tensor<float>({1, 9, 3, 2})), pass));
      }) ==
      "split frames: expected a rank of 4 and a multiple of 4 frames along axis 1, x is [1, 9, 3, "
      "2]");
  CHECK_THROWS_AS(nn::TemporalSegments(nullptr, 4), ConfigError);
  CHECK_THROWS_AS(nn::SplitFrames(0), ConfigError);
  nn::MeanOverFrames mean(3);
  CHECK(test::error_text<ShapeError>([&] {
          static_cast<void>(mean.forward(tape.constant(Tensor<float>({4, 3})), pass));
        }) == "mean over frames: expected [N * 3, K], x is [4, 3]");
}

TEST_CASE("gradients pass a reshape and a mean over frames in the order of the elements") {
  Tape tape;
  const Var x = tape.leaf(integers({6, 2}, 5));
  nn::MeanOverFrames mean(3);
  const Var y = mean.forward(x, pass);
  Tensor<float> dy({2, 2});
  for (std::int64_t i = 0; i < 4; ++i) dy[i] = static_cast<float>(3 * (i + 1));
  tape.backward(y, dy);
  for (std::int64_t row = 0; row < 6; ++row) {
    for (std::int64_t k = 0; k < 2; ++k) {
      CHECK(x.grad()[row * 2 + k] == dy[row / 3 * 2 + k] / 3.0F);
    }
  }
}
