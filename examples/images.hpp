// SPDX-License-Identifier: Apache-2.0
// The images that quickstart and search have in common: real ones from disk, or generated ones.
#pragma once

#include <cstdint>
#include <string>

#include <bitdial/data/fashion_mnist.hpp>
#include <bitdial/data/gzip.hpp>
#include <bitdial/data/synthetic.hpp>

namespace examples {

struct Images {
  bitdial::data::Dataset train;
  bitdial::data::Dataset test;
};

inline Images synthetic_images(std::int64_t train, std::int64_t test, std::uint64_t seed) {
  using bitdial::data::make_synthetic;
  return {make_synthetic({.count = train, .seed = seed}),
          make_synthetic({.count = test, .first = train, .seed = seed})};
}

inline Images fashion_mnist(const std::string& directory) {
  namespace data = bitdial::data;
  const auto part = [&](data::FashionMnistPart which) {
    return data::read_fashion_mnist(directory, which, data::read_file_or_gzip);
  };
  return {part(data::FashionMnistPart::train), part(data::FashionMnistPart::test)};
}

}  // namespace examples
