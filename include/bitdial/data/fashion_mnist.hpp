// SPDX-License-Identifier: Apache-2.0
// Fashion-MNIST in the directory layout of its authors and of Debian's `dataset-fashion-mnist`.
// Xiao, Rasul, Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning
// algorithms", 2017.
#pragma once

#include <bitdial/data/idx.hpp>

namespace bitdial::inline BITDIAL_ABI::data {

/// Where the Debian package puts the four files.
inline constexpr std::string_view fashion_mnist_debian_directory =
    "/usr/share/datasets/fashion-mnist";

/// The ten classes in label order.
[[nodiscard]] inline std::vector<std::string> fashion_mnist_classes() {
  return {"T-shirt/top", "trouser", "pullover", "dress", "coat",
          "sandal",      "shirt",   "sneaker",  "bag",   "ankle boot"};
}

/// The 60,000 images to train on, or the 10,000 to test with.
enum class FashionMnistPart { train, test };

/// Reads one part, 28 x 28 grey images, from `{train,t10k}-{images-idx3,labels-idx1}-ubyte`, or
/// from the same names with `.gz` where the plain file is absent; then `read` must be
/// `read_file_or_gzip` of data/gzip.hpp. Throws `FileError`.
[[nodiscard]] inline Dataset read_fashion_mnist(const std::string& directory, FashionMnistPart part,
                                                const FileReader& read) {
  const std::string_view prefix = part == FashionMnistPart::train ? "train" : "t10k";
  const auto path = [&](std::string_view kind) {
    std::string plain = concat(directory, "/", prefix, "-", kind, "-ubyte");
    return is_readable(plain) ? plain : plain + ".gz";
  };
  return read_idx(
      {.name = concat("fashion-mnist-", part == FashionMnistPart::train ? "train" : "test"),
       .images = path("images-idx3"),
       .labels = path("labels-idx1"),
       .class_names = fashion_mnist_classes()},
      read);
}

}  // namespace bitdial::inline BITDIAL_ABI::data
