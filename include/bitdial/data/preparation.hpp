// SPDX-License-Identifier: Apache-2.0
// The way of one image from its source to the numbers that a network takes: a pure function of
// (options, seed, epoch, image), so any thread may prepare any image.
#pragma once

#include <cstdint>
#include <span>

#include <bitdial/core/image_byte.hpp>
#include <bitdial/data/augment.hpp>
#include <bitdial/data/image_source.hpp>

namespace bitdial::inline BITDIAL_ABI::data {

/// Buffers of one thread, kept from image to image.
struct PreparationMemory {
  ImageMemory decoded;
  ImageMemory moved;
};

/// Reads, augments and scales images: byte / 255, in [0, 1]. The source must outlive it.
///
/// Throws `ConfigError` for options out of range.
class Preparation {
 public:
  Preparation(const ImageSource& source, const AugmentOptions& augment, std::uint64_t seed)
      : source_{&source}, augment_{augment}, seed_{seed} {
    static_cast<void>(draw_augmentation(augment, seed, 0, 0));
    const Shape shape = source.image_shape();
    if (shape.rank() != 3 || shape.size() < 1) {
      throw ConfigError(concat("loader: the images of '", source.name(), "' are ", shape,
                               "; expected images [H, W, C] of one size"));
    }
  }

  [[nodiscard]] const ImageSource& source() const noexcept { return *source_; }

  /// The shape `[H, W, C]` of every prepared image.
  [[nodiscard]] Shape shape() const noexcept { return source_->image_shape(); }

  /// Writes image `index` as epoch `epoch` shows it; `out` has `shape().size()` values.
  void run(std::int64_t epoch, std::int64_t index, PreparationMemory& memory,
           std::span<float> out) const {
    std::span<const std::uint8_t> bytes = source_->read(index, memory.decoded).span();
    const Augmentation drawn = draw_augmentation(augment_, seed_, epoch, index);
    if (drawn != Augmentation{}) {
      memory.moved.resize(bytes.size());
      apply_augmentation(drawn, shape(), augment_.padding, bytes, memory.moved);
      bytes = memory.moved;
    }
    float* to = out.data();
    for (const std::uint8_t byte : bytes) *to++ = unit_value(byte);
  }

 private:
  const ImageSource* source_;
  AugmentOptions augment_;
  std::uint64_t seed_;
};

}  // namespace bitdial::inline BITDIAL_ABI::data
