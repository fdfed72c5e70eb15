// SPDX-License-Identifier: Apache-2.0
// The images of the search: real ones from disk, or generated ones.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <bitdial/data/cifar.hpp>

#include "../images.hpp"
#include "options.hpp"

namespace search {

using examples::Images;

inline Images read_images(const Options& options) {
  namespace data = bitdial::data;
  if (options.synthetic()) return examples::synthetic_images(4000, 1000, options.seed);
  if (options.data == "cifar10") {
    const auto read = [&](const std::vector<std::string>& names) {
      data::CifarFiles files{.kind = data::CifarKind::cifar10, .files = {}, .name = "CIFAR-10"};
      for (const std::string& name : names) {
        files.files.push_back(options.data_directory + "/" + name);
      }
      return data::read_cifar(files);
    };
    return {read({"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
                  "data_batch_5.bin"}),
            read({"test_batch.bin"})};
  }
  return examples::fashion_mnist(options.data_directory);
}

inline Images load_images(const Options& options) {
  Images images = read_images(options);
  if (options.images > 0 && options.images < images.train.size()) {
    images.train = images.train.subset(0, options.images);
  }
  return images;
}

}  // namespace search
