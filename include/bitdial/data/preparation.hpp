// SPDX-License-Identifier: Apache-2.0
// The way of one image from its source to the numbers that a network takes: a pure function of
// (options, seed, epoch, image), so any thread may prepare any image.
#pragma once

#include <cstdint>
#include <span>

#include <bitdial/core/tensor_view.hpp>
#include <bitdial/data/augment.hpp>
#include <bitdial/data/image_source.hpp>
#include <bitdial/data/normalisation.hpp>
#include <bitdial/data/resample.hpp>

namespace bitdial::inline BITDIAL_ABI::data {

/// What every image becomes, in training and in evaluation.
struct ImageOptions {
  std::int64_t size = 0;  ///< height and width of prepared images; 0: those of the source
  /// The share of the shorter side that is seen where no random crop is drawn and `size` is set:
  /// the square in the middle. 0.875 is the 224 of 256 of ImageNet evaluation.
  float centre = 1.0F;
  Normalisation normalisation{};  ///< by default none: byte / 255
};

/// Buffers of one thread, kept from image to image.
struct PreparationMemory {
  ImageMemory decoded{};
  ImageMemory drawn{};
  ImageMemory moved{};
  ResampleMemory resample{};
};

/// Reads, crops, augments and normalises images. The source must outlive it.
///
/// Throws `ConfigError` for options out of range, for images of several sizes without
/// `ImageOptions::size`, and for colour changes of images that are not RGB.
class Preparation {
 public:
  Preparation(const ImageSource& source, const ImageOptions& images, const AugmentOptions& augment,
              std::uint64_t seed)
      : source_{&source},
        augment_{augment},
        seed_{seed},
        size_{images.size},
        centre_{images.centre},
        normalisation_{images.normalisation},
        byte_values_(images.normalisation, source.image_shape()[2]) {
    check();
  }

  [[nodiscard]] const ImageSource& source() const noexcept { return *source_; }

  /// The shape `[H, W, C]` of every prepared image.
  [[nodiscard]] Shape shape() const noexcept {
    const Shape images = source_->image_shape();
    return size_ == 0 ? images : Shape{size_, size_, images[2]};
  }

  /// Writes image `index` as epoch `epoch` shows it; `out` has `shape().size()` values. Throws
  /// `FileError` for a damaged image.
  void run(std::int64_t epoch, std::int64_t index, PreparationMemory& memory,
           std::span<float> out) const {
    const TensorView<const std::uint8_t> image = source_->read(index, memory.decoded);
    std::span<const std::uint8_t> bytes = drawn_at_size(epoch, index, image, memory);
    const Augmentation drawn = draw_augmentation(augment_, seed_, epoch, index);
    if (drawn != Augmentation{}) {
      memory.moved.resize(bytes.size());
      apply_augmentation(drawn, shape(), augment_.padding, bytes, memory.moved);
      bytes = memory.moved;
    }
    const ColourChange colours = colour_change(epoch, index);
    if (colours.is_identity()) {
      look_up(byte_values_, bytes, out);
    } else {
      look_up(unit_values_, bytes, out);
      apply_colour(colours, out);
      if (!normalisation_.empty()) {
        for (std::size_t i = 0; i < out.size(); ++i) out[i] = normalisation_(out[i], i % 3);
      }
    }
  }

 private:
  void check() const {
    static_cast<void>(draw_augmentation(augment_, seed_, 0, 0));
    static_cast<void>(centre_box(1, 1, centre_));
    if (augment_.crop) {
      Random random(0, 0);
      static_cast<void>(draw_crop(*augment_.crop, 1, 1, random));
    }
    const Shape images = source_->image_shape();
    if (size_ < 0 || size_ > 1 << 16) {
      throw ConfigError(concat("loader: expected an image size 0 .. 65536, found ", size_));
    }
    if (shape().size() < 1) {
      throw ConfigError(concat("loader: the images of '", source_->name(),
                               "' differ in size: set ImageOptions::size"));
    }
    if (images[2] != 3 && changes_colours()) {
      throw ConfigError(concat("loader: colour jitter and lighting need RGB images, those of '",
                               source_->name(), "' are ", images));
    }
    static_cast<void>(colour_change(0, 0));
  }

  [[nodiscard]] bool changes_colours() const noexcept {
    return augment_.jitter != ColourJitter{} || augment_.lighting != 0.0F;
  }

  /// The bytes of the image, or of the part of it that is seen, at the prepared size.
  [[nodiscard]] std::span<const std::uint8_t> drawn_at_size(std::int64_t epoch, std::int64_t index,
                                                            TensorView<const std::uint8_t> image,
                                                            PreparationMemory& memory) const {
    constexpr std::uint64_t purpose = 0x63726f7000000000;  // "crop", apart from other streams
    const std::int64_t height = image.extent(0);
    const std::int64_t width = image.extent(1);
    Box box{.height = height, .width = width};
    if (augment_.crop) {
      Random random = detail::augmentation_stream(purpose, seed_, epoch, index);
      box = draw_crop(*augment_.crop, height, width, random);
    } else if (size_ != 0) {
      box = centre_box(height, width, centre_);
    }
    const Shape wanted = shape();
    if (box == Box{.height = wanted[0], .width = wanted[1]} && image.shape() == wanted) {
      return image.span();
    }
    memory.drawn.resize(static_cast<std::size_t>(wanted.size()));
    resample(image, box, wanted[0], wanted[1], memory.resample, memory.drawn);
    return memory.drawn;
  }

  [[nodiscard]] ColourChange colour_change(std::int64_t epoch, std::int64_t index) const {
    if (!changes_colours()) return {};
    constexpr std::uint64_t purpose = 0x636f6c6f75720000;  // "colour", apart from other streams
    Random random = detail::augmentation_stream(purpose, seed_, epoch, index);
    return draw_colour(augment_.jitter, augment_.lighting, random);
  }

  static void look_up(const ByteValues& values, std::span<const std::uint8_t> bytes,
                      std::span<float> out) {
    const std::size_t channels = values.channels();
    for (std::size_t i = 0; i < bytes.size(); i += channels) {
      for (std::size_t c = 0; c < channels; ++c) out[i + c] = values[c][bytes[i + c]];
    }
  }

  const ImageSource* source_;
  AugmentOptions augment_;
  std::uint64_t seed_;
  std::int64_t size_;
  float centre_;
  Normalisation normalisation_;
  ByteValues byte_values_;
  ByteValues unit_values_{{}, 3};
};

}  // namespace bitdial::inline BITDIAL_ABI::data
