// SPDX-License-Identifier: Apache-2.0
// The images of the quickstart: real ones from disk, or generated ones.
#pragma once

#include <bitdial/data/fashion_mnist.hpp>
#include <bitdial/data/gzip.hpp>
#include <bitdial/data/preparation.hpp>
#include <bitdial/data/synthetic.hpp>

#include "options.hpp"

namespace quickstart {

struct Images {
  bitdial::data::Dataset train;
  bitdial::data::Dataset test;
  // What training, evaluation and the packed file do with them: a byte u is u / 255.
  bitdial::data::ImageOptions prepared{};
};

inline Images load_images(const Options& options) {
  namespace data = bitdial::data;
  if (options.synthetic()) {
    constexpr std::int64_t train = 12000;
    return {data::make_synthetic({.count = train, .seed = options.seed}),
            data::make_synthetic({.count = 2000, .first = train, .seed = options.seed})};
  }
  const auto part = [&](data::FashionMnistPart which) {
    return data::read_fashion_mnist(options.data_directory, which, data::read_file_or_gzip);
  };
  return {part(data::FashionMnistPart::train), part(data::FashionMnistPart::test)};
}

}  // namespace quickstart
