// SPDX-License-Identifier: Apache-2.0
// Where a loader gets its images from: labelled images by number, in memory or decoded on demand.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <bitdial/core/tensor_view.hpp>

namespace bitdial::inline BITDIAL_ABI::data {

/// Room for decoded bytes; a thread keeps one from image to image.
using ImageMemory = std::vector<std::uint8_t>;

/// Labelled images, `0 .. size() - 1`. All functions may be called by several threads at a time.
class ImageSource {
 public:
  virtual ~ImageSource() = default;

  [[nodiscard]] virtual const std::string& name() const noexcept = 0;
  [[nodiscard]] virtual std::int64_t size() const noexcept = 0;
  /// The names of the classes in label order.
  [[nodiscard]] virtual const std::vector<std::string>& class_names() const noexcept = 0;
  /// In `0 .. classes() - 1`.
  [[nodiscard]] virtual std::int32_t label(std::int64_t index) const noexcept = 0;
  /// The shape `[H, W, C]` of every image; H = W = 0 where images differ in size.
  [[nodiscard]] virtual Shape image_shape() const noexcept = 0;

  /// The bytes `[H, W, C]` of one image, contiguous. They lie in the source or in `memory`, and
  /// are valid until `memory` is used again. Throws `FileError`, which names the image, when it
  /// cannot be read or is damaged.
  [[nodiscard]] virtual TensorView<const std::uint8_t> read(std::int64_t index,
                                                            ImageMemory& memory) const = 0;

  [[nodiscard]] int classes() const noexcept { return static_cast<int>(class_names().size()); }
};

}  // namespace bitdial::inline BITDIAL_ABI::data
