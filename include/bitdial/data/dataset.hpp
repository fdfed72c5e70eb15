// SPDX-License-Identifier: Apache-2.0
// Labelled images in memory: bytes, labels and class names that are known to fit together.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <bitdial/core/error.hpp>
#include <bitdial/core/tensor.hpp>
#include <bitdial/data/image_source.hpp>

namespace bitdial::inline BITDIAL_ABI::data {

/// Images as bytes `[N, H, W, C]`, one label in 0 .. classes - 1 per image, one name per class.
///
/// The constructor checks everything, so a `Dataset` that exists is consistent and has at least one
/// image. Throws `ShapeError` for image shapes and counts, `ConfigError` for labels and names.
class Dataset final : public ImageSource {
 public:
  Dataset(std::string name, Tensor<std::uint8_t> images, std::vector<std::int32_t> labels,
          std::vector<std::string> class_names)
      : name_{std::move(name)},
        images_{std::move(images)},
        labels_{std::move(labels)},
        class_names_{std::move(class_names)} {
    check();
  }

  [[nodiscard]] const std::string& name() const noexcept override { return name_; }
  [[nodiscard]] std::int64_t size() const noexcept override { return images_.extent(0); }
  [[nodiscard]] const std::vector<std::string>& class_names() const noexcept override {
    return class_names_;
  }

  /// All images, `[N, H, W, C]`.
  [[nodiscard]] const Tensor<std::uint8_t>& images() const noexcept { return images_; }
  /// The shape of one image, `[H, W, C]`.
  [[nodiscard]] Shape image_shape() const noexcept override {
    return {images_.extent(1), images_.extent(2), images_.extent(3)};
  }
  /// The bytes of one image, `0 <= index < size()`.
  [[nodiscard]] std::span<const std::uint8_t> image(std::int64_t index) const noexcept {
    BITDIAL_ASSERT(index >= 0 && index < size());
    const std::size_t bytes = static_cast<std::size_t>(image_shape().size());
    return images_.span().subspan(static_cast<std::size_t>(index) * bytes, bytes);
  }
  /// The same as a view; no memory is needed.
  [[nodiscard]] TensorView<const std::uint8_t> read(std::int64_t index,
                                                    ImageMemory&) const override {
    return {image(index).data(), image_shape()};
  }

  [[nodiscard]] std::span<const std::int32_t> labels() const noexcept { return labels_; }
  [[nodiscard]] std::int32_t label(std::int64_t index) const noexcept override {
    BITDIAL_ASSERT(index >= 0 && index < size());
    return labels_[static_cast<std::size_t>(index)];
  }
  /// How many images each class has.
  [[nodiscard]] std::vector<std::int64_t> class_counts() const {
    std::vector<std::int64_t> counts(class_names_.size());
    for (const std::int32_t label : labels_) ++counts[static_cast<std::size_t>(label)];
    return counts;
  }

  /// A copy of the images `first .. first + count - 1`. Throws `ConfigError` outside the data.
  [[nodiscard]] Dataset subset(std::int64_t first, std::int64_t count) const {
    if (first < 0 || count < 1 || first > size() || count > size() - first) {
      throw ConfigError(concat("dataset '", name_, "': subset of ", count, " images from ", first,
                               " does not lie in its ", size(), " images"));
    }
    Tensor<std::uint8_t> images(images_.shape().with(0, count));
    const auto chosen = images_.view().slice(first, first + count).span();
    std::copy(chosen.begin(), chosen.end(), images.data());
    const auto begin = labels_.begin() + static_cast<std::ptrdiff_t>(first);
    return {name_, std::move(images),
            std::vector<std::int32_t>(begin, begin + static_cast<std::ptrdiff_t>(count)),
            class_names_};
  }

 private:
  void check() const {
    const Shape& shape = images_.shape();
    if (shape.rank() != 4 || images_.empty()) {
      throw ShapeError(concat("dataset '", name_,
                              "': expected images [N, H, W, C] with at least one image, found ",
                              shape));
    }
    if (static_cast<std::int64_t>(labels_.size()) != size()) {
      throw ShapeError(concat("dataset '", name_, "': expected ", size(),
                              " labels, one per image, found ", labels_.size()));
    }
    for (std::size_t i = 0; i < labels_.size(); ++i) {
      if (labels_[i] < 0 || labels_[i] >= classes()) {
        throw ConfigError(concat("dataset '", name_, "': expected labels 0 .. ", classes() - 1,
                                 ", image ", i, " has label ", labels_[i]));
      }
    }
  }

  std::string name_;
  Tensor<std::uint8_t> images_;
  std::vector<std::int32_t> labels_;
  std::vector<std::string> class_names_;
};

/// The names `"0"`, `"1"`, ... for data sets whose classes have no other name.
[[nodiscard]] inline std::vector<std::string> numbered_classes(int count) {
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) names.push_back(concat(i));
  return names;
}

}  // namespace bitdial::inline BITDIAL_ABI::data
