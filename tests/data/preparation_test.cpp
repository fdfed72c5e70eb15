// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/data/dataset.hpp>
#include <bitdial/data/preparation.hpp>
#include <bitdial/data/synthetic.hpp>

using bitdial::ConfigError;
using bitdial::Shape;
using bitdial::TensorView;
using bitdial::unit_value;
using namespace bitdial::data;

namespace {

/// Images of several sizes: image i is 8 + i rows of 10 + 2 i columns, bytes from its place.
class Mixed final : public ImageSource {
 public:
  [[nodiscard]] const std::string& name() const noexcept override { return name_; }
  [[nodiscard]] std::int64_t size() const noexcept override { return 5; }
  [[nodiscard]] const std::vector<std::string>& class_names() const noexcept override {
    return classes_;
  }
  [[nodiscard]] std::int32_t label(std::int64_t) const noexcept override { return 0; }
  [[nodiscard]] Shape image_shape() const noexcept override { return {0, 0, 3}; }
  [[nodiscard]] TensorView<const std::uint8_t> read(std::int64_t index,
                                                    ImageMemory& memory) const override {
    const Shape shape{8 + index, 10 + 2 * index, 3};
    memory.resize(static_cast<std::size_t>(shape.size()));
    for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<std::uint8_t>(i * 5);
    return {memory.data(), shape};
  }

 private:
  std::string name_ = "mixed";
  std::vector<std::string> classes_{"only"};
};

std::vector<float> prepared(const ImageSource& source, const ImageOptions& images,
                            const AugmentOptions& augment, std::int64_t epoch, std::int64_t index,
                            PreparationMemory& memory) {
  const Preparation preparation(source, images, augment, 9);
  std::vector<float> out(static_cast<std::size_t>(preparation.shape().size()), -7.0F);
  preparation.run(epoch, index, memory, out);
  return out;
}

const Dataset& colours() {
  static const Dataset dataset = make_synthetic({.count = 20, .size = 16, .channels = 3});
  return dataset;
}

constexpr ColourJitter strong{.brightness = 0.4F, .contrast = 0.4F, .saturation = 0.4F};

}  // namespace

TEST_CASE("without options an image is its bytes over 255") {
  PreparationMemory memory;
  const std::vector<float> image = prepared(colours(), {}, {}, 0, 3, memory);
  const auto bytes = colours().image(3);
  REQUIRE(image.size() == bytes.size());
  for (std::size_t i = 0; i < bytes.size(); ++i) CHECK(image[i] == unit_value(bytes[i]));
}

TEST_CASE("images of every size come out at the one that is asked for, from their middle") {
  const Mixed source;
  PreparationMemory memory;
  for (std::int64_t index = 0; index < source.size(); ++index) {
    const std::vector<float> image =
        prepared(source, {.size = 6, .centre = 0.75F}, {}, 0, index, memory);
    ImageMemory bytes;
    const auto whole = source.read(index, bytes);
    std::vector<std::uint8_t> wanted(6 * 6 * 3);
    ResampleMemory resampling;
    resample(whole, centre_box(whole.extent(0), whole.extent(1), 0.75F), 6, 6, resampling, wanted);
    for (std::size_t i = 0; i < wanted.size(); ++i) CHECK(image[i] == unit_value(wanted[i]));
  }
  CHECK_THROWS_WITH_AS(Preparation(source, {}, {}, 1),
                       "loader: the images of 'mixed' differ in size: set ImageOptions::size",
                       ConfigError);
}

TEST_CASE("a prepared image depends on seed, epoch and image alone, not on what came before") {
  const AugmentOptions augment{
      .shift = 1, .flip = true, .crop = RandomResizedCrop{}, .jitter = strong, .lighting = 0.1F};
  const ImageOptions images{.normalisation = imagenet_normalisation()};
  PreparationMemory used;
  for (std::int64_t index = 0; index < 10; ++index) {
    static_cast<void>(prepared(Mixed{}, {.size = 9}, augment, 0, index % 5, used));
    PreparationMemory fresh;
    const std::vector<float> first = prepared(colours(), images, augment, 4, index, used);
    CHECK(first == prepared(colours(), images, augment, 4, index, fresh));
    CHECK(first != prepared(colours(), images, augment, 5, index, fresh));
    CHECK(first != prepared(colours(), images, augment, 4, index + 1, fresh));
  }
}

TEST_CASE("colours change in [0, 1]; the normalisation comes last") {
  const AugmentOptions augment{.jitter = strong, .lighting = 0.5F};
  PreparationMemory memory;
  const Normalisation normalisation = imagenet_normalisation();
  for (std::int64_t index = 0; index < 10; ++index) {
    const std::vector<float> plain = prepared(colours(), {}, augment, 0, index, memory);
    const std::vector<float> normalised =
        prepared(colours(), {.normalisation = normalisation}, augment, 0, index, memory);
    for (std::size_t i = 0; i < plain.size(); ++i) {
      CHECK(plain[i] >= 0.0F);
      CHECK(plain[i] <= 1.0F);
      CHECK(normalised[i] == normalisation(plain[i], i % 3));
    }
    CHECK(plain != prepared(colours(), {}, {}, 0, index, memory));
  }
}

TEST_CASE("options out of range") {
  const Dataset grey = make_synthetic({.count = 2, .size = 12});
  const auto text = [](const ImageSource& source, const ImageOptions& images,
                       const AugmentOptions& augment) -> std::string {
    try {
      const Preparation preparation(source, images, augment, 1);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "no error";
  };
  CHECK(text(grey, {}, {.jitter = strong}) ==
        "loader: colour jitter and lighting need RGB images, those of 'synthetic' are [12, 12, 1]");
  CHECK(text(grey, {.size = -1}, {}) == "loader: expected an image size 0 .. 65536, found -1");
  CHECK(text(grey, {.centre = 2.0F}, {}) == "centre_box: expected a share in (0, 1], found 2");
  CHECK(text(grey, {}, {.shift = -1}) == "augment: expected shift >= 0, found -1");
  CHECK(text(grey, {}, {.crop = RandomResizedCrop{.min_area = 2.0F}}) != "no error");
  CHECK(text(grey, {.normalisation = imagenet_normalisation()}, {}) != "no error");
  CHECK(text(colours(), {}, {.jitter = {.contrast = 3.0F}}) != "no error");
  CHECK(text(colours(), {}, {.lighting = -1.0F}) != "no error");
}
