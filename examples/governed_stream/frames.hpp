// SPDX-License-Identifier: Apache-2.0
// What the camera sees: images of a real data set where it is installed, generated ones otherwise.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include <bitdial/data/fashion_mnist.hpp>
#include <bitdial/data/file_bytes.hpp>
#include <bitdial/data/gzip.hpp>
#include <bitdial/data/synthetic.hpp>
#include <bitdial/runtime.hpp>

/// Images with the right answers.
struct Frames {
  bitdial::data::Dataset images;
  std::vector<std::int32_t> answers;
  std::string note;  ///< where the answers come from, if not from the data set
};

namespace detail {

/// Images of ten shapes that no training of the quickstart has seen, at the model's size.
inline bitdial::data::Dataset generated(const bitdial::Shape& shape) {
  return bitdial::data::make_synthetic({.count = 2000,
                                        .first = 12000,
                                        .size = static_cast<int>(shape[0]),
                                        .channels = static_cast<int>(shape[2])});
}

inline std::size_t most_accurate(const bitdial::Model& model) {
  const auto accuracy = [](const bitdial::PackedPlan& plan) {
    return plan.accuracy ? plan.accuracy->top1 : 0.0;
  };
  const auto best = std::ranges::max_element(model.plans(), {}, accuracy);
  return static_cast<std::size_t>(best - model.plans().begin());
}

}  // namespace detail

/// Fashion-MNIST from `folder`. Where that is empty: generated images for a model that was trained
/// on such, else Fashion-MNIST from Debian's package. Without the package the images are generated:
/// no answer to them is right or wrong, so those of the most accurate plan count as right.
inline Frames load_frames(bitdial::Session& session, const std::string& folder) {
  namespace data = bitdial::data;
  const bitdial::Model& model = session.model();
  const std::string place =
      folder.empty() ? std::string{data::fashion_mnist_debian_directory} : folder;
  const bool was_trained_on_generated =
      folder.empty() && model.labels() == data::synthetic_classes();
  const bool is_installed = data::is_readable(place + "/t10k-images-idx3-ubyte.gz");
  const bool generates = was_trained_on_generated || (folder.empty() && !is_installed);
  Frames frames{generates ? detail::generated(model.input_shape())
                          : data::read_fashion_mnist(place, data::FashionMnistPart::test,
                                                     data::read_file_or_gzip),
                {},
                {}};
  if (frames.images.image_shape() != model.input_shape()) {
    throw std::runtime_error(bitdial::concat("the model takes images ", model.input_shape(),
                                             ", those of ", frames.images.name(), " are ",
                                             frames.images.image_shape()));
  }
  frames.answers.assign(frames.images.labels().begin(), frames.images.labels().end());
  if (generates && !was_trained_on_generated) {
    const std::size_t best = detail::most_accurate(model);
    session.classify(frames.images.images().span(), frames.answers, best).value();
    frames.note = "no Fashion-MNIST in " + place + ": frames are generated, and right is what " +
                  model.plans()[best].name() + " says";
  }
  return frames;
}
